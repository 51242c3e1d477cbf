import CNghttp2
import NexusModel
import NexusService

/// What a session asks of whoever carries its bytes. Called on the loop's thread.
protocol HTTP2SessionOwner: AnyObject {
  /// There is something to `write`. Not called within `receive` and `write`: see `wantsToWrite`.
  func sessionHasOutput()
  /// A call has come.
  func admit(_ head: CallHead) -> CallAdmission
  /// Call `expire` on it after this time, should it still be open.
  func limit(_ call: Call, milliseconds: Int)
}

/// One HTTP/2 connection that carries gRPC calls, without its socket: bytes in, bytes out, no clock (RFC 9113;
/// grpc/doc/PROTOCOL-HTTP2.md).
///
/// Whoever makes one calls `end` when its connection is gone.
///
/// Invariant: one thread; libnghttp2 calls back within `receive` and `write` only, never after `end`.
final class HTTP2Session {
  enum Role { case serving, calling }

  /// Why `receive` gives the connection up at once.
  enum Failure: Error {
    /// The first bytes are not HTTP/2's.
    case notHTTP2
    case broken(String)
  }

  private static let userAgent = "nexuscache/\(Product.version)"

  let role: Role
  let limits: MessageStreamLimits
  let gauge: MemoryGauge
  /// Invariant: the owner outlives the session's last call.
  private(set) weak var owner: (any HTTP2SessionOwner)?
  /// As calls are told who calls: `10.0.0.7:51234`.
  var peer = ""
  /// nil after `end`.
  private(set) var handle: OpaquePointer?
  private(set) var calls: [Call] = []
  /// Served calls whose head is still to be sent.
  private var headless: [Call] = []
  private var justDrained: [Call] = []
  /// Within `receive` or `write`, whose caller asks for what came of it.
  private var isAtWork = false

  /// Where `write` is writing, and up to where.
  var output: OutputBuffer
  var outputLimit = 0

  /// What the other side said as it ends the connection (GOAWAY).
  struct Farewell {
    let code: UInt32
    let text: String
  }
  var farewell: Farewell?
  var hasSaidFarewell = false
  /// Frames came of which libnghttp2 complained.
  var complaint = ""
  private(set) var keepalive = Keepalive()

  init(_ role: Role, _ limits: MessageStreamLimits, _ gauge: MemoryGauge, owner: any HTTP2SessionOwner) {
    self.role = role
    self.limits = limits
    self.gauge = gauge
    self.owner = owner
    output = OutputBuffer(capacity: 0)
    output.deallocate()
    let context = Unmanaged.passUnretained(self).toOpaque()
    let made =
      role == .serving
      ? nghttp2_session_server_new2(&handle, HTTP2Callbacks.shared.table, context, HTTP2Callbacks.shared.options)
      : nghttp2_session_client_new2(&handle, HTTP2Callbacks.shared.table, context, HTTP2Callbacks.shared.options)
    precondition(made == 0, "libnghttp2 has no memory for a session")
    submitSettings()
  }

  deinit { nghttp2_session_del(handle) }

  private func submitSettings() {
    func setting(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
      nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(clamping: value))
    }
    var settings = [
      setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, min(limits.streamWindowBytes, Int(Int32.max))),
      setting(NGHTTP2_SETTINGS_MAX_FRAME_SIZE, max(16_384, min(limits.frameBytes, (1 << 24) - 1))),
      setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits.headerBytes),
    ]
    settings.append(
      role == .serving
        ? setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits.streams) : setting(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
    nghttp2_submit_settings(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), settings, settings.count)
    nghttp2_session_set_local_window_size(
      handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), 0, Int32(clamping: limits.connectionWindowBytes))
  }

  // MARK: Bytes

  /// Takes all of the input, and calls the handlers of what came with it.
  func receive(_ input: UnsafeRawBufferPointer) throws(Failure) {
    guard let handle, let start = input.baseAddress else { return }
    keepalive.onBytes()
    isAtWork = true
    defer { isAtWork = false }
    let taken = nghttp2_session_mem_recv(handle, start.assumingMemoryBound(to: UInt8.self), input.count)
    if taken == Int(NGHTTP2_ERR_BAD_CLIENT_MAGIC.rawValue) { throw .notHTTP2 }
    guard taken >= 0 else { throw .broken(String(cString: nghttp2_strerror(Int32(taken)))) }
  }

  var wantsToWrite: Bool {
    guard let handle else { return false }
    return !headless.isEmpty || nghttp2_session_want_write(handle) != 0
  }

  /// Everything is said, or the protocol was broken: nothing more will be read or written.
  var isOver: Bool {
    guard let handle else { return true }
    return nghttp2_session_want_read(handle) == 0 && nghttp2_session_want_write(handle) == 0
  }

  /// Appends what is to be sent, about `limit` bytes of it. True: there is more.
  func write(into target: inout OutputBuffer, limit: Int) -> Bool {
    guard let handle else { return false }
    isAtWork = true
    defer { isAtWork = false }
    submitHeads()
    output = target
    outputLimit = output.count + limit
    var bytes: UnsafePointer<UInt8>?
    // Ends early where all is said. DATA frames are appended by their callback, which ends it at the limit.
    while output.count < outputLimit {
      let count = nghttp2_session_mem_send(handle, &bytes)
      if count <= 0 { break }
      output.append(bytes!, count)
    }
    target = output
    let isFull = output.count >= outputLimit
    return tellDrained() && wantsToWrite || isFull
  }

  /// Something was submitted to libnghttp2.
  func noteOutput() {
    if !isAtWork { owner?.sessionHasOutput() }
  }

  private func submitHeads() {
    guard !headless.isEmpty else { return }
    for call in headless { call.submitHeadIfMissing() }
    headless.removeAll(keepingCapacity: true)
  }

  func onEmptied(_ call: Call) { justDrained.append(call) }

  /// True: somebody was told, who may have sent more.
  private func tellDrained() -> Bool {
    guard !justDrained.isEmpty else { return false }
    let drained = justDrained
    justDrained.removeAll(keepingCapacity: true)
    for call in drained where call.queuedBytes == 0 { call.handler?.drained() }
    return true
  }

  // MARK: Calls

  /// Begins a call; it leaves with the next `write`s.
  func open(
    authority: String, path: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int?,
    _ handler: any MessageStreamHandler
  ) -> Call {
    var fields = HeaderFields()
    fields.add(":method", "POST")
    fields.add(":scheme", "http")
    fields.add(":path", path)
    fields.add(":authority", authority)
    fields.add("te", "trailers")
    fields.add("content-type", "application/grpc")
    fields.add("user-agent", Self.userAgent)
    if let timeoutMilliseconds { fields.add("grpc-timeout", StatusText.timeout(milliseconds: timeoutMilliseconds)) }
    for (name, value) in headers { fields.add(name, value) }
    let call = Call(self)
    call.handler = handler
    guard !isGoingAway else {
      add(call)
      handler.opened(call)
      call.close(CallEnd(CallStatus(.unavailable, "the connection takes no more calls"), .refused))
      return call
    }
    var source = HTTP2Callbacks.dataSource
    call.streamID = fields.withVector { vector, count in
      nghttp2_submit_request(handle, nil, vector, count, &source, Unmanaged.passUnretained(call).toOpaque())
    }
    add(call)
    handler.opened(call)
    if call.streamID < 0 {
      call.streamID = 0
      call.close(CallEnd(CallStatus(.unavailable, "the connection takes no more calls"), .refused))
    } else if call.session != nil, let timeoutMilliseconds {
      owner?.limit(call, milliseconds: timeoutMilliseconds)
    }
    noteOutput()
    return call
  }

  func add(_ call: Call) {
    call.index = calls.count
    calls.append(call)
  }

  func remove(_ call: Call) {
    calls[calls.count - 1].index = call.index
    calls.swapAt(call.index, calls.count - 1)
    calls.removeLast()
  }

  func awaitHead(_ call: Call) { headless.append(call) }

  /// Calls that are being served.
  var isBusy: Bool { role == .serving && !calls.isEmpty }

  /// New calls are not taken (or, calling, not made) any more: open ones go on.
  var isGoingAway: Bool { farewell != nil || hasSaidFarewell || handle == nil }

  /// Says that no new call is taken, and tells the handlers of those that are open.
  func sayFarewell() {
    guard let handle, !hasSaidFarewell else { return }
    hasSaidFarewell = true
    nghttp2_submit_goaway(
      handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), nghttp2_session_get_last_proc_stream_id(handle),
      NGHTTP2_NO_ERROR.rawValue, nil, 0)
    for call in calls { call.handler?.stopping() }
    noteOutput()
  }

  /// Ends every call and forgets everything. Nothing is called back afterwards.
  func end(_ end: CallEnd) {
    guard let handle else { return }
    self.handle = nil
    // Handlers may not find a way back: calls have no session any more when they are told.
    let orphans = calls
    calls = []
    headless = []
    justDrained = []
    for call in orphans { call.orphaned(end) }
    nghttp2_session_del(handle)
  }

  // MARK: The other side's life

  /// At intervals: memory that has not been used since the last time goes back. False: the other side does not answer.
  func tick(nowMilliseconds: Int) -> Bool {
    for call in calls { call.trim() }
    switch keepalive.step(nowMilliseconds: nowMilliseconds, limits) {
    case .nothing: return true
    case .lost: return false
    case .ask:
      nghttp2_submit_ping(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), nil)
      noteOutput()
      return true
    }
  }
}
