import NexusModel
import NexusService

// Replies to writes that wait for copies, and what the loop knows about copies of what ran here.

extension PeerLoop: ReplicaWaiter {
  /// Keeps the reply until the hold ends. It is answered before its asker gives up.
  func hold(
    _ reply: UnsafeRawBufferPointer, _ hold: ReplicaHold, for requester: any OperationRequester, _ ticket: UInt64,
    timeoutMilliseconds: Int
  ) {
    self.hold(reply, hold, for: requesters.number(of: requester), ticket, timeoutMilliseconds)
  }

  private func hold(
    _ reply: UnsafeRawBufferPointer, _ hold: ReplicaHold, for requester: UInt16, _ ticket: UInt64,
    _ timeoutMilliseconds: Int
  ) {
    let own = held.hold(reply, for: requester, ticket)
    replicator?.notify(self, own, of: hold, timeoutMilliseconds: timeoutMilliseconds * 9 / 10)
  }

  /// An operation that had waited here has run.
  func answer(
    _ parked: ParkedOperation, _ operation: Operation, _ outcome: OperationOutcome, _ reply: UnsafeRawBufferPointer
  ) {
    if let replicator, replicator.hasRecord { note(parked, replicator) }
    if case .held(_, let hold) = outcome {
      let left = parked.deadline - min(parked.deadline, now)
      self.hold(reply, hold, for: parked.requester, parked.ticket, Int(left))
    } else {
      requesters.reply(parked.requester, parked.ticket, .payload(reply))
    }
  }

  private func note(_ parked: ParkedOperation, _ replicator: LoopReplicator) {
    if parked.origin == myself { return replicator.takeRecord(into: &ownWrites) }
    var record = WriteRecord()
    replicator.takeRecord(into: &record)
    (requesters[parked.requester] as? PeerCallee)?.note(record)
  }

  /// How many copies the record's writes have.
  func count(
    _ record: WriteRecord, _ replicator: LoopReplicator, enough: Int, milliseconds: Int,
    for requester: any OperationRequester, _ ticket: UInt64
  ) {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    let own = held.hold(nothing, for: requesters.number(of: requester), ticket)
    replicator.count(record, enough: enough, timeoutMilliseconds: milliseconds, for: self, ticket: own)
  }

  func copied(_ ticket: UInt64, _ shortfall: ReplicaShortfall?) {
    guard let reply = held.take(ticket) else { return }
    requesters.reply(
      reply.requester, reply.ticket, shortfall.map { .failed(.tooFewCopies($0.sentence)) } ?? .payload(reply.bytes))
    held.giveBack(reply)
  }

  func counted(_ ticket: UInt64, _ copies: Int) {
    guard let reply = held.take(ticket) else { return }
    var text = ":\(copies)\r\n"
    text.withUTF8 { requesters.reply(reply.requester, reply.ticket, .payload(UnsafeRawBufferPointer($0))) }
    held.giveBack(reply)
  }

  func copiesEnded() { flushReplies() }

  /// A connection is lost, or was not made.
  func lost(_ member: MemberNumber, wasOpen: Bool) {
    if wasOpen {
      lostTrack()
      losses &+= 1
      lostAt[member] = losses
    }
    replicator?.lost(member, wasOpen: wasOpen)
  }

  func wasLost(_ member: MemberNumber, since losses: UInt32) -> Bool { lostAt[member].map { $0 > losses } ?? false }

  /// The link to a member that has copies, whether it is connected or not; nil where there is no such member.
  func replicaLink(to member: MemberNumber) -> PeerLink? { knownLink(to: member) }
}
