import NexusModel
import NexusService

// What is asked about a namespace's entries beside reading and writing them: that they are loaded anew, or let go.

extension Responder {
  func upkeep(_ route: Route, _ head: RequestHead) throws(Problem) -> KeyRequest {
    let accepted: RequestHead.Parameters = route == .refresh ? [.key, .namespace] : [.key, .prefix, .namespace, .ack]
    let namespace = try namespace(head, taking: accepted)
    if route == .refresh, node.filler.source(of: namespace) == nil {
      throw .noOrigin(node.store.settings(of: namespace)?.name ?? "\(namespace)")
    }
    let (action, text): (KeyRequest.Action, UnsafeRawBufferPointer?) =
      switch (head.key, head.prefix) {
      case (let key?, nil): (route == .refresh ? .refresh : .invalidate, key)
      case (nil, let prefix?): (.purge, prefix)
      default: (.purge, nil)
      }
    guard let text else { throw .badUpkeep(route) }
    var request = KeyRequest(action, node.store.key(try decode(text, "query"), in: namespace))
    if action == .invalidate { request.acknowledgement = try acknowledgement(head) }
    return request
  }

  func refresh(_ request: KeyRequest, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    do throws(Misplaced) {
      return .reply(count("{\"success\":true,\"begun\":", try keyspace.refresh(request.key, now: now) ? 1 : 0, "}"))
    } catch { return .not(error) }
  }

  func invalidate(_ request: KeyRequest, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    do throws(Misplaced) {
      return .reply(removed(try keyspace.delete(request.key, now: now) ? 1 : 0))
    } catch { return .not(error) }
  }

  /// Of what this node executes.
  func purge(_ request: KeyRequest, _ now: UnixMilliseconds) -> Int {
    Purge(node, as: keyspace.worker).keys(
      beginningWith: [Array(request.key.bytes)], in: request.key.namespace, now: now)
  }

  func removed(_ entries: Int) -> Reply { count("{\"success\":true,\"removed\":", entries, "}") }

  func count(_ start: StaticString, _ number: Int, _ end: StaticString) -> Reply {
    var out = OutputBuffer(capacity: 64)
    out.append(start)
    out.append("\(number)")
    out.append(end)
    return Reply(.owned(out))
  }
}

extension Problem {
  static func badUpkeep(_ route: Route) -> Problem {
    let accepted = route == .refresh ? "key" : "either key or prefix"
    return Problem(status: 400, code: "bad_upkeep", message: "The query has to name \(accepted), and nothing else.")
  }
}
