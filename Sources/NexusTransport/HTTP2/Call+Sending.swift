import CNghttp2
import NexusModel
import NexusService

/// From the queue to libnghttp2.
extension Call {
  private static let noFlags = UInt8(NGHTTP2_FLAG_NONE.rawValue)

  func submitHeadIfMissing() {
    guard case .headless = sending, let handle = session?.handle, streamID > 0 else { return }
    sending = .open
    var source = HTTP2Callbacks.dataSource
    nghttp2_submit_response(handle, streamID, ConstantFields.answer.vector, ConstantFields.answer.count, &source)
  }

  /// Head and trailers in one.
  func answerWithoutMessages(_ status: CallStatus) {
    guard let session, let handle = session.handle, streamID > 0 else { return }
    sending = .ended(status)
    var fields = HeaderFields()
    fields.add(":status", "200")
    fields.add("content-type", "application/grpc")
    fields.add(trailers: status)
    fields.withVector { vector, count in _ = nghttp2_submit_response(handle, streamID, vector, count, nil) }
    session.noteOutput()
  }

  /// An answer to something that is not gRPC.
  func answer(httpStatus: Int) {
    guard let session, let handle = session.handle, streamID > 0 else { return }
    sending = .ended(CallStatus(StatusText.code(httpStatus: httpStatus)))
    receiving = .deaf
    var fields = HeaderFields()
    fields.add(":status", "\(httpStatus)")
    fields.withVector { vector, count in _ = nghttp2_submit_response(handle, streamID, vector, count, nil) }
    session.noteOutput()
  }

  /// There is something to be read from the queue, or its end has come.
  func wake() {
    guard let session, let handle = session.handle else { return }
    if isDeferred {
      isDeferred = false
      nghttp2_session_resume_data(handle, streamID)
    }
    session.noteOutput()
  }

  /// How many bytes the next DATA frame takes, at most `length`; libnghttp2 asks.
  func offerData(_ length: Int, _ flags: inout UInt32) -> Int {
    let offered = min(queue.count, length)
    let isLast = offered == queue.count
    if offered > 0 { flags |= NGHTTP2_DATA_FLAG_NO_COPY.rawValue }
    guard isLast, case .finishing(let status) = sending else {
      if offered > 0 { return offered }
      isDeferred = true
      return Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }
    flags |= NGHTTP2_DATA_FLAG_EOF.rawValue
    sending = .ended(status)
    if isServed {
      flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
      submitTrailers(status)
    }
    return offered
  }

  private func submitTrailers(_ status: CallStatus) {
    guard let handle = session?.handle else { return }
    if status == .ok {
      nghttp2_submit_trailer(handle, streamID, ConstantFields.succeeded.vector, ConstantFields.succeeded.count)
      return
    }
    var fields = HeaderFields()
    fields.add(trailers: status)
    fields.withVector { vector, count in _ = nghttp2_submit_trailer(handle, streamID, vector, count) }
  }

  func takeData(_ length: Int, into output: inout OutputBuffer) {
    queue.take(length, into: &output)
    if queue.count == 0 { session?.onEmptied(self) }
  }
}
