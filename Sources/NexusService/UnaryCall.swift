import NexusModel

/// One message there, one back.
extension MessageStreams {
  /// - Parameter answered: called once: the answer's bytes, or how the call ended without one.
  @discardableResult public func call(
    to address: NetworkAddress, path: String, headers: [(name: String, value: String)] = [],
    timeoutMilliseconds: Int?, message: UnsafeRawBufferPointer,
    _ answered: @escaping (Result<[UInt8], CallEnd>) -> Void
  ) -> any MessageStream {
    let stream = open(
      to: address, path: path, headers: headers, timeoutMilliseconds: timeoutMilliseconds, UnaryCall(answered))
    if stream.send(message) {
      stream.finish(.ok)
    } else {
      stream.cancel(CallStatus(.resourceExhausted, "the message of \(message.count) bytes cannot be queued"))
    }
    return stream
  }

  /// Serves a path whose calls have one message each. `answer` gets it (valid during the call), and sends one message
  /// and finishes the stream, at once or later; where the call ends before, the stream takes nothing any more.
  public func serveUnary(
    _ path: String,
    _ answer: @escaping (CallHead, _ message: UnsafeRawBufferPointer, _ stream: any MessageStream) -> Void
  ) {
    serve(path) { head in .taken(by: UnaryService(head, answer)) }
  }
}

private final class UnaryCall: MessageStreamHandler {
  private let answered: (Result<[UInt8], CallEnd>) -> Void
  private var answer: [UInt8]?

  init(_ answered: @escaping (Result<[UInt8], CallEnd>) -> Void) { self.answered = answered }

  func opened(_ stream: any MessageStream) {}
  func received(_ message: UnsafeRawBufferPointer) { answer = Array(message) }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    guard end.status.isOK else { return answered(.failure(end)) }
    guard let answer else {
      return answered(.failure(CallEnd(CallStatus(.internal, "the call ended well, but without an answer"), end.cause)))
    }
    answered(.success(answer))
  }
}

private final class UnaryService: MessageStreamHandler {
  private let head: CallHead
  private let answer: (CallHead, UnsafeRawBufferPointer, any MessageStream) -> Void
  private var stream: (any MessageStream)?
  private var hasMessage = false

  init(_ head: CallHead, _ answer: @escaping (CallHead, UnsafeRawBufferPointer, any MessageStream) -> Void) {
    self.head = head
    self.answer = answer
  }

  func opened(_ stream: any MessageStream) { self.stream = stream }

  func received(_ message: UnsafeRawBufferPointer) {
    guard let stream else { return }
    guard !hasMessage else {
      return stream.finish(CallStatus(.invalidArgument, "\(head.path) takes one message, and a second one came"))
    }
    hasMessage = true
    answer(head, message, stream)
  }

  func finished() {
    if !hasMessage { stream?.finish(CallStatus(.invalidArgument, "\(head.path) takes one message, and none came")) }
  }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) { stream = nil }
}
