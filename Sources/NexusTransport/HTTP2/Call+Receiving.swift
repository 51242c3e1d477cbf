import CNghttp2
import Glibc
import NexusModel
import NexusService

/// From libnghttp2 to the handler.
extension Call {
  /// A block of header fields is complete.
  func onFields(isLast: Bool) {
    if isServed {
      if case .headless = receiving { onRequest() }
      if isLast { onLastData() }
    } else {
      onAnswerFields(isLast: isLast)
    }
  }

  // MARK: Serving

  private func onRequest() {
    guard let session else { return }
    receiving = .open
    guard fields.method == "POST" else { return answer(httpStatus: 405) }
    guard fields.isGRPC else { return answer(httpStatus: 415) }
    var timeout: Int?
    switch fields.timeout {
    case .none: break
    case .milliseconds(let milliseconds): timeout = milliseconds
    case .malformed: return finish(CallStatus(.internal, "the grpc-timeout is malformed"))
    }
    if let encoding = fields.encoding {
      return finish(CallStatus(.unimplemented, "messages compressed by \(encoding) are not understood: send identity"))
    }
    let head = CallHead(path: fields.path, headers: fields.custom, timeoutMilliseconds: timeout, peer: session.peer)
    fields = IncomingFields()
    guard let owner = session.owner else { return finish(CallStatus(.unavailable, "the node stops")) }
    switch owner.admit(head) {
    case .refused(let status): finish(status)
    case .taken(let handler):
      self.handler = handler
      session.awaitHead(self)
      handler.opened(self)
      if let timeout, self.session != nil { owner.limit(self, milliseconds: timeout) }
    }
  }

  /// The other side sends no more on this stream.
  func onLastData() {
    guard isServed else {
      // The answer ended, but not in trailers.
      return end(CallEnd(CallStatus(.internal, "the call ended without trailers"), .served), [])
    }
    guard case .open = receiving else { return }
    if held != nil && held!.count > 0 {
      receiving = .ended(.finished)
    } else {
      onCallerFinished()
    }
  }

  private func onCallerFinished() {
    receiving = .deaf
    if reader.isAmidst {
      return finishNow(CallStatus(.internal, "the caller's messages end in the midst of one"))
    }
    handler?.finished()
  }

  // MARK: Calling

  private func onAnswerFields(isLast: Bool) {
    switch receiving {
    case .headless: onAnswerHead(isLast: isLast)
    case .open:
      // Trailers; where they do not end the stream, DATA's end will.
      end(CallEnd(fields.status, .served), fields.custom)
    case .deaf, .ended: break
    }
  }

  private func onAnswerHead(isLast: Bool) {
    let httpStatus = fields.httpStatus ?? 0
    if (100..<200).contains(httpStatus) { return }
    receiving = .open
    if fields.grpcStatus != nil && isLast { return end(CallEnd(fields.status, .served), fields.custom) }
    guard httpStatus == 200 else {
      let status = CallStatus(
        StatusText.code(httpStatus: httpStatus), "the other side answered with HTTP status \(httpStatus)")
      return breakOff(status)
    }
    guard fields.isGRPC else {
      return breakOff(CallStatus(.unknown, "the other side's answer is not gRPC's (content-type)"))
    }
    if let encoding = fields.encoding {
      return breakOff(CallStatus(.internal, "the answer is compressed by \(encoding), which was not offered"))
    }
    if isLast { return end(CallEnd(fields.status, .served), fields.custom) }
    let custom = fields.custom
    fields = IncomingFields()
    handler?.accepted(custom)
  }

  private func breakOff(_ status: CallStatus) {
    reset(NGHTTP2_CANCEL)
    close(CallEnd(status, .served))
  }

  /// The serving side has ended the call: after what it sent before.
  private func end(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    if held != nil && held!.count > 0 && isPaused {
      receiving = .ended(.closed(end, trailers))
      return
    }
    var end = end
    if reader.isAmidst && end.status.isOK {
      end = CallEnd(CallStatus(.internal, "the answer ended in the midst of a message"), .served)
    }
    // It reads no more: nor need this side send.
    if case .ended = sending {} else { reset(NGHTTP2_NO_ERROR) }
    close(end, trailers)
  }

  // MARK: Messages

  func onData(_ chunk: UnsafeRawBufferPointer) {
    if isPaused || (held?.count ?? 0) > 0 {
      if case .deaf = receiving { return consume(chunk.count) }
      if held == nil { held = OutputBuffer(capacity: max(1024, chunk.count)) }
      held!.append(chunk)
      count()
      return
    }
    var rest = chunk
    deliver(&rest)
    // What a pause left over stays in the window until it is delivered.
    consume(chunk.count - rest.count)
    guard rest.count > 0 else { return }
    if held == nil { held = OutputBuffer(capacity: max(1024, rest.count)) }
    held!.append(rest)
    count()
  }

  private func consume(_ byteCount: Int) {
    guard byteCount > 0, streamID > 0, let session, let handle = session.handle else { return }
    nghttp2_session_consume_stream(handle, streamID, byteCount)
    session.noteOutput()
  }

  /// Hands on messages until the input is used up or receiving is paused.
  private func deliver(_ input: inout UnsafeRawBufferPointer) {
    isDelivering = true
    defer {
      isDelivering = false
      count()
    }
    while input.count > 0 && !isPaused {
      if isDeaf {
        input = UnsafeRawBufferPointer(start: nil, count: 0)
        return
      }
      do {
        switch try reader.next(&input) {
        case .needsMore: return
        case .message(let message): handler?.received(message)
        }
      } catch {
        input = UnsafeRawBufferPointer(start: nil, count: 0)
        fail(error)
      }
    }
  }

  private var isDeaf: Bool {
    if session == nil { return true }
    if case .deaf = receiving { return true }
    return false
  }

  private func fail(_ failure: MessageReader.Failure) {
    let status =
      switch failure {
      case .tooLong(let bytes):
        CallStatus(
          .resourceExhausted,
          "a message of \(bytes) bytes is longer than the limit of \(session?.limits.messageBytes ?? 0)")
      case .flags(let flags):
        CallStatus(.internal, "a message has the flags \(flags), but compression was not agreed on")
      }
    if isServed {
      finishNow(status)
    } else {
      cancel(status)
    }
  }

  /// After a pause: what waited, then the end that came behind it.
  func deliverHeld() {
    if var waiting = held, waiting.count > 0 {
      held = nil
      var rest = waiting.bytes
      deliver(&rest)
      let taken = waiting.count - rest.count
      if rest.count > 0 {
        memmove(waiting.base, rest.baseAddress!, rest.count)
        waiting.count = rest.count
        held = waiting
      } else {
        waiting.deallocate()
      }
      count()
      consume(taken)
    }
    guard (held?.count ?? 0) == 0, session != nil, case .ended(let end) = receiving else { return }
    switch end {
    case .finished: onCallerFinished()
    case .closed(let end, let trailers): self.end(end, trailers)
    }
  }
}
