import NexusModel
import NexusService
import NexusStore

// Operations whose keys are asked for before they run: of who handed their slot over, or of more than half of its
// copies.
//
// A read of a quorum waits here while the control asks, as one does whose slot is on its way; others of its slot wait
// behind it, so that a client's operations stay in order.

extension PeerLoop {
  /// What became of questions: nil while they are open.
  struct Questions {
    private struct Question {
      /// Slots that have not been answered.
      var open: Int
      var failure: String?
    }

    private var last: UInt64 = 0
    private var questions: [UInt64: Question] = [:]

    mutating func begin(slots: Int) -> UInt64 {
      last += 1
      questions[last] = Question(open: slots)
      return last
    }

    mutating func answer(_ number: UInt64, _ failure: String?) {
      questions[number]?.open -= 1
      if let failure { questions[number]?.failure = failure }
    }

    /// Nil: it is open. Otherwise why it failed, or nil, once.
    mutating func take(_ number: UInt64) -> String?? {
      guard let question = questions[number], question.open == 0 else { return nil }
      questions[number] = nil
      return .some(question.failure)
    }

    mutating func forget(except known: (UInt64) -> Bool) { questions = questions.filter { known($0.key) } }
    var count: Int { questions.count }
  }

  static func settledKeys(_ keys: ArraySlice<Key>) -> [SettledKey] {
    keys.map { SettledKey(namespace: $0.namespace, key: Array($0.bytes)) }
  }

  /// Asks for keys that an operation lacks. Answers what it waits for, if that is a quorum.
  func fetch(
    _ keys: [SettledKey], _ slot: Slot, _ flags: Operation.Flags, _ quorum: ParkedOperation.Quorum
  ) -> ParkedOperation.Quorum {
    hold(slot)
    // Those of an operation with several slots each come from the holder of their own.
    let groups = Dictionary(grouping: keys) { key in key.key.withUnsafeBytes { Slot(of: $0) } }
    guard quorum != .reached, let first = keys.first, node.store.readPreference(in: first.namespace) == .quorum
    else {
      for (slot, keys) in groups { control.settle(slot, keys) { [self] in loop.post { [self] in wake() } } }
      return quorum
    }
    guard flags.contains(.readOnly) else {
      // A write only waits for the reads before it, which it has done when it is tried again.
      needsPass = true
      return .reached
    }
    let number = questions.begin(slots: groups.count)
    for (slot, keys) in groups {
      control.askQuorum(slot, keys) { [self] failure in
        loop.post { [self] in
          questions.answer(number, failure)
          wake()
        }
      }
    }
    return .asked(number)
  }

  /// Nothing else of the slot is tried in this pass.
  private func hold(_ slot: Slot) { traffic[slot].pointee.heldInPass = pass }

  /// Nil: it may be tried now. False: it has to stay. True: it has failed, and its client is told.
  func isAnswered(_ operation: inout ParkedOperation) -> Bool? {
    guard case .asked(let number) = operation.quorum else { return nil }
    guard let answer = questions.take(number) else {
      if operation.direct == nil { hold(operation.slot) }
      return false
    }
    guard let failure = answer else {
      operation.quorum = .reached
      return nil
    }
    if operation.direct == nil { traffic[operation.slot].pointee.parked -= 1 }
    fail(operation.requester, operation.ticket, .tooFewCopies(failure))
    return true
  }

  /// Those whose operations are gone: their clients are, or their time was over.
  func forgetQuestions() {
    guard questions.count > 0 else { return }
    questions.forget { number in parked.contains { $0.quorum == .asked(number) } }
  }
}
