import CMicrohttpd
import NexusModel
import NexusService

/// Requests that every member runs for itself. They end with the last answer: a sum, or the failure of one, which may
/// be asked again because what is gone is gone.
extension HTTPDoor {
  /// - Parameter entries: what this node has removed already.
  func gather(
    _ request: KeyRequest, _ entries: Int, _ exchange: UnsafeMutablePointer<Exchange>, _ connection: OpaquePointer,
    begunAt: UInt64
  ) -> MHD_Result {
    let others = responder.node.otherMembers
    let routers = responder.node.routers
    guard loop.index < routers.count else { return send(refused(.partRefused()), exchange, connection) }
    // They may have gone since.
    if others.isEmpty {
      let reply = responder.removed(entries)
      responder.count(reply)
      return send(reply, exchange, connection)
    }
    var gathering = Exchange.Gathering(connection: connection, begunAt: begunAt, entries: entries)
    gathering.missing = others.count
    exchange.pointee.phase = .gathering(gathering)
    MHD_suspend_connection(connection)
    for member in others {
      let ticket = forwarded.open(exchange)
      responder.keyspace.statistics.pointee.operationsForwarded.add()
      request.withOperation { routers[loop.index].ask(member, $0, for: self, ticket: ticket) }
    }
    return .YES
  }

  func gathered(
    _ reply: OperationReply, _ before: Exchange.Gathering, _ exchange: UnsafeMutablePointer<Exchange>
  ) {
    var gathering = before
    gathering.missing -= 1
    switch reply {
    case .failed(let failure): gathering.failure = Problem(failure)
    case .payload(let bytes):
      if let entries = Reply.number(bytes) { gathering.entries += entries } else { gathering.failure = .partRefused() }
    }
    exchange.pointee.phase = .gathering(gathering)
    guard gathering.missing == 0 else { return }
    let answer = gathering.failure.map { refused($0) } ?? responder.removed(gathering.entries)
    if gathering.failure == nil { responder.count(answer) }
    exchange.pointee.phase = .answered(answer)
    responder.keyspace.statistics.pointee.noteLatency(nanoseconds: loop.monotonicNanoseconds &- gathering.begunAt)
    hasResumed = true
    MHD_resume_connection(gathering.connection)
  }
}

extension Problem {
  fileprivate static func partRefused() -> Problem {
    Problem(
      status: 502, code: "member_refused",
      message: "A member did not do its part: it is of another version, or has not declared the namespace. "
        + "The others have done theirs.")
  }
}

extension Reply {
  /// The body of a member's reply, where it is good and a decimal number.
  fileprivate static func number(_ payload: UnsafeRawBufferPointer) -> Int? {
    guard let reply = Reply(payload: payload) else { return nil }
    defer { reply.deallocate() }
    return reply.status == 200 ? Int(String(decoding: reply.bytes, as: UTF8.self)) : nil
  }
}
