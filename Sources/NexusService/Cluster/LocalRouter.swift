import NexusModel

/// The router of a node by itself: keeps what waits for an origin, and runs it when that has answered.
///
/// Belongs to its loop's thread.
public final class LocalRouter: OperationRouter, TurnTask, @unchecked Sendable {
  private struct Kept {
    var operation: KeptOperation
    /// Doors live as long as their loop.
    unowned(unsafe) var requester: any OperationRequester
    var ticket: UInt64
    /// Monotonic milliseconds.
    var deadline: UInt64
    var filling: UInt64 = 0
  }

  private let node: Node
  private let loop: any EventLoop
  private var executors: [(any OperationExecutor)?] = []
  private var kept: [Kept] = []
  private var woken: Set<UInt64> = []
  private var needsPass = false
  private var isTicking = false
  private var out = OutputBuffer(capacity: 4096)

  private static let keptMost = 100_000
  private static let tickMilliseconds = 50

  public init(_ node: Node, _ loop: any EventLoop) {
    self.node = node
    self.loop = loop
    node.fillers[loop.index].wake = { [unowned self] number in
      woken.insert(number)
      needsPass = true
    }
    loop.atTurnEnd(self)
  }

  deinit { out.deallocate() }

  public func setExecutor(_ executor: any OperationExecutor, for kind: Operation.Kind) {
    while executors.count <= Int(kind.rawValue) { executors.append(nil) }
    executors[Int(kind.rawValue)] = executor
  }

  private var now: UInt64 { loop.monotonicNanoseconds / 1_000_000 }

  @discardableResult
  public func route(
    _ operation: Operation, for requester: any OperationRequester, ticket: UInt64
  ) -> MemberNumber? {
    let timeout =
      operation.timeoutMilliseconds > 0
      ? Int(operation.timeoutMilliseconds) : node.settings.forwardTimeoutMilliseconds
    // What is too much is refused at the end of the turn: never inside the call that gave it away.
    kept.append(
      Kept(
        operation: KeptOperation(operation), requester: requester, ticket: ticket,
        deadline: kept.count < Self.keptMost ? now + UInt64(timeout) : 0))
    needsPass = true
    startTicking()
    return nil
  }

  public func ask(
    _ member: MemberNumber, _ operation: Operation, for requester: any OperationRequester, ticket: UInt64
  ) { route(operation, for: requester, ticket: ticket) }

  private static func tooLate(_ deadline: UInt64) -> String {
    deadline == 0 ? "too many requests wait for origins already" : "the origin did not answer in time"
  }

  private static let myself = MemberID("this-node")!

  private func startTicking() {
    guard !isTicking else { return }
    isTicking = true
    loop.after(milliseconds: Self.tickMilliseconds) { [self] in
      isTicking = false
      if !kept.isEmpty {
        needsPass = true
        startTicking()
      }
    }
  }

  public func turnEnding() -> Bool {
    guard needsPass else { return false }
    needsPass = false
    let waiting = kept
    kept = []
    let now = self.now
    var stay: [Kept] = []
    var replied: [any OperationRequester] = []
    for var each in waiting {
      if each.filling != 0, !woken.contains(each.filling), now < each.deadline {
        stay.append(each)
      } else if now >= each.deadline {
        each.requester.replied(each.ticket, .failed(.refused(Self.myself, Self.tooLate(each.deadline))))
        replied.append(each.requester)
      } else if run(&each, now) {
        replied.append(each.requester)
      } else {
        stay.append(each)
      }
    }
    woken.removeAll(keepingCapacity: true)
    kept = stay + kept
    var told: Set<ObjectIdentifier> = []
    for requester in replied where told.insert(ObjectIdentifier(requester)).inserted { requester.repliesEnded() }
    return needsPass
  }

  /// False: it has to wait (on).
  private func run(_ each: inout Kept, _ now: UInt64) -> Bool {
    let kind = Int(each.operation.operation.kind.rawValue)
    guard kind < executors.count, let executor = executors[kind] else {
      each.requester.replied(each.ticket, .failed(.refused(Self.myself, "this node has no door for such a request")))
      return true
    }
    var outcome = OperationOutcome.notHere
    out.count = 0
    each.operation.withOperation { operation in
      withUnsafePointer(to: operation) { operation in
        withUnsafeMutablePointer(to: &outcome) { outcome in
          var batch = OperationBatch(operations: operation, outcomes: outcome, count: 1, out: out)
          executor.execute(&batch, for: 0)
          out = batch.out
        }
      }
    }
    switch outcome {
    case .replied(let end), .held(let end, _):
      each.requester.replied(each.ticket, .payload(UnsafeRawBufferPointer(rebasing: out.bytes[..<end])))
      return true
    case .filling(let number, let milliseconds):
      if each.filling == 0 { each.deadline = max(each.deadline, now + UInt64(milliseconds)) }
      each.filling = number
    case .notHere, .keysMissing: break
    }
    return false
  }
}

/// An operation with arguments of its own.
struct KeptOperation {
  /// Without arguments.
  let operation: Operation
  private var bytes: [UInt8] = []
  private var counts: [Int] = []

  init(_ operation: Operation) {
    var bare = operation
    bare.arguments = UnsafeBufferPointer(start: nil, count: 0)
    self.operation = bare
    for argument in operation.arguments {
      bytes += argument.bytes
      counts.append(argument.count)
    }
  }

  func withOperation(_ body: (Operation) -> Void) {
    bytes.withUnsafeBytes { bytes in
      // An empty argument has no address of its own: any will do.
      withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { none in
        let base = bytes.baseAddress ?? UnsafeRawPointer(none.baseAddress!)
        var start = 0
        let arguments = counts.map { count in
          defer { start += count }
          return Argument(base: base + start, count: count)
        }
        arguments.withUnsafeBufferPointer { arguments in
          var whole = operation
          whole.arguments = arguments
          body(whole)
        }
      }
    }
  }
}
