import NexusModel
import NexusRESP
import NexusService

/// What a session has written that other members have copies of.
struct SessionWrites: BitwiseCopyable {
  /// Through this loop.
  var own = WriteRecord()
  /// Members that executed writes of it: a bit for each, by its number modulo 64.
  var members: UInt64 = 0
  /// Some of its writes waited here first: whoever executed them is not known.
  var isAnyMember = false
  /// `OperationRouter.losses` when the first of them was given away.
  var losses: UInt32 = 0

  var hasDistant: Bool { members != 0 || isAnyMember }
  func mayHave(_ member: MemberNumber) -> Bool { isAnyMember || members >> UInt64(member & 63) & 1 != 0 }

  mutating func forgetDistant() { (members, isAnyMember) = (0, false) }
}

extension Session {
  /// Made with its first write.
  var madeWrites: UnsafeMutablePointer<SessionWrites> {
    if let writes { return writes }
    let made = UnsafeMutablePointer<SessionWrites>.allocate(capacity: 1)
    made.initialize(to: SessionWrites())
    writes = made
    return made
  }
}

// WAIT: how many members have everything that a connection has written, whichever member executed it.

extension Engine {
  @inline(never) func noteWrites(_ session: Session, _ replicator: any Replicator) {
    replicator.takeRecord(into: &session.madeWrites.pointee.own)
  }

  @inline(never) func noteDistantWrite(
    _ queue: UnsafeMutablePointer<ReplyQueue>, _ member: MemberNumber?, _ router: any OperationRouter
  ) {
    guard let session = queue.pointee.session?.takeUnretainedValue() else { return }
    let writes = session.madeWrites
    if !writes.pointee.hasDistant { writes.pointee.losses = router.losses }
    if let member { writes.pointee.members |= 1 << UInt64(member & 63) } else { writes.pointee.isAnyMember = true }
  }

  /// WAIT in a cluster whose writes have copies: this loop and every member that has executed writes of the session say
  /// how many copies these have, and the fewest is the reply.
  func dispatchWait(
    _ arguments: UnsafeMutablePointer<Argument>, _ count: Int, _ command: Int, _ session: Session,
    _ state: inout ReceiveState
  ) -> Disposition? {
    guard let replicator, let cluster = node.cluster,
      let enough = Decimal.integer(arguments[1].bytes), let timeout = Decimal.integer(arguments[2].bytes), timeout >= 0
    else { return nil }
    if let queue = session.pending {
      // It is about what has been answered.
      queue.pointee.waits = .untilEmpty
      return .wait
    }
    // What came before it in this batch counts.
    if replicator.hasRecord { noteWrites(session, replicator) }
    session.lastCommand = Int32(command)
    statistics.pointee.commands.add()
    counters.record(command, nanoseconds: 0)
    var writes = session.writes?.pointee ?? SessionWrites()
    if writes.isAnyMember { writes.own.add(forwarder.router.ownWrites) }
    let asked = cluster.picture.members.filter {
      writes.hasDistant && $0.record.member.id != cluster.myself && writes.mayHave($0.number)
    }
    // Whether writes have copies that went to a member which is dead, or over a connection that was lost, is known to
    // nobody any more. It is said once.
    let router = forwarder.router
    if asked.contains(where: { !$0.record.status.isLive || router.wasLost($0.number, since: writes.losses) }) {
      session.writes?.pointee.forgetDistant()
      state.out.writeInteger(0)
      return .done
    }
    let gathering = Gathering(
      command: command, spread: .everywhere(.least), session: session, flags: [],
      arguments: (0..<count).map { Array(arguments[$0].bytes) }, step: 1)
    let queue = queue(of: session, &state.out, &state.mark)
    let number = open(gathering, queue, silent: isSilent(session))
    // No timeout at all is a month.
    let milliseconds = timeout == 0 ? 30 * 86_400_000 : min(timeout, 30 * 86_400_000)
    if !writes.own.isEmpty || asked.isEmpty {
      addPart(gathering, number, cluster.myself, queue) { ticket in
        replicator.count(writes.own, enough: enough, timeoutMilliseconds: milliseconds, for: self, ticket: ticket)
      }
    }
    for member in asked {
      addPart(gathering, number, member.record.member.id, queue) { ticket in
        askForCount(member.number, enough, milliseconds, ticket)
      }
    }
    queue.pointee.waits = .untilEmpty
    return .hold
  }

  private func askForCount(_ member: MemberNumber, _ enough: Int, _ milliseconds: Int, _ ticket: UInt64) {
    withArguments([enough, milliseconds].map { Array(String($0).utf8) }) { arguments, count in
      let operation = Operation(
        kind: .count, flags: [.readOnly, .thisNode], database: 0, protocolVersion: 2, slot: Slot(index: 0),
        timeoutMilliseconds: UInt32(milliseconds + settings.forwardTimeoutMilliseconds),
        arguments: UnsafeBufferPointer(start: arguments, count: count))
      forwarder.router.ask(member, operation, for: self, ticket: ticket)
    }
  }

  /// A WAIT is answered with so many.
  func waited(_ copies: Int, _ queue: UnsafeMutablePointer<ReplyQueue>) {
    // Everything that the session has written has all of its copies: what comes is counted anew.
    guard let replicator, copies >= replicator.configuredCopies - 1 else { return }
    queue.pointee.session?._withUnsafeGuaranteedRef { $0.writes?.pointee = SessionWrites() }
  }

  /// One more part that comes back as a reply.
  func addPart(
    _ gathering: Gathering, _ number: UInt32, _ member: MemberID, _ queue: UnsafeMutablePointer<ReplyQueue>,
    _ ask: (_ ticket: UInt64) -> Void
  ) {
    let index = forwarder.table.take(queue, .part)
    forwarder.table.places[Int(index)].gathering = number
    forwarder.table.places[Int(index)].part = UInt32(gathering.parts.count)
    gathering.parts.append(.init(keys: [], member: member))
    gathering.missing += 1
    queue.pointee.underWay &+= 1
    ask(forwarder.table.ticket(index))
  }
}
