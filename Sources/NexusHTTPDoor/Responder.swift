import NexusModel
import NexusService
import NexusStore

/// From a request to its reply, without a socket: what HTTP means here. One per event loop, used on its thread only.
final class Responder {
  let keyspace: Keyspace
  let node: Node
  let configuration: HTTPConfiguration
  /// False while the node drains: said by /health/ready.
  var isReady = true
  /// Bytes of replies that their readers have not taken yet; kept by whoever sends them.
  var pendingReplyBytes = 0

  /// `"node":"N","primary":"N"`: in every reply about a key. Lives as long as this.
  private let identity: OutputBuffer
  /// Decoded keys and names. Valid until the next decoding.
  private var scratch = OutputBuffer(capacity: 1024)

  init(node: Node, loop index: Int, configuration: HTTPConfiguration, seed: UInt64) {
    self.node = node
    self.configuration = configuration
    keyspace = Keyspace(node: node, loop: index, seed: seed)
    var identity = OutputBuffer(capacity: 64)
    identity.append("\"node\":")
    identity.appendJSONString(configuration.nodeName)
    identity.append(",\"primary\":")
    identity.appendJSONString(configuration.nodeName)
    self.identity = identity
  }

  deinit {
    identity.deallocate()
    scratch.deallocate()
  }

  /// Answers a whole request. The body may be written to.
  func respond(to head: RequestHead, body: UnsafeMutableRawBufferPointer, now: UnixMilliseconds) -> Reply {
    let reply: Reply
    var route: Route?
    do throws(Problem) {
      let found = try Route(head.method, head.path)
      route = found
      try authorize(head, for: found)
      reply = try answer(found, head, body, now)
    } catch {
      countError(route)
      reply = Reply(error)
    }
    count(reply)
    return reply
  }

  func count(_ reply: Reply) {
    keyspace.statistics.pointee.httpRequests &+= 1
    keyspace.statistics.pointee.httpReplies[min(5, Int(reply.status / 100))] &+= 1
  }

  /// Bytes of one request's body.
  var bodyLimitBytes: Int { node.settings.httpMaxBodyBytes }

  /// The key of a path, if nothing in it is encoded, as one of the default namespace; its bucket is on its way into the
  /// cache then. A guess: the headers may name another namespace.
  func prepareKey(_ path: UnsafeRawBufferPointer) -> Key? {
    guard Route.hasCachePrefix(path), !path.contains(UInt8(ascii: "%")) else { return nil }
    let key = node.store.key(
      UnsafeRawBufferPointer(rebasing: path[Route.cachePrefix.utf8CodeUnitCount...]), in: 0)
    node.store.prefetchBucket(key)
    return key
  }

  /// What can be said before the body is read: nil to go on reading.
  func refusal(of head: RequestHead) -> Problem? {
    do throws(Problem) { try authorize(head, for: nil) } catch { return error }
    if let length = head.contentLength {
      if length > bodyLimitBytes { return .bodyTooLarge(limitBytes: bodyLimitBytes) }
      // Room would be made for it by evicting everything else, in vain.
      if length > node.store.maxMemoryBytes { return .outOfMemory() }
    }
    return nil
  }

  /// The namespace whose limits a body on its way in counts against; the default one where the request is wrong
  /// (which `respond` will say).
  func namespaceForUpload(_ head: RequestHead) -> NamespaceNumber {
    do throws(Problem) { return try namespace(head) } catch { return 0 }
  }

  private func answer(
    _ route: Route, _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer, _ now: UnixMilliseconds
  ) throws(Problem) -> Reply {
    switch route {
    case .read(let key): return try read(key, head, now)
    case .write(let key): return try write(key, head, body, now)
    case .delete(let key): return try delete(key, head, now)
    case .index: return Reply(.text, .constant(Pages.index))
    case .health: return health()
    case .live: return Reply(.constant("{\"live\":true}"))
    case .ready: return ready()
    case .metrics:
      var page = OutputBuffer(capacity: 32 * 1024)
      MetricsPage(node: node, now: now).write(to: &page)
      return Reply(.metrics, .owned(page))
    }
  }

  private func countError(_ route: Route?) {
    switch route {
    case .read: keyspace.statistics.pointee.getErrors &+= 1
    case .write: keyspace.statistics.pointee.setErrors &+= 1
    case .delete: keyspace.statistics.pointee.deleteErrors &+= 1
    default: break
    }
  }

  // MARK: The keys

  private func read(_ range: Range<Int>, _ head: RequestHead, _ now: UnixMilliseconds) throws(Problem) -> Reply {
    let namespace = try namespace(head)
    let key: Key
    if let prepared = head.preparedKey, namespace == 0 {
      key = prepared
    } else {
      key = node.store.key(try decode(UnsafeRawBufferPointer(rebasing: head.path[range]), "key"), in: namespace)
    }
    var refused = false
    let raw = head.acceptsBytes
    // A short value is printed where it lies; a long one is copied first, so that others wait for a copy at most.
    var copy: OutputBuffer?
    let short = keyspace.get(key, now: now) { entry -> OutputBuffer? in
      guard let entry else { return nil }
      let value = entry.value
      // One large reply may always wait, even if it alone is larger than the limit.
      if value.count > 1 << 20 && pendingReplyBytes > 1 << 20
        && pendingReplyBytes + value.count > configuration.pendingRepliesLimitBytes
      {
        refused = true
        return nil
      }
      if raw || value.count > 16 * 1024 {
        copy = OutputBuffer(capacity: value.count)
        copy!.append(value)
        return nil
      }
      return found(key.bytes, value)
    }
    if refused { throw .repliesPending() }
    if let short { return Reply(.owned(short)) }
    guard let copy else { return Self.notFound }
    if raw { return Reply(.bytes, .owned(copy)) }
    defer { copy.deallocate() }
    return Reply(.owned(found(key.bytes, copy.bytes)))
  }

  private static var notFound: Reply {
    Reply(
      status: 404, .json,
      .constant(
        "{\"success\":false,\"error\":{\"code\":\"key_not_found\",\"message\":\"There is no entry with this key.\"}}"))
  }

  private func found(_ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> OutputBuffer {
    var out = OutputBuffer(capacity: 112 + identity.count + key.count + value.count)
    out.append("{\"success\":true,\"data\":{\"key\":")
    if !out.appendJSONString(key) {
      out.append("\"")
      out.appendBase64(key)
      out.append("\",\"key_encoding\":\"base64\"")
    }
    out.append(",\"value\":")
    if !out.appendJSONString(value) {
      out.append("\"")
      out.appendBase64(value)
      out.append("\",\"encoding\":\"base64\"")
    }
    out.append("},")
    out.append(identity.bytes)
    out.append(",\"local\":true,\"forwarded\":false}")
    return out
  }

  private func write(
    _ range: Range<Int>, _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer, _ now: UnixMilliseconds
  ) throws(Problem) -> Reply {
    let namespace = try namespace(head)
    var life = try ttl(head)
    let value: UnsafeRawBufferPointer
    if head.sendsBytes {
      value = UnsafeRawBufferPointer(body)
    } else {
      let stored = try StoredBody(body)
      value = stored.value
      if stored.ttl != .namespaceDefault { life = stored.ttl }
    }
    if value.count > node.settings.maxValueBytes { throw .valueTooLarge(limitBytes: node.settings.maxValueBytes) }
    let key = try decode(UnsafeRawBufferPointer(rebasing: head.path[range]), "key")
    let outcome = keyspace.set(key, to: value, in: namespace, for: life, now: now)
    // The keyspace has counted this error.
    if outcome == .outOfMemory { return Reply(Problem.outOfMemory()) }
    return processed("{\"success\":true,\"message\":\"Stored locally\",", "}")
  }

  private func delete(_ range: Range<Int>, _ head: RequestHead, _ now: UnixMilliseconds) throws(Problem) -> Reply {
    let namespace = try namespace(head)
    let key = try decode(UnsafeRawBufferPointer(rebasing: head.path[range]), "key")
    let wasThere = keyspace.delete(key, in: namespace, now: now)
    return processed(
      "{\"success\":true,\"message\":\"Delete processed\",", wasThere ? ",\"deleted\":true}" : ",\"deleted\":false}")
  }

  private func processed(_ start: StaticString, _ end: StaticString) -> Reply {
    var out = OutputBuffer(capacity: start.utf8CodeUnitCount + identity.count + end.utf8CodeUnitCount)
    out.append(start)
    out.append(identity.bytes)
    out.append(end)
    return Reply(.owned(out))
  }

  // MARK: What the head says

  private func namespace(_ head: RequestHead) throws(Problem) -> NamespaceNumber {
    if head.hasUnknownParameter { throw .unknownParameter() }
    guard var name = head.namespace else { return 0 }
    if head.namespaceIsEncoded { name = try decode(name, "namespace") }
    guard let number = keyspace.namespace(named: name) else { throw .unknownNamespace() }
    return number
  }

  private func ttl(_ head: RequestHead) throws(Problem) -> TimeToLive {
    guard var text = head.ttl else { return .namespaceDefault }
    if head.ttlIsEncoded { text = try decode(text, "ttl") }
    guard let life = Seconds.parse(text) else { throw .badTTL() }
    return life
  }

  /// Percent-decoded; the bytes themselves where nothing is encoded. Valid until the next decoding.
  private func decode(_ text: UnsafeRawBufferPointer, _ part: String) throws(Problem) -> UnsafeRawBufferPointer {
    guard text.contains(UInt8(ascii: "%")) else { return text }
    scratch.count = 0
    scratch.reserve(text.count)
    guard let count = PercentEncoding.decode(text, into: scratch.base) else { throw .badEncoding(part) }
    return UnsafeRawBufferPointer(start: scratch.base, count: count)
  }

  // MARK: Health

  private func health() -> Reply {
    var out = OutputBuffer(capacity: 96)
    out.append("{\"healthy\":true,\"node\":")
    out.appendJSONString(configuration.nodeName)
    out.append(",\"cluster_size\":1}")
    return Reply(.owned(out))
  }

  private func ready() -> Reply {
    if isReady { return Reply(.constant("{\"ready\":true}")) }
    return Reply(status: 503, .json, .constant("{\"ready\":false}"))
  }
}
