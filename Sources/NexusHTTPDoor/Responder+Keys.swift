import NexusModel
import NexusService
import NexusStore

/// What replies about keys say of who answers: `"node":"N","primary":"P"`, and where the request ran.
///
/// Exactly one owner calls `deallocate`.
struct Identity: BitwiseCopyable {
  let text: OutputBuffer
  /// Another member asked for its client.
  let isForwarded: Bool

  init(node: String, primary: String, isForwarded: Bool) {
    var text = OutputBuffer(capacity: 64)
    text.append("\"node\":")
    text.appendJSONString(node)
    text.append(",\"primary\":")
    text.appendJSONString(primary)
    self.text = text
    self.isForwarded = isForwarded
  }

  func deallocate() { text.deallocate() }
}

// Requests for keys: taken apart, and run.

extension Responder {
  /// What became of a request for a key.
  enum Ran {
    case reply(Reply)
    case not(Misplaced)

    var reply: Reply? {
      if case .reply(let reply) = self { reply } else { nil }
    }
  }

  func keyRequest(
    _ route: Route, _ head: RequestHead, _ body: UnsafeMutableRawBufferPointer
  ) throws(Problem) -> KeyRequest {
    switch route {
    case .refresh, .invalidate: return try upkeep(route, head)
    default: break
    }
    let namespace = try route.isForm ? group(head) : namespace(head)
    switch route {
    case .read(let range):
      var request = KeyRequest(.read, try key(range, head, namespace))
      if head.acceptsBytes { request.form = .bytes }
      return request
    case .write(let range):
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
      var request = KeyRequest(.write, try key(range, head, namespace))
      request.value = value
      request.life = life
      request.tags = try tags(head)
      request.acknowledgement = try acknowledgement(head)
      return request
    case .delete(let range):
      var request = KeyRequest(.delete, try key(range, head, namespace))
      request.acknowledgement = try acknowledgement(head)
      return request
    case .formRead: return try formRead(head, namespace)
    case .formWrite: return try formWrite(head, body, namespace)
    default: preconditionFailure("only requests for keys come here")
    }
  }

  private func key(_ range: Range<Int>, _ head: RequestHead, _ namespace: NamespaceNumber) throws(Problem) -> Key {
    if let prepared = head.preparedKey, namespace == 0 { return prepared }
    return node.store.key(try decode(UnsafeRawBufferPointer(rebasing: head.path[range]), "key"), in: namespace)
  }

  /// Runs the request if its key is this node's.
  func run(_ request: KeyRequest, _ identity: Identity, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    switch request.action {
    case .read: try read(request, identity, now)
    case .write: try write(request, identity, now)
    case .delete: try delete(request, identity, now)
    case .refresh: try refresh(request, now)
    case .invalidate: try invalidate(request, now)
    case .purge, .purgeTag: .reply(count("", purge(request, now), ""))
    }
  }

  /// Runs what another member asks for.
  func execute(
    _ operation: Operation, _ identity: Identity, _ batch: inout OperationBatch, _ now: UnixMilliseconds
  ) -> OperationOutcome {
    let reply: Reply
    var level = Acknowledgement.one
    if !node.store.isConfigured(operation.database) {
      reply = Reply(Problem.unknownNamespace(number: operation.database))
    } else if let request = KeyRequest(operation, node.store) {
      level = acknowledgement(request)
      do throws(Problem) {
        if level != .one, let replicator {
          // Whether there are enough members is the owner's to say.
          if keyspace.isElsewhere(request.key) { return .notHere }
          guard replicator.canWrite(request.key.slot, level) else { throw Problem.notEnoughReplicas() }
          replicator.beginWork()
        }
        switch try run(request, identity, now) {
        case .reply(let ran): reply = ran
        case .not(.elsewhere): return .notHere
        case .not(.unsettled):
          batch.missing.append(request.key)
          return .keysMissing(first: batch.missing.count - 1, count: 1)
        case .not(.filling(let number)):
          let limit = node.filler.source(of: request.key.namespace)?.timeoutMilliseconds ?? 0
          return .filling(number: number, milliseconds: limit)
        case .not(.failed(let error)): throw Problem(error)
        }
      } catch {
        countError(request.action)
        reply = Reply(error.told(request.form))
      }
    } else {
      reply = Reply(Problem.unknownForm())
    }
    defer { reply.deallocate() }
    reply.append(to: &batch.out)
    keyspace.statistics.pointee.operationsExecuted.add()
    guard level != .one, let replicator, replicator.hasWritten else { return .replied(end: batch.out.count) }
    return .held(end: batch.out.count, replicator.hold(level))
  }

  private func read(_ request: KeyRequest, _ identity: Identity, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    let key = request.key
    var refused = false
    var isOfAnotherType = false
    let asItIs = request.form != .json
    // A short value is printed where it lies; a long one is copied first, so that others wait for a copy at most.
    var copy: OutputBuffer?
    let short: OutputBuffer?
    do throws(Misplaced) {
      short = try keyspace.get(
        key, now: now, acceptsCopy: request.acceptsCopy, isCompared: request.isCompared
      ) { value -> OutputBuffer? in
        if !asItIs { return found(key.bytes, value, identity) }
        copy = Self.copied(value, request.form)
        return nil
      } _: { entry -> OutputBuffer? in
        guard let entry else { return nil }
        if !entry.isString {
          isOfAnotherType = true
          return nil
        }
        let value = entry.value
        if repliesPend(before: value.count) {
          refused = true
          return nil
        }
        if asItIs || value.count > 16 * 1024 {
          copy = Self.copied(value, request.form)
          return nil
        }
        return found(key.bytes, value, identity)
      }
    } catch { return .not(error) }
    if refused { throw .repliesPending() }
    if isOfAnotherType { throw .wrongType() }
    if let short { return .reply(Reply(.owned(short))) }
    guard let copy else { return .reply(request.form == .plain ? Self.plainlyNotFound : Self.notFound) }
    if asItIs { return .reply(Reply(request.form == .plain ? .text : .bytes, .owned(copy))) }
    defer { copy.deallocate() }
    return .reply(Reply(.owned(found(key.bytes, copy.bytes, identity))))
  }

  /// Too much waits for slow readers already. One large reply may always wait, even if it alone is larger than the
  /// limit.
  func repliesPend(before byteCount: Int) -> Bool {
    byteCount > 1 << 20 && pendingReplyBytes > 1 << 20
      && pendingReplyBytes + byteCount > configuration.pendingRepliesLimitBytes
  }

  static var notFound: Reply {
    Reply(
      status: 404, .json,
      .constant(
        "{\"success\":false,\"error\":{\"code\":\"key_not_found\",\"message\":\"There is no entry with this key.\"}}"))
  }

  static var plainlyNotFound: Reply { Reply(status: 404, .text, .constant("no such key")) }

  static func copied(_ value: UnsafeRawBufferPointer, _ form: Reply.Form) -> OutputBuffer {
    let lead: StaticString = form == .plain ? "value=" : ""
    var copy = OutputBuffer(capacity: lead.utf8CodeUnitCount + value.count)
    copy.append(lead)
    copy.append(value)
    return copy
  }

  func found(
    _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ identity: Identity
  ) -> OutputBuffer {
    var out = OutputBuffer(capacity: 112 + identity.text.count + key.count + value.count)
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
    out.append(identity.text.bytes)
    if identity.isForwarded {
      out.append(",\"local\":false,\"forwarded\":true}")
    } else {
      out.append(",\"local\":true,\"forwarded\":false}")
    }
    return out
  }

  private func write(_ request: KeyRequest, _ identity: Identity, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    let limit = node.settings.maxValueBytes
    if request.value.count > limit { throw .valueTooLarge(limitBytes: limit) }
    do throws(Misplaced) {
      let outcome = try keyspace.set(request.key, to: request.value, for: request.life, tags: request.tags, now: now)
      // The keyspace has counted this error.
      if outcome == .outOfMemory { return .reply(Reply(Problem.outOfMemory().told(request.form))) }
    } catch { return .not(error) }
    if request.form == .plain { return .reply(Reply(.text, .constant("done"))) }
    let start: StaticString =
      identity.isForwarded
      ? "{\"success\":true,\"message\":\"Forwarded to primary node\","
      : "{\"success\":true,\"message\":\"Stored locally\","
    return .reply(processed(start, identity, "}"))
  }

  private func delete(_ request: KeyRequest, _ identity: Identity, _ now: UnixMilliseconds) throws(Problem) -> Ran {
    let wasThere: Bool
    do throws(Misplaced) { wasThere = try keyspace.delete(request.key, now: now) } catch { return .not(error) }
    return .reply(
      processed(
        "{\"success\":true,\"message\":\"Delete processed\",", identity,
        wasThere ? ",\"deleted\":true}" : ",\"deleted\":false}"))
  }

  private func processed(_ start: StaticString, _ identity: Identity, _ end: StaticString) -> Reply {
    let count = start.utf8CodeUnitCount + identity.text.count + end.utf8CodeUnitCount
    var out = OutputBuffer(capacity: count)
    out.append(start)
    out.append(identity.text.bytes)
    out.append(end)
    return Reply(.owned(out))
  }

  // MARK: What the head says

  func namespace(
    _ head: RequestHead, taking accepted: RequestHead.Parameters = [.namespace, .ttl, .ack, .tags]
  ) throws(Problem) -> NamespaceNumber {
    if !head.parameters.isSubset(of: accepted) { throw .unknownParameter(accepted) }
    guard var name = head.namespace else { return 0 }
    if head.namespaceIsEncoded { name = try decode(name, "namespace") }
    guard let number = keyspace.namespace(named: name) else { throw .unknownNamespace(name, node.store) }
    return number
  }

  func ttl(_ head: RequestHead) throws(Problem) -> TimeToLive {
    guard var text = head.ttl else { return .namespaceDefault }
    if head.ttlIsEncoded { text = try decode(text, "ttl") }
    guard let life = Seconds.parse(text) else { throw .badTTL() }
    return life
  }

  func acknowledgement(_ head: RequestHead) throws(Problem) -> Acknowledgement? {
    guard let text = head.acknowledgement else { return nil }
    let level = Acknowledgement.allCases.first { $0.rawValue.utf8.elementsEqual(text) }
    guard let level else { throw .badAcknowledgement() }
    return level
  }

  /// What a write waits for; `one` where there are no copies to wait for.
  func acknowledgement(_ request: KeyRequest) -> Acknowledgement {
    guard replicator != nil, request.action.waitsForCopies else { return .one }
    return request.acknowledgement ?? node.store.acknowledgement(in: request.key.namespace)
  }

  /// Percent-decoded; the bytes themselves where nothing is encoded. Valid until the next decoding.
  func decode(_ text: UnsafeRawBufferPointer, _ part: String) throws(Problem) -> UnsafeRawBufferPointer {
    guard text.contains(UInt8(ascii: "%")) else { return text }
    scratch.count = 0
    scratch.reserve(text.count)
    guard let count = PercentEncoding.decode(text, into: scratch.base) else { throw .badEncoding(part) }
    return UnsafeRawBufferPointer(start: scratch.base, count: count)
  }
}
