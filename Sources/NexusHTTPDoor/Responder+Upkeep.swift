import NexusModel
import NexusService

// What is asked about a namespace's entries beside reading and writing them: that they are loaded anew, or let go.

extension Responder {
  func upkeep(_ route: Route, _ head: RequestHead) throws(Problem) -> KeyRequest {
    let accepted: RequestHead.Parameters =
      route == .refresh ? [.key, .namespace] : [.key, .prefix, .tag, .namespace, .ack]
    let namespace = try namespace(head, taking: accepted)
    if route == .refresh, node.filler.source(of: namespace) == nil {
      throw .noOrigin(node.store.settings(of: namespace)?.name ?? "\(namespace)")
    }
    let (action, text): (KeyRequest.Action, UnsafeRawBufferPointer?) =
      switch (head.key, head.prefix, head.tag) {
      case (let key?, nil, nil): (route == .refresh ? .refresh : .invalidate, key)
      case (nil, let prefix?, nil): (.purge, prefix)
      case (nil, nil, let tag?): (.purgeTag, tag)
      default: (.purge, nil)
      }
    guard let text else { throw .badUpkeep(route) }
    var request = KeyRequest(action, node.store.key(try decode(text, "query"), in: namespace))
    if action == .invalidate { request.acknowledgement = try acknowledgement(head) }
    return request
  }

  func tags(_ head: RequestHead) throws(Problem) -> TagList {
    var list = TagList()
    guard var text = head.tags else { return list }
    if head.tagsAreEncoded { text = try decode(text, "tags") }
    for part in text.split(separator: UInt8(ascii: ",")) {
      let tag = part.drop { $0 == UInt8(ascii: " ") }
      let end = tag.lastIndex { $0 != UInt8(ascii: " ") }.map { $0 + 1 } ?? tag.startIndex
      if end == tag.startIndex { continue }
      let isTaken = list.insert(TagList.hash(of: UnsafeRawBufferPointer(rebasing: text[tag.startIndex..<end])))
      if !isTaken { throw .tooManyTags() }
    }
    return list
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
    let purge = Purge(node, as: keyspace.worker)
    if request.action == .purgeTag {
      let tag = TagList.hash(of: request.key.bytes)
      return purge.entries(of: request.key.namespace, now: now) { $0.tags.contains(tag) }
    }
    return purge.keys(beginningWith: [Array(request.key.bytes)], in: request.key.namespace, now: now)
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
  static func tooManyTags() -> Problem {
    Problem(status: 400, code: "too_many_tags", message: "An entry carries at most \(TagList.most) tags.")
  }
  static func badUpkeep(_ route: Route) -> Problem {
    let accepted = route == .refresh ? "key" : "one of key, prefix and tag"
    return Problem(status: 400, code: "bad_upkeep", message: "The query has to name \(accepted), and nothing else.")
  }
}
