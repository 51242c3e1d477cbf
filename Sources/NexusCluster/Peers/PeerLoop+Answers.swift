import NexusModel
import NexusService
import NexusStore

// What became of operations that were given away.

extension PeerLoop {
  var worker: Worker { Node.worker(ofLoop: loop.index) }

  /// An operation that a link has sent was answered, or lost.
  func answered(_ record: PendingOperation, _ reply: OperationReply) {
    if !record.isDirect { release(record.slot) }
    requesters.reply(record.requester, record.ticket, reply)
  }

  /// An operation that was sent and certainly did not run is routed once more.
  func again(_ record: PendingOperation, _ bytes: UnsafeRawBufferPointer, on member: MemberNumber) {
    if !record.isDirect { release(record.slot) }
    let direct = record.isDirect && !record.isFromCopy
    let copy = ParkedOperation(
      bytes: Array(bytes), flags: record.flags, slot: record.slot, ticket: record.ticket,
      requester: record.requester, deadline: record.deadline, attempts: record.attempts,
      direct: direct ? member : nil, copiesTried: record.copiesTried, origin: myself)
    parkedBytes += copy.bytes.count
    parked.append(copy)
    if !direct { traffic[record.slot].pointee.parked += 1 }
    // At once the first time; then the owner is between two states: give it a moment.
    if record.attempts == 0 { needsPass = true }
    startTicking()
  }

  func release(_ slot: Slot) {
    let lane = traffic[slot]
    lane.pointee.underWay -= 1
    if lane.pointee.underWay == 0, lane.pointee.parked > 0 { needsPass = true }
  }

  func fail(_ requester: UInt16, _ ticket: UInt64, _ failure: OperationFailure) {
    // Never inside the call that gave it away.
    loop.post { [self] in requesters.reply(requester, ticket, .failed(failure)) }
  }

  /// A member's stream is gone: nobody waits for its operations any more.
  func forget(_ requester: any OperationRequester) {
    guard let number = requesters.known(requester) else { return }
    for operation in parked where operation.requester == number && operation.direct == nil {
      traffic[operation.slot].pointee.parked -= 1
    }
    parked.removeAll { $0.requester == number }
    parkedBytes = parked.reduce(0) { $0 + $1.bytes.count }
    held.forget(number)
    requesters.remove(number)
  }

  func flushReplies() {
    for requester in requesters.takeReplied() { requester.repliesEnded() }
  }
}
