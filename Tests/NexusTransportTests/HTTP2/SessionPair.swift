import NexusModel
import NexusService

@testable import NexusTransport

/// What happened to one stream, as text, and what the story wants done when it happens.
final class Recorder: MessageStreamHandler {
  var stream: (any MessageStream)?
  var events: [String] = []
  var messages: [[UInt8]] = []
  var end: CallEnd?
  var trailers: [(name: String, value: String)] = []
  var onOpened: (any MessageStream) -> Void = { _ in }
  var onMessage: (any MessageStream, UnsafeRawBufferPointer) -> Void = { _, _ in }
  var onFinished: (any MessageStream) -> Void = { _ in }
  var onDrained: (any MessageStream) -> Void = { _ in }

  func opened(_ stream: any MessageStream) {
    self.stream = stream
    onOpened(stream)
  }

  func accepted(_ headers: [(name: String, value: String)]) {
    events.append("accepted" + headers.map { " \($0.name)=\($0.value)" }.joined())
  }

  func received(_ message: UnsafeRawBufferPointer) {
    messages.append(Array(message))
    onMessage(stream!, message)
  }

  func finished() {
    events.append("finished")
    onFinished(stream!)
  }

  func drained() {
    events.append("drained")
    onDrained(stream!)
  }

  func stopping() { events.append("stopping") }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    precondition(self.end == nil, "closed twice")
    self.end = end
    self.trailers = trailers
    events.append("closed \(end.status.code)")
  }

  var texts: [String] { messages.map { String(decoding: $0, as: UTF8.self) } }
}

extension MessageStream {
  @discardableResult func send(text: String) -> Bool { send(bytes: Array(text.utf8)) }

  @discardableResult func send(bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { send($0) } }
}

/// A calling and a serving session that hand one another their bytes, without sockets.
final class SessionPair {
  final class Owner: HTTP2SessionOwner {
    var services: [String: MessageStreamService] = [:]
    var limited: [(Call, Int)] = []

    func sessionHasOutput() {}
    func limit(_ call: Call, milliseconds: Int) { limited.append((call, milliseconds)) }

    func admit(_ head: CallHead) -> CallAdmission {
      services[head.path].map { $0(head) } ?? .refused(CallStatus(.unimplemented, "no \(head.path)"))
    }
  }

  let callingOwner = Owner()
  let servingOwner = Owner()
  let gauge = MemoryGauge()
  let calling: HTTP2Session
  let serving: HTTP2Session
  /// Handlers of served calls, in the order they came.
  private(set) var served: [Recorder] = []
  private(set) var heads: [CallHead] = []
  /// Bytes handed over in one piece.
  var pieceBytes = Int.max
  private(set) var carried = 0

  init(calling: MessageStreamLimits = .init(), serving: MessageStreamLimits = .init()) {
    self.calling = HTTP2Session(.calling, calling, gauge, owner: callingOwner)
    self.serving = HTTP2Session(.serving, serving, gauge, owner: servingOwner)
    self.serving.peer = "10.0.0.1:1234"
  }

  deinit {
    for session in [calling, serving] { session.end(CallEnd(CallStatus(.unavailable, "the story is over"), .lost)) }
  }

  /// Serves a path with recorders, which a story sets up as they are made.
  func serve(_ path: String, _ prepare: @escaping (Recorder) -> Void = { _ in }) {
    servingOwner.services[path] = { [unowned self] head in
      let recorder = Recorder()
      heads.append(head)
      served.append(recorder)
      prepare(recorder)
      return .taken(by: recorder)
    }
  }

  /// Echoes every message, and ends when the caller has finished.
  func serveEcho() {
    serve("/test.Echo/Echo") { recorder in
      recorder.onMessage = { stream, message in _ = stream.send(message) }
      recorder.onFinished = { $0.finish(.ok) }
    }
  }

  func open(
    _ path: String = "/test.Echo/Echo", headers: [(name: String, value: String)] = [], timeout: Int? = nil
  ) -> Recorder {
    let recorder = Recorder()
    _ = calling.open(
      authority: "test", path: path, headers: headers, timeoutMilliseconds: timeout, recorder)
    return recorder
  }

  /// Hands bytes to and fro until nobody has any.
  func settle() throws {
    var isQuiet = false
    while !isQuiet {
      let there = try carry(calling, serving)
      let back = try carry(serving, calling)
      isQuiet = there + back == 0
    }
  }

  /// One turn in one direction; answers how many bytes went.
  @discardableResult func carry(_ from: HTTP2Session, _ to: HTTP2Session, limit: Int = 1 << 20) throws -> Int {
    var output = OutputBuffer(capacity: 1024)
    defer { output.deallocate() }
    _ = from.write(into: &output, limit: limit)
    carried += output.count
    var position = 0
    while position < output.count {
      let end = min(output.count, position + min(pieceBytes, output.count))
      // A copy of exactly these bytes, so that the address sanitizer sees whoever reads past them.
      let piece = Array(output.bytes[position..<end])
      try piece.withUnsafeBytes { try to.receive($0) }
      position = end
    }
    return output.count
  }
}
