import NexusModel
import NexusTestSupport
import Testing

@testable import NexusRESP

@Suite("Replies")
struct ReplyTests {
  /// Everything that can be written, in one version of the protocol.
  static func write(_ version: Int) -> [UInt8] {
    var out = OutputBuffer(capacity: 1)
    defer { out.deallocate() }
    out.writeArrayHeader(16)
    out.writeOK()
    out.writeSimple("PONG")
    out.writeError("ERR it said\r\n+OK")
    for value in [0, 7, 10, -1, 123_456, Int.max, Int.min] { out.writeInteger(value) }
    out.writeBulk("")
    out.writeBulk(String(repeating: "x", count: 105))
    out.writeNull(version)
    out.writeNullArray(version)
    out.writeMapHeader(1, version)
    out.writeBulk("k")
    out.writeSetHeader(1, version)
    out.writeBoolean(true, version)
    out.writeArrayHeader(3)
    out.writeDouble(1.5, version)
    out.writeBigNumber("12345678901234567890123", version)
    out.writeVerbatim("text", version)
    return Array(out.bytes)
  }

  @Test("are read back as they were written, in RESP2")
  func version2() throws {
    var parser = ReplyParser()
    parser.append(Self.write(2))
    let long = String(repeating: "x", count: 105)
    let expected: [Reply] = [
      .simple(Array("OK".utf8)), .simple(Array("PONG".utf8)), .error(Array("ERR it said  +OK".utf8)), .integer(0),
      .integer(7), .integer(10), .integer(-1), .integer(123_456), .integer(Int.max), .integer(Int.min), .bulk([]),
      .bulk(Array(long.utf8)), .null, .null, .array([.bulk([0x6B]), .array([.integer(1)])]),
      .array([
        .bulk(Array("1.5".utf8)), .bulk(Array("12345678901234567890123".utf8)), .bulk(Array("text".utf8)),
      ]),
    ]
    #expect(try parser.next() == .array(expected))
    #expect(try parser.next() == nil)
    #expect(parser.pendingBytes == 0)
  }

  @Test("are read back as they were written, in RESP3, byte by byte")
  func version3() throws {
    var parser = ReplyParser()
    var found: [Reply] = []
    for byte in Self.write(3) {
      parser.append([byte])
      if let reply = try parser.next() { found.append(reply) }
    }
    guard case .array(let elements)? = found.first, found.count == 1 else {
      Issue.record("one array was written")
      return
    }
    #expect(elements[14] == .map([.bulk([0x6B]), .set([.boolean(true)])]))
    #expect(
      elements[15]
        == .array([
          .double(1.5), .bigNumber(Array("12345678901234567890123".utf8)),
          .verbatim(format: Array("txt".utf8), text: Array("text".utf8)),
        ]))
  }

  @Test(
    "that are none are refused",
    arguments: [
      ("?\r\n", ReplyError.unknownType(0x3F)), ("\r\n", .unknownType(0x0D)), ("$-2\r\n", .invalidLength),
      (":x\r\n", .invalidNumber),
      ("*99999999999\r\n", .tooLong), ("=2\r\nab\r\n", .invalidLength),
    ])
  func refusals(_ text: String, _ error: ReplyError) {
    var parser = ReplyParser()
    parser.append(Array(text.utf8))
    #expect(throws: error) { try parser.next() }
  }

  @Test("nested without end are refused")
  func nesting() {
    var parser = ReplyParser()
    parser.append(Array(String(repeating: "*1\r\n", count: 200).utf8))
    #expect(throws: ReplyError.tooDeep) { try parser.next() }
  }

  @Test("Numbers are read in their one form only")
  func integers() {
    func read(_ text: String) -> Int? { Array(text.utf8).withUnsafeBytes { Decimal.integer($0) } }
    #expect(read("0") == 0)
    #expect(read("-9223372036854775808") == Int.min)
    #expect(read("9223372036854775807") == Int.max)
    for text in ["", "-", "+1", "01", "-0", " 1", "1 ", "9223372036854775808", "-9223372036854775809", "1.0"] {
      #expect(read(text) == nil, "\(text)")
    }
  }
}
