import NexusModel
import NexusTestSupport
import Testing

@testable import NexusRESP

/// Reads a whole stream, offered in pieces as a connection offers it: what is left over comes again with what
/// arrives after it.
private final class Stream {
  enum Event: Equatable {
    case request([String])
    case failed(ProtocolError)
  }

  private var parser = RequestParser()
  private var arena = ArgumentArena(capacity: 2)
  private var progress = ParseProgress()
  private var kept: [UInt8] = []
  let limits: RequestLimits
  private(set) var events: [Event] = []
  private(set) var expected = 0

  init(_ limits: RequestLimits = RequestLimits()) { self.limits = limits }

  deinit {
    parser.deallocate()
    arena.deallocate()
  }

  func offer(_ bytes: some Sequence<UInt8>) {
    kept += bytes
    if case .failed = events.last { return }
    // Bytes of its own, without a byte of room behind them.
    let input = UnsafeMutableRawBufferPointer.allocate(byteCount: kept.count, alignment: 1)
    defer { input.deallocate() }
    input.copyBytes(from: kept)
    var position = 0
    reading: while true {
      arena.reset()
      switch parser.parse(UnsafeRawBufferPointer(input), from: position, &progress, &arena, limits) {
      case .complete(let end), .inline(let end):
        events.append(.request((0..<arena.count).map { String(decoding: arena.base[$0].bytes, as: UTF8.self) }))
        position = end
      case .ignored(let end): position = end
      case .incomplete(let more):
        expected = more
        break reading
      case .invalid(let error):
        events.append(.failed(error))
        break reading
      }
    }
    kept.removeFirst(position)
  }

  static func read(_ text: String, _ limits: RequestLimits = RequestLimits()) -> [Event] {
    let stream = Stream(limits)
    stream.offer(text.utf8)
    return stream.events
  }
}

@Suite("The request parser")
struct RequestParserTests {
  static let mixed =
    "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n"
    + "*3\r\n$3\r\nset\r\n$0\r\n\r\n$13\r\nline\r\nline\r\nx\r\nPING 'a b' \"\\x41\\n\"\r\n"
    + "\r\n*0\r\n*-1\r\n*-7\r\nplain\n*1\r\n$20\r\n01234567890123456789\r\n"

  @Test("reads the same wherever the stream is cut in two, and byte by byte")
  func cuts() {
    let bytes = Array(Self.mixed.utf8)
    let whole = Stream.read(Self.mixed)
    #expect(
      whole == [
        .request(["GET", "key"]), .request(["set", "", "line\r\nline\r\nx"]),
        .request(["PING", "a b", "A\n"]), .request(["plain"]), .request(["01234567890123456789"]),
      ])
    for cut in 0...bytes.count {
      let stream = Stream()
      stream.offer(bytes[..<cut])
      stream.offer(bytes[cut...])
      #expect(stream.events == whole, "cut at \(cut)")
    }
    let stream = Stream()
    for byte in bytes { stream.offer([byte]) }
    #expect(stream.events == whole)
  }

  @Test(
    "refuses what Redis refuses, in its words",
    arguments: [
      ("*abc\r\n", "invalid multibulk length"), ("*01\r\n", "invalid multibulk length"),
      ("*+1\r\n", "invalid multibulk length"), ("*9223372036854775808\r\n", "invalid multibulk length"),
      ("*1048577\r\n", "invalid multibulk length"), ("*\r\n", "invalid multibulk length"),
      ("*1\r\n$-1\r\n", "invalid bulk length"), ("*1\r\n$x\r\n", "invalid bulk length"),
      ("*1\r\n$536870913\r\n", "invalid bulk length"), ("*1\r\n$99999999999999999999\r\n", "invalid bulk length"),
      ("*1\r\n$007\r\n", "invalid bulk length"), ("*1\r\n:5\r\n", "expected '$', got '"),
      ("PING \"a\r\n", "unbalanced quotes in request"), ("PING \"a\"b\r\n", "unbalanced quotes in request"),
      ("PING 'a\r\n", "unbalanced quotes in request"),
    ])
  func refusals(_ text: String, _ error: String) {
    guard case .failed(let found)? = Stream.read(text).last else {
      Issue.record("\(text) was not refused")
      return
    }
    #expect(found.text == error)
  }

  @Test("gives up on lines that never end, past 64 KiB")
  func endless() {
    let long = String(repeating: "1", count: 64 * 1024 + 1)
    #expect(Stream.read(long).last == .failed(.tooBigInline))
    #expect(Stream.read("*" + long).last == .failed(.tooBigMultibulkCount))
    #expect(Stream.read("*1\r\n$" + long).last == .failed(.tooBigBulkCount))
    #expect(Stream.read(String(repeating: "1", count: 64 * 1024)).isEmpty)
  }

  @Test("lets strangers send little")
  func strangers() {
    let limits = RequestLimits(isAuthenticated: false)
    #expect(Stream.read("*11\r\n", limits).last == .failed(.unauthenticatedMultibulkLength))
    #expect(Stream.read("*1\r\n$16385\r\n", limits).last == .failed(.unauthenticatedBulkLength))
    #expect(Stream.read("*10\r\n$16384\r\n", limits).isEmpty)
  }

  @Test(
    "unescapes inline requests",
    arguments: [
      ("set  k\t'it\\'s'\r\n", ["set", "k", "it's"]), ("a \"\\x4a\\x4B\\xzz\" b\n", ["a", "JKxzz", "b"]),
      ("a \"\\n\\r\\t\\b\\a\\q\\\"\"\n", ["a", "\n\r\t\u{8}\u{7}q\""]), ("a \"\" ''\n", ["a", "", ""]),
      ("a\"b c\"\n", ["ab c"]), ("a \\n\n", ["a", "\\n"]), (" \t a\n", ["a"]), ("a\u{0}b\n", ["a"]),
    ])
  func inline(_ line: String, _ words: [String]) {
    #expect(Stream.read(line) == [.request(words)])
  }

  @Test("says how long an unfinished request will be")
  func expectation() {
    let stream = Stream()
    stream.offer("*2\r\n$3\r\nGET\r\n$1000\r\nabc".utf8)
    #expect(stream.expected == 13 + 7 + 1000 + 2)
  }

  @Test("reads what trickles in once: 20,000 arguments, a few bytes at a time")
  func trickle() {
    let count = 20_000
    var bytes = Array("*\(count)\r\n".utf8)
    for _ in 0..<count { bytes += Array("$1\r\nx\r\n".utf8) }
    var parser = RequestParser()
    var arena = ArgumentArena()
    var progress = ParseProgress()
    defer {
      parser.deallocate()
      arena.deallocate()
    }
    // Read again from the start at every step this would be 20,000 times 70,000 bytes.
    bytes.withUnsafeBytes { bytes in
      for end in stride(from: 7, to: bytes.count, by: 7) {
        guard
          case .incomplete = parser.parse(.init(rebasing: bytes[..<end]), from: 0, &progress, &arena, RequestLimits())
        else { return #expect(Bool(false), "complete too early") }
        #expect(arena.count == 0)
      }
      guard case .complete(let end) = parser.parse(bytes, from: 0, &progress, &arena, RequestLimits()) else {
        return #expect(Bool(false), "not complete")
      }
      #expect(end == bytes.count)
      #expect(arena.count == count)
    }
  }

  @Test("survives garbage, and reads it the same in pieces as at once")
  func garbage() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let alphabet = Array("*$:+-0123456789\r\n\r\n\r\n \"'\\xab\0".utf8)
    for _ in 0..<2000 {
      let bytes = (0..<dice.below(80)).map { _ in dice.chance(5) ? UInt8(dice.below(256)) : dice.pick(alphabet) }
      let whole = Stream()
      whole.offer(bytes)
      let pieces = Stream()
      var start = 0
      while start < bytes.count {
        let end = min(bytes.count, start + 1 + dice.below(5))
        pieces.offer(bytes[start..<end])
        start = end
      }
      #expect(whole.events == pieces.events, "seed \(seed)")
    }
  }

  @Test("and the short cut for GET and SET agree on every request, complete or not")
  func literals() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    for _ in 0..<3000 {
      let name = dice.pick(["GET", "get", "SET", "sEt", "GEX", "GETS"])
      var text = "*\(dice.pick([2, 3, 3, 4]))\r\n$\(name.count)\r\n\(name)\r\n"
      for _ in 0..<dice.within(1...2) {
        let length = dice.pick([0, 1, 9, 10, 32, 99, 100, 300])
        text += "$\(dice.chance(5) ? "0" : "")\(dice.chance(5) ? length + 1 : length)\r\n"
        text += String(repeating: "v", count: length) + "\r\n"
      }
      let bytes = Array(text.utf8).dropLast(dice.chance(30) ? dice.below(20) : 0)
      let expected = Stream.read(String(decoding: bytes, as: UTF8.self)).first
      Array(bytes).withUnsafeBytes { bytes in
        guard var cursor = bytes.baseAddress else { return }
        var key = Argument(base: cursor, count: 0)
        var value = key
        let literal = LiteralRequest.parse(&cursor, cursor + bytes.count, 512 << 20, &key, &value)
        guard literal != .other else { return }
        var words = [literal == .get ? "GET" : "SET", String(decoding: key.bytes, as: UTF8.self)]
        if literal == .set { words.append(String(decoding: value.bytes, as: UTF8.self)) }
        guard case .request(let found)? = expected else {
          Issue.record("the short cut read \(words) where there is no request, seed \(seed)")
          return
        }
        #expect([found[0].uppercased()] + found[1...] == words, "seed \(seed)")
      }
    }
  }
}
