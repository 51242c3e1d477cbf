import NexusModel
import NexusRESP
import NexusService
import NexusStore

// FLUSHDB and FLUSHALL where slots have copies.
//
// All members flush with one stamp: a version that is not newer is gone on each, whether it came before or comes later.
// It has to be above all that any member has written before, whatever their clocks say. So each is asked first for the
// highest stamp that it has met, and then told the highest of all, from which on it writes.

extension Gathering {
  /// A flush on its way.
  struct Flush {
    /// Nil: all of them.
    var database: Int?
    /// The highest that was heard of; then the flush's own.
    var stamp: Stamp
    /// Members are asked for their stamps; then they flush.
    var isAsking = true
    var members: [(number: MemberNumber, id: MemberID)]
  }
}

extension Engine {
  /// Nil where it is as any other command: no other member, or no such option.
  func dispatchFlush(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition? {
    guard replicator != nil, let cluster = node.cluster else { return nil }
    let slot = door.commands.slots + command
    var call = Call(
      arguments: arguments, count: count, session: session, engine: self, out: state.out, now: state.now,
      commandIndex: command)
    guard Keys.isFlushOption(call) else { return nil }
    let others = cluster.picture.members.filter {
      $0.record.status.isLive && $0.record.member.id != cluster.myself
    }
    if others.isEmpty { return nil }
    if let queue = session.pending {
      queue.pointee.waits = .untilEmpty
      return .wait
    }
    session.lastCommand = Int32(command)
    statistics.pointee.commands.add()
    finish(&call, slot, nanoseconds: 0, &state.out)
    let gathering = Gathering(
      command: command, spread: .everywhere(.all), session: session, flags: [],
      arguments: (0..<count).map { Array(arguments[$0].bytes) }, step: 1)
    let isAll = slot.pointee.name == "flushall"
    gathering.flush = .init(
      database: isAll ? nil : session.database, stamp: store.highestStamp(as: worker),
      members: others.map { ($0.number, $0.record.member.id) })
    let queue = queue(of: session, &state.out, &state.mark)
    let number = open(gathering, queue, silent: isSilent(session))
    askToFlush(gathering, number, queue)
    queue.pointee.waits = .untilEmpty
    return .hold
  }

  /// All members have said their stamps: now they flush. False: they have.
  func goOnFlushing(
    _ gathering: Gathering, _ number: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>
  ) -> Bool {
    guard var flush = gathering.flush, flush.isAsking else { return false }
    for part in gathering.parts {
      if let stamp = part.integer.flatMap({ UInt64(exactly: $0) }) {
        flush.stamp = max(flush.stamp, Stamp(rawValue: stamp))
      }
    }
    flush.isAsking = false
    gathering.flush = flush
    gathering.parts = []
    Keys.flush(self, database: flush.database, flush.stamp)
    askToFlush(gathering, number, queue)
    return true
  }

  private func askToFlush(
    _ gathering: Gathering, _ number: UInt32, _ queue: UnsafeMutablePointer<ReplyQueue>
  ) {
    guard let flush = gathering.flush else { return }
    let words = [
      flush.database.map { String($0) } ?? "*", flush.isAsking ? "0" : String(flush.stamp.rawValue),
    ].map { Array($0.utf8) }
    for member in flush.members {
      addPart(gathering, number, member.id, queue) { ticket in
        withArguments(words) { arguments, count in
          let operation = Operation(
            kind: .flush, flags: flush.isAsking ? [.readOnly, .thisNode] : .thisNode, database: 0, protocolVersion: 2,
            slot: Slot(index: 0), arguments: UnsafeBufferPointer(start: arguments, count: count))
          forwarder.router.ask(member.number, operation, for: self, ticket: ticket)
        }
      }
    }
  }

  /// Another member's client flushes.
  func executeFlush(
    _ operation: UnsafePointer<Operation>, _ batch: inout OperationBatch
  ) -> OperationOutcome {
    let words = operation.pointee.arguments.map { String(decoding: $0.bytes, as: UTF8.self) }
    guard words.count == 2, let stamp = UInt64(words[1]), words[0] == "*" || NamespaceNumber(words[0]) != nil
    else { return refuse("ERR a flush of another member cannot be read", &batch) }
    if stamp == 0 {
      batch.out.writeInteger(Int(clamping: store.highestStamp(as: worker).rawValue))
    } else {
      Keys.flush(self, database: Int(words[0]), Stamp(rawValue: stamp))
      batch.out.writeOK()
    }
    return .replied(end: batch.out.count)
  }
}
