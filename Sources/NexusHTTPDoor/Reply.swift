import NexusModel
import NexusService

/// An answer ready to be sent. Whoever takes it calls `deallocate`, or hands `body` on to someone who frees it.
struct Reply: BitwiseCopyable {
  /// The numbers travel between members.
  enum ContentType: UInt8, BitwiseCopyable {
    case json = 0
    case bytes = 1
    case text = 2
    case metrics = 3
  }

  /// How a request for a key is replied.
  enum Form: BitwiseCopyable {
    /// JSON about it.
    case json
    /// The value itself.
    case bytes
    /// `value=` and the value, `done`, or a sentence.
    case plain
  }

  enum Body: BitwiseCopyable {
    /// In the program itself: never freed.
    case constant(StaticString)
    /// From `malloc`.
    case owned(OutputBuffer)
  }

  var status: UInt16 = 200
  var contentType: ContentType = .json
  var body: Body
  var header: Problem.Header?

  var bytes: UnsafeRawBufferPointer {
    switch body {
    case .constant(let text): UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
    case .owned(let buffer): buffer.bytes
    }
  }

  func deallocate() {
    if case .owned(let buffer) = body { buffer.deallocate() }
  }

  init(status: UInt16, _ contentType: ContentType, _ body: Body) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  init(_ contentType: ContentType, _ body: Body) { self.init(status: 200, contentType, body) }
  init(_ body: Body) { self.init(status: 200, .json, body) }

  init(_ problem: Problem) {
    status = problem.status
    header = problem.header
    if problem.isPlain {
      var out = OutputBuffer(capacity: problem.message.utf8.count)
      out.append(problem.message)
      contentType = .text
      body = .owned(out)
      return
    }
    var out = OutputBuffer(capacity: 160 + problem.message.utf8.count)
    out.append("{\"success\":false,\"error\":{\"code\":")
    out.appendJSONString(problem.code)
    out.append(",\"message\":")
    out.appendJSONString(problem.message)
    out.append("}}")
    body = .owned(out)
  }
}
