import CNghttp2
import NexusModel

/// What libnghttp2 calls while a session receives and writes; made once, for all sessions.
///
/// Invariant: the user data of a session is its `HTTP2Session`, that of a stream its `Call`, which its session's list
/// keeps alive until it is closed; `Call.close` takes it off the stream.
struct HTTP2Callbacks: @unchecked Sendable {
  static let shared = HTTP2Callbacks()

  /// Invariant: written in `init` only.
  let table: OpaquePointer
  let options: OpaquePointer

  static var dataSource: nghttp2_data_provider {
    nghttp2_data_provider(source: nghttp2_data_source(ptr: nil), read_callback: onReadData)
  }

  private init() {
    var table: OpaquePointer?
    nghttp2_session_callbacks_new(&table)
    nghttp2_session_callbacks_set_on_begin_headers_callback(table, onBeginHeaders)
    nghttp2_session_callbacks_set_on_header_callback(table, onHeader)
    nghttp2_session_callbacks_set_on_frame_recv_callback(table, onFrame)
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(table, onDataChunk)
    nghttp2_session_callbacks_set_on_stream_close_callback(table, onStreamClose)
    nghttp2_session_callbacks_set_on_frame_send_callback(table, onFrameSent)
    nghttp2_session_callbacks_set_on_frame_not_send_callback(table, onFrameNotSent)
    nghttp2_session_callbacks_set_send_data_callback(table, onSendData)
    nghttp2_session_callbacks_set_data_source_read_length_callback(table, onReadLength)
    nghttp2_session_callbacks_set_error_callback2(table, onComplaint)
    self.table = table!
    var options: OpaquePointer?
    nghttp2_option_new(&options)
    // Windows open again as calls take what arrived, not as it arrives.
    nghttp2_option_set_no_auto_window_update(options, 1)
    nghttp2_option_set_no_closed_streams(options, 1)
    self.options = options!
  }
}

private func session(_ context: UnsafeMutableRawPointer?) -> HTTP2Session {
  Unmanaged<HTTP2Session>.fromOpaque(context!).takeUnretainedValue()
}

private func call(_ handle: OpaquePointer?, _ streamID: Int32) -> Call? {
  nghttp2_session_get_stream_user_data(handle, streamID).map { Unmanaged<Call>.fromOpaque($0).takeUnretainedValue() }
}

private func has(_ flags: UInt8, _ flag: nghttp2_flag) -> Bool { UInt32(flags) & flag.rawValue != 0 }

private func onBeginHeaders(
  _ handle: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  let streamID = frame!.pointee.hd.stream_id
  if frame!.pointee.headers.cat == NGHTTP2_HCAT_REQUEST {
    let session = session(context)
    let call = Call(session)
    call.streamID = streamID
    session.add(call)
    nghttp2_session_set_stream_user_data(handle, streamID, Unmanaged.passUnretained(call).toOpaque())
  } else {
    call(handle, streamID)?.fields = IncomingFields()
  }
  return 0
}

private func onHeader(
  _ handle: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ name: UnsafePointer<UInt8>?, _ nameCount: Int,
  _ value: UnsafePointer<UInt8>?, _ valueCount: Int, _ flags: UInt8, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  guard let call = call(handle, frame!.pointee.hd.stream_id) else { return 0 }
  call.fields.add(
    UnsafeRawBufferPointer(start: name, count: nameCount), UnsafeRawBufferPointer(start: value, count: valueCount))
  return call.fields.bytes <= session(context).limits.headerBytes ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
}

private func onFrame(
  _ handle: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  let header = frame!.pointee.hd
  switch nghttp2_frame_type(UInt32(header.type)) {
  case NGHTTP2_HEADERS:
    call(handle, header.stream_id)?.onFields(isLast: has(header.flags, NGHTTP2_FLAG_END_STREAM))
  case NGHTTP2_DATA:
    if has(header.flags, NGHTTP2_FLAG_END_STREAM) { call(handle, header.stream_id)?.onLastData() }
  case NGHTTP2_GOAWAY:
    let goaway = frame!.pointee.goaway
    let text = UnsafeRawBufferPointer(start: goaway.opaque_data, count: min(goaway.opaque_data_len, 256))
    session(context).farewell = HTTP2Session.Farewell(
      code: goaway.error_code, text: String(decoding: text, as: UTF8.self))
  default: break
  }
  return 0
}

private func onDataChunk(
  _ handle: OpaquePointer?, _ flags: UInt8, _ streamID: Int32, _ bytes: UnsafePointer<UInt8>?, _ count: Int,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  // The window of the connection opens at once: one paused stream is not to hold up the others.
  nghttp2_session_consume_connection(handle, count)
  if let call = call(handle, streamID) {
    call.onData(UnsafeRawBufferPointer(start: bytes, count: count))
  } else {
    nghttp2_session_consume_stream(handle, streamID, count)
  }
  return 0
}

private func onStreamClose(
  _ handle: OpaquePointer?, _ streamID: Int32, _ code: UInt32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  call(handle, streamID)?.onStreamClosed(code)
  return 0
}

private func onFrameSent(
  _ handle: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  let header = frame!.pointee.hd
  guard header.type == UInt8(NGHTTP2_HEADERS.rawValue), has(header.flags, NGHTTP2_FLAG_END_STREAM) else { return 0 }
  // The answer is complete though the caller has not ended its side: it need not send any more.
  if session(context).role == .serving, nghttp2_session_get_stream_remote_close(handle, header.stream_id) == 0 {
    nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), header.stream_id, NGHTTP2_NO_ERROR.rawValue)
  }
  return 0
}

private func onFrameNotSent(
  _ handle: OpaquePointer?, _ frame: UnsafePointer<nghttp2_frame>?, _ code: Int32, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  let header = frame!.pointee.hd
  guard header.type == UInt8(NGHTTP2_HEADERS.rawValue), frame!.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
  else { return 0 }
  call(handle, header.stream_id)?.onNotSent()
  return 0
}

private func onReadLength(
  _ handle: OpaquePointer?, _ type: UInt8, _ streamID: Int32, _ connectionWindow: Int32, _ streamWindow: Int32,
  _ largestFrame: UInt32, _ context: UnsafeMutableRawPointer?
) -> Int {
  let session = session(context)
  return max(1, min(Int(largestFrame), session.outputLimit - session.output.count))
}

private func onReadData(
  _ handle: OpaquePointer?, _ streamID: Int32, _ buffer: UnsafeMutablePointer<UInt8>?, _ length: Int,
  _ flags: UnsafeMutablePointer<UInt32>?, _ source: UnsafeMutablePointer<nghttp2_data_source>?,
  _ context: UnsafeMutableRawPointer?
) -> Int {
  guard let call = call(handle, streamID) else { return Int(NGHTTP2_ERR_DEFERRED.rawValue) }
  return call.offerData(length, &flags!.pointee)
}

private func onSendData(
  _ handle: OpaquePointer?, _ frame: UnsafeMutablePointer<nghttp2_frame>?, _ frameHeader: UnsafePointer<UInt8>?,
  _ length: Int, _ source: UnsafeMutablePointer<nghttp2_data_source>?, _ context: UnsafeMutableRawPointer?
) -> Int32 {
  let session = session(context)
  guard let call = call(handle, frame!.pointee.hd.stream_id), call.queuedBytes >= length else {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
  }
  var output = session.output
  output.append(frameHeader!, 9)
  call.takeData(length, into: &output)
  session.output = output
  return output.count >= session.outputLimit ? NGHTTP2_ERR_PAUSE.rawValue : 0
}

private func onComplaint(
  _ handle: OpaquePointer?, _ code: Int32, _ text: UnsafePointer<CChar>?, _ count: Int,
  _ context: UnsafeMutableRawPointer?
) -> Int32 {
  session(context).complaint = String(decoding: UnsafeRawBufferPointer(start: text, count: count), as: UTF8.self)
  return 0
}
