import CNghttp2
import NexusModel
import NexusService

/// One gRPC call: one stream of a session. Invariant: touched by its loop's thread only.
final class Call: MessageStream {
  enum Sending {
    /// Served, and its head is not submitted yet.
    case headless
    case open
    /// Takes no more messages; ends with this once the queue is empty.
    case finishing(CallStatus)
    case ended(CallStatus)
  }

  enum Receiving {
    /// Its head has not come.
    case headless
    case open
    /// What comes is of no interest any more.
    case deaf
    /// The other side has ended it while what arrived before waits for `resume`.
    case ended(End)
  }

  enum End {
    case finished
    case closed(CallEnd, [(name: String, value: String)])
  }

  /// nil once closed.
  private(set) var session: HTTP2Session?
  /// 0 where the stream is gone.
  var streamID: Int32 = 0
  /// In the session's list.
  var index = 0
  /// In milliseconds of the owner's clock.
  var deadline = Int.max
  /// nil before it is admitted and once it is told `closed`.
  var handler: (any MessageStreamHandler)?
  /// The block of header fields that is coming in, or came last.
  var fields = IncomingFields()
  var sending: Sending
  var receiving = Receiving.headless
  var queue = MessageQueue()
  var reader: MessageReader
  /// What arrived while receiving was paused. It is not consumed yet, so that the window bounds it.
  var held: OutputBuffer?
  var isPaused = false
  /// A handler is being called with a message.
  var isDelivering = false
  /// libnghttp2 waits to be told of data.
  var isDeferred = false
  /// The request never left.
  private var wasNotSent = false
  private let gauge: MemoryGauge
  private var countedBytes = 0

  init(_ session: HTTP2Session) {
    self.session = session
    gauge = session.gauge
    sending = session.role == .serving ? .headless : .open
    reader = MessageReader(limitBytes: session.limits.messageBytes)
  }

  deinit {
    queue.deallocate()
    reader.deallocate()
    held?.deallocate()
    gauge.subtract(countedBytes)
  }

  var isServed: Bool { session?.role == .serving }

  /// Tells the gauge what the buffers have come to.
  func count() {
    let bytes = queue.capacity + reader.capacity + (held?.capacity ?? 0)
    if bytes == countedBytes { return }
    gauge.add(bytes - countedBytes)
    countedBytes = bytes
  }

  func trim() {
    queue.trim()
    reader.trim()
    count()
  }

  // MARK: MessageStream

  var queuedBytes: Int { queue.count }

  func send(_ message: UnsafeRawBufferPointer) -> Bool {
    guard canSend else { return false }
    queue.append(message)
    onQueued()
    return true
  }

  func send(_ write: (inout OutputBuffer) -> Void) -> Bool {
    guard canSend else { return false }
    queue.append(write)
    onQueued()
    return true
  }

  private var canSend: Bool {
    guard let session, queue.count <= session.limits.queueBytes else { return false }
    switch sending {
    case .headless, .open: return true
    case .finishing, .ended: return false
    }
  }

  private func onQueued() {
    count()
    submitHeadIfMissing()
    wake()
  }

  func finish(_ status: CallStatus) {
    guard session != nil else { return }
    if !isServed && !status.isOK { return cancel(status) }
    switch sending {
    case .headless where queue.count == 0: answerWithoutMessages(status)
    case .headless, .open:
      sending = .finishing(status)
      wake()
    case .finishing, .ended: return
    }
    if isServed { receiving = .deaf }
  }

  func cancel(_ status: CallStatus) {
    guard session != nil else { return }
    reset(NGHTTP2_CANCEL)
    close(CallEnd(status, .given))
  }

  func pause() { isPaused = true }

  func resume() {
    guard isPaused else { return }
    isPaused = false
    guard !isDelivering, session != nil else { return }
    deliverHeld()
  }

  // MARK: The end

  /// Its time is over.
  func expire() {
    guard session != nil else { return }
    let status = CallStatus(.deadlineExceeded, "the call's time is over")
    guard isServed else { return cancel(status) }
    if case .ended = sending { return }
    queue.clear()
    finishNow(status)
  }

  /// Ends a served call whatever waits in its queue.
  func finishNow(_ status: CallStatus) {
    queue.clear()
    if case .finishing = sending { sending = .finishing(status) } else { finish(status) }
    wake()
  }

  func reset(_ code: nghttp2_error_code) {
    guard let handle = session?.handle, streamID > 0 else { return }
    nghttp2_submit_rst_stream(handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), streamID, code.rawValue)
    session?.noteOutput()
  }

  func onNotSent() { wasNotSent = true }

  /// The stream is gone from the session.
  func onStreamClosed(_ code: UInt32) {
    streamID = 0
    if case .ended(.closed) = receiving { return }
    switch sending {
    case .ended(let status) where isServed && code == NGHTTP2_NO_ERROR.rawValue: close(CallEnd(status, .served))
    default:
      if wasNotSent { return close(CallEnd(CallStatus(.unavailable, "the connection is going away"), .refused)) }
      let isUntouched = code == NGHTTP2_REFUSED_STREAM.rawValue && !isServed
      close(CallEnd(StatusText.status(resetCode: code), isUntouched ? .refused : .reset(code)))
    }
  }

  /// The last word to the handler, who may keep the stream: it takes nothing any more.
  func close(_ end: CallEnd, _ trailers: [(name: String, value: String)] = []) {
    guard let session else { return }
    if let handle = session.handle {
      if streamID > 0 { nghttp2_session_set_stream_user_data(handle, streamID, nil) }
      session.remove(self)
    }
    orphaned(end, trailers)
  }

  /// As `close`, for a session that has forgotten the call already.
  func orphaned(_ end: CallEnd, _ trailers: [(name: String, value: String)] = []) {
    session = nil
    streamID = 0
    queue.clear()
    let handler = handler
    self.handler = nil
    handler?.closed(end, trailers)
  }
}
