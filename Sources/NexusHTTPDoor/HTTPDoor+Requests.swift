import CMicrohttpd
import Glibc
import NexusModel
import NexusService

/// What libmicrohttpd calls: once with the head, then with each piece of the body, then once more at its end, which is
/// when it wants the reply: one that is given at the head ends the connection.
extension HTTPDoor {
  func handle(
    _ connection: OpaquePointer, _ url: UnsafePointer<CChar>, _ method: UnsafePointer<CChar>,
    _ upload: UnsafePointer<CChar>?, _ uploadCount: UnsafeMutablePointer<Int>,
    _ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>
  ) -> MHD_Result {
    guard let begun = slot.pointee?.assumingMemoryBound(to: Exchange.self) else {
      let exchange = exchanges.take()
      slot.pointee = UnsafeMutableRawPointer(exchange)
      let method = RequestHead.Method(method)
      if method == .put || method == .post { return begin(readHead(connection, url, method), exchange, connection) }
      // Nothing is expected to follow the others' heads. What memory has to bring is asked for ahead.
      if method == .get {
        exchange.pointee.preparedKey = responder.prepareKey(UnsafeRawBufferPointer(start: url, count: strlen(url)))
      }
      return .YES
    }
    if uploadCount.pointee > 0 {
      let piece = UnsafeRawBufferPointer(start: upload, count: uploadCount.pointee)
      uploadCount.pointee = 0
      return receive(piece, begun)
    }
    switch begun.pointee.phase {
    case .replied, .forwarded, .gathering, .streaming: return .YES
    case .answered(let reply): return send(reply, begun, connection)
    case .discarding(let problem): return send(refused(problem), begun, connection)
    case .reading:
      if let key = begun.pointee.preparedKey { responder.node.store.prefetchEntry(key) }
      var head = readHead(connection, url, RequestHead.Method(method))
      head.preparedKey = begun.pointee.preparedKey
      return answer(head, begun, connection)
    }
  }

  /// All that the library has parsed of the request. Its texts live as long as the request.
  private func readHead(
    _ connection: OpaquePointer, _ url: UnsafePointer<CChar>, _ method: RequestHead.Method
  ) -> RequestHead {
    var head = RequestHead(method: method, path: UnsafeRawBufferPointer(start: url, count: strlen(url)))
    withUnsafeMutablePointer(to: &head) { head in
      nexus_mhd_each_value(
        connection,
        { head, kind, name, nameCount, value, valueCount in
          let head = head!.assumingMemoryBound(to: RequestHead.self)
          let name = UnsafeRawBufferPointer(start: name, count: nameCount)
          let value = UnsafeRawBufferPointer(start: value, count: valueCount)
          if kind == .HEADER_KIND {
            head.pointee.note(header: name, value)
          } else {
            head.pointee.note(parameter: name, value)
          }
          return .YES
        }, head)
    }
    return head
  }

  private func begin(
    _ head: RequestHead, _ exchange: UnsafeMutablePointer<Exchange>, _ connection: OpaquePointer
  ) -> MHD_Result {
    if let problem = responder.refusal(of: head) {
      // A reply now ends the connection under the client's hands while it still sends. Where it asked first, or where
      // far too much would come, that is right; otherwise its body is read to the end so that it sees the reply.
      let tooMuch = (head.contentLength ?? 0) / 2 > responder.bodyLimitBytes
      if head.asksBeforeSending || tooMuch { return send(refused(problem), exchange, connection) }
      exchange.pointee.phase = .discarding(problem)
      return .YES
    }
    exchange.pointee.announced = head.contentLength
    exchange.pointee.namespace = responder.namespaceForUpload(head)
    return .YES
  }

  /// A piece of the body.
  private func receive(_ piece: UnsafeRawBufferPointer, _ exchange: UnsafeMutablePointer<Exchange>) -> MHD_Result {
    if case .reading = exchange.pointee.phase {
      guard let problem = append(piece, exchange) else { return .YES }
      release(&exchange.pointee.upload)
      exchange.pointee.phase = .discarding(problem)
    }
    exchange.pointee.discardedBytes += piece.count
    // Without end, or of no announced length: hanging up is the only answer left.
    return exchange.pointee.discardedBytes > 2 * responder.bodyLimitBytes ? .NO : .YES
  }

  /// Grows the buffer by doubling, never ahead of what arrives by more than that; and makes room for it in the node's
  /// memory, as a write of that size would.
  private func append(_ piece: UnsafeRawBufferPointer, _ exchange: UnsafeMutablePointer<Exchange>) -> Problem? {
    var buffer = exchange.pointee.upload ?? OutputBuffer(capacity: 0)
    defer { exchange.pointee.upload = buffer }
    let needed = buffer.count + piece.count
    if needed > responder.bodyLimitBytes { return .bodyTooLarge(limitBytes: responder.bodyLimitBytes) }
    if needed > buffer.capacity {
      var capacity = max(needed, 2 * buffer.capacity)
      if let announced = exchange.pointee.announced { capacity = max(needed, min(capacity, announced)) }
      let growth = capacity - buffer.capacity
      if growth >= 64 << 10 {
        let outcome = responder.node.store.admit(
          growth, in: exchange.pointee.namespace, as: responder.keyspace.worker, now: loop.now)
        if outcome == .outOfMemory { return .outOfMemory() }
      }
      buffer.grow(to: capacity)
      hold(growth)
    }
    buffer.append(piece)
    return nil
  }

  private func answer(
    _ head: RequestHead, _ exchange: UnsafeMutablePointer<Exchange>, _ connection: OpaquePointer
  ) -> MHD_Result {
    let start = loop.monotonicNanoseconds
    // The room made for the upload becomes the entry's: counted once, so that a value that fits by itself fits.
    countUpload(exchange.pointee.upload, -1)
    let body = exchange.pointee.upload.map { UnsafeMutableRawBufferPointer(start: $0.base, count: $0.count) }
    let answer = responder.respond(
      to: head, body: body ?? UnsafeMutableRawBufferPointer(start: nil, count: 0), now: loop.now)
    defer {
      countUpload(exchange.pointee.upload, +1)
      release(&exchange.pointee.upload)
    }
    switch answer {
    case .reply(let reply):
      responder.keyspace.statistics.pointee.noteLatency(nanoseconds: loop.monotonicNanoseconds &- start)
      return send(reply, exchange, connection)
    case .everywhere(let request, let entries): return gather(request, entries, exchange, connection, begunAt: start)
    case .elsewhere(let request): return forward(request, exchange, connection, begunAt: start)
    case .events(let query):
      guard let number = streams.open(query, connection) else {
        return send(refused(.tooManyReaders(limit: configuration.eventReadersMost)), exchange, connection)
      }
      responder.countStream()
      exchange.pointee.phase = .streaming(number)
      return .YES
    }
  }

  func refused(_ problem: Problem) -> Reply {
    let reply = Reply(problem)
    responder.count(reply)
    return reply
  }

  func send(
    _ reply: Reply, _ exchange: UnsafeMutablePointer<Exchange>, _ connection: OpaquePointer
  ) -> MHD_Result {
    let bytes = reply.bytes
    var mode = MHD_ResponseMemoryMode.RESPMEM_PERSISTENT
    if case .owned(let buffer) = reply.body {
      mode = .RESPMEM_MUST_FREE
      exchange.pointee.replyBytes = buffer.capacity
      responder.pendingReplyBytes += buffer.capacity
      hold(buffer.capacity)
    }
    exchange.pointee.phase = .replied
    let response = MHD_create_response_from_buffer(
      bytes.count, UnsafeMutableRawPointer(mutating: bytes.baseAddress), mode)
    guard let response else {
      reply.deallocate()
      return .NO
    }
    defer { MHD_destroy_response(response) }
    MHD_add_response_header(response, "Content-Type", reply.contentType.text)
    switch reply.header {
    case .allow(let methods):
      MHD_add_response_header(
        response, "Allow", UnsafeRawPointer(methods.utf8Start).assumingMemoryBound(to: CChar.self))
    case .authenticate: MHD_add_response_header(response, "WWW-Authenticate", "Basic realm=\"nexuscache\"")
    case nil: break
    }
    return MHD_queue_response(connection, UInt32(reply.status), response)
  }

  /// The reply is sent, or the connection is gone.
  func completed(_ slot: UnsafeMutablePointer<UnsafeMutableRawPointer?>) {
    guard let exchange = slot.pointee?.assumingMemoryBound(to: Exchange.self) else { return }
    slot.pointee = nil
    switch exchange.pointee.phase {
    case .answered(let reply): reply.deallocate()
    case .streaming(let number): streams.closed(number)
    default: break
    }
    release(&exchange.pointee.upload)
    responder.pendingReplyBytes -= exchange.pointee.replyBytes
    hold(-exchange.pointee.replyBytes)
    exchanges.giveBack(exchange)
  }

  private func countUpload(_ upload: OutputBuffer?, _ sign: Int) {
    if let upload { hold(sign * upload.capacity) }
  }

  private func release(_ upload: inout OutputBuffer?) {
    guard let buffer = upload else { return }
    hold(-buffer.capacity)
    buffer.deallocate()
    upload = nil
  }
}

extension Reply.ContentType {
  /// Ended by a 0.
  fileprivate var text: UnsafePointer<CChar> {
    let text: StaticString =
      switch self {
      case .json: "application/json"
      case .bytes: "application/octet-stream"
      case .text: "text/plain; charset=utf-8"
      case .metrics: "text/plain; version=0.0.4; charset=utf-8"
      }
    return UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
  }
}
