/// Reads replies, the client's side of the protocol.
///
/// Incremental: bytes are appended as they arrive, and `next` answers a reply once all of it is there. A reply that
/// is large or trickles in costs one pass: complete parts of an unfinished aggregate are kept.
public struct ReplyParser {
  /// Aggregates in aggregates; more is an error, so that a hostile server cannot exhaust the stack of who reads them.
  public static let depthLimit = 128

  private var buffer: [UInt8] = []
  private var position = 0
  private var stack: [Frame] = []
  /// Bytes of one bulk, and elements of one aggregate, at most.
  private let lengthLimit: Int

  private struct Frame {
    let kind: UInt8
    var missing: Int
    var elements: [Reply] = []
  }

  public init(lengthLimit: Int = 512 << 20) { self.lengthLimit = lengthLimit }

  /// Bytes that are not part of an answered reply yet.
  public var pendingBytes: Int { buffer.count - position }

  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if position == buffer.count {
      buffer.removeAll(keepingCapacity: buffer.capacity <= 1 << 20)
      position = 0
    } else if position > 1 << 16, position > buffer.count / 2 {
      buffer.removeFirst(position)
      position = 0
    }
    buffer.append(contentsOf: bytes)
  }

  public mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }

  /// The next complete reply, or nil until more bytes are there. After an error the stream cannot be read on.
  public mutating func next() throws(ReplyError) -> Reply? {
    while true {
      guard var reply = try readOne() else { return nil }
      // A complete element may complete the aggregate that waits for it, and that the next one.
      while true {
        guard let top = stack.indices.last else { return reply }
        stack[top].elements.append(reply)
        stack[top].missing -= 1
        if stack[top].missing > 0 { break }
        let done = stack.removeLast()
        reply = Self.aggregate(done.kind, done.elements)
      }
    }
  }

  /// A reply that is no aggregate, or an empty one; opens frames for those that have elements.
  private mutating func readOne() throws(ReplyError) -> Reply? {
    while true {
      guard let end = lineEnd() else {
        if pendingBytes > 1 << 20, position < buffer.count, !Self.isText(buffer[position]) { throw .invalidLength }
        return nil
      }
      let kind = buffer[position]
      guard end > position else { throw .unknownType(kind) }
      let line = buffer[(position + 1)..<end]
      switch kind {
      case UInt8(ascii: "+"): return take(end, .simple(Array(line)))
      case UInt8(ascii: "-"): return take(end, .error(Array(line)))
      case UInt8(ascii: "("): return take(end, .bigNumber(Array(line)))
      case UInt8(ascii: "_"): return take(end, .null)
      case UInt8(ascii: "#"): return take(end, .boolean(line.first == UInt8(ascii: "t")))
      case UInt8(ascii: ":"): return take(end, .integer(try Self.number(line)))
      case UInt8(ascii: ","):
        guard let value = Double(String(decoding: line, as: UTF8.self)) else { throw .invalidNumber }
        return take(end, .double(value))
      case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
        return try readBulk(kind, end, try Self.number(line))
      case UInt8(ascii: "*"), UInt8(ascii: "%"), UInt8(ascii: "~"), UInt8(ascii: ">"):
        let count = try Self.number(line)
        if count == -1 { return take(end, .null) }
        guard count >= 0, count <= lengthLimit else { throw count < 0 ? .invalidLength : .tooLong }
        position = end + 2
        if count == 0 { return Self.aggregate(kind, []) }
        guard stack.count < Self.depthLimit else { throw .tooDeep }
        stack.append(Frame(kind: kind, missing: kind == UInt8(ascii: "%") ? count * 2 : count))
      default: throw .unknownType(kind)
      }
    }
  }

  private mutating func readBulk(_ kind: UInt8, _ end: Int, _ count: Int) throws(ReplyError) -> Reply? {
    if count == -1 { return take(end, .null) }
    guard count >= 0, count <= lengthLimit else { throw count < 0 ? .invalidLength : .tooLong }
    let start = end + 2
    guard buffer.count - start >= count + 2 else { return nil }
    let bytes = Array(buffer[start..<(start + count)])
    position = start + count + 2
    switch kind {
    case UInt8(ascii: "!"): return .error(bytes)
    case UInt8(ascii: "="):
      guard bytes.count >= 4 else { throw .invalidLength }
      return .verbatim(format: Array(bytes[..<3]), text: Array(bytes[4...]))
    default: return .bulk(bytes)
    }
  }

  private mutating func take(_ end: Int, _ reply: Reply) -> Reply {
    position = end + 2
    return reply
  }

  /// The carriage return of the current line, once its line feed is there too.
  private func lineEnd() -> Int? {
    buffer.withUnsafeBytes { bytes in
      guard let end = RequestParser.firstIndex(of: 0x0D, in: bytes, from: position) else { return nil }
      return end + 1 < bytes.count ? end : nil
    }
  }

  private static func isText(_ kind: UInt8) -> Bool {
    kind == UInt8(ascii: "+") || kind == UInt8(ascii: "-") || kind == UInt8(ascii: "(")
  }

  private static func number(_ line: ArraySlice<UInt8>) throws(ReplyError) -> Int {
    guard let value = line.withUnsafeBytes({ Decimal.integer($0) }) else { throw .invalidNumber }
    return value
  }

  private static func aggregate(_ kind: UInt8, _ elements: [Reply]) -> Reply {
    switch kind {
    case UInt8(ascii: "%"): .map(elements)
    case UInt8(ascii: "~"): .set(elements)
    case UInt8(ascii: ">"): .push(elements)
    default: .array(elements)
    }
  }
}
