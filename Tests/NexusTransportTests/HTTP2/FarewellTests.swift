import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `How sessions end` {
  @Test func `after a farewell open calls go on, new ones were never touched`() throws {
    let pair = SessionPair()
    pair.serveEcho()
    let open = pair.open()
    open.stream!.send(text: "before")
    try pair.settle()
    // On its way while the farewell is on its own.
    let late = pair.open()
    late.stream!.send(text: "late")
    pair.serving.sayFarewell()
    try pair.carry(pair.serving, pair.calling)
    try pair.settle()
    #expect(pair.served[0].events.contains("stopping"))
    #expect(late.end?.cause == .refused)
    #expect(late.end?.isUntouched == true)
    #expect(pair.served.count == 1)
    #expect(pair.calling.isGoingAway)
    open.stream!.send(text: "after")
    open.stream!.finish(.ok)
    try pair.settle()
    #expect(open.texts == ["before", "after"])
    #expect(open.end?.status == .ok)
    #expect(pair.serving.isOver && pair.calling.isOver)
    #expect(pair.open().end?.isUntouched == true)
  }

  @Test func `bytes that are not HTTP/2 are told apart`() throws {
    let pair = SessionPair()
    let request = Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)
    #expect(throws: HTTP2Session.Failure.self) { try request.withUnsafeBytes { try pair.serving.receive($0) } }
  }

  @Test(arguments: 1...200 as ClosedRange<UInt64>) func `damaged bytes break a session, never the program`(
    _ seed: UInt64
  ) throws {
    var state = seed
    func roll(_ below: Int) -> Int {
      state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
      return Int(state >> 33) % below
    }
    let pair = SessionPair()
    pair.serveEcho()
    let callers = (0..<3).map { _ in pair.open() }
    for caller in callers { caller.stream!.send(bytes: [UInt8](repeating: 3, count: roll(300))) }
    callers[0].stream!.finish(.ok)
    var output = OutputBuffer(capacity: 1024)
    defer { output.deallocate() }
    _ = pair.calling.write(into: &output, limit: 1 << 20)
    var bytes = Array(output.bytes)
    for _ in 0...roll(4) { bytes[24 + roll(bytes.count - 24)] = UInt8(roll(256)) }
    try? bytes.withUnsafeBytes { try pair.serving.receive($0) }
    try? pair.settle()
    pair.serving.end(CallEnd(CallStatus(.unavailable), .lost))
    pair.calling.end(CallEnd(CallStatus(.unavailable), .lost))
    for recorder in callers + pair.served { #expect(recorder.end != nil, "seed \(seed)") }
    #expect(pair.gauge.bytes >= 0)
  }

  @Test func `silence is asked about, and no answer is the end`() {
    var limits = MessageStreamLimits()
    limits.keepaliveIntervalMilliseconds = 100
    limits.keepaliveTimeoutMilliseconds = 50
    var keepalive = Keepalive()
    #expect(keepalive.step(nowMilliseconds: 1000, limits) == .nothing)
    #expect(keepalive.step(nowMilliseconds: 1099, limits) == .nothing)
    #expect(keepalive.step(nowMilliseconds: 1100, limits) == .ask)
    #expect(keepalive.step(nowMilliseconds: 1149, limits) == .nothing)
    keepalive.onBytes()
    #expect(keepalive.step(nowMilliseconds: 1150, limits) == .nothing)
    #expect(keepalive.step(nowMilliseconds: 1250, limits) == .ask)
    #expect(keepalive.step(nowMilliseconds: 1299, limits) == .nothing)
    #expect(keepalive.step(nowMilliseconds: 1300, limits) == .lost)
    limits.keepaliveIntervalMilliseconds = 0
    #expect(keepalive.step(nowMilliseconds: 9999, limits) == .nothing)
  }

  @Test func `a ping is answered`() throws {
    var limits = MessageStreamLimits()
    limits.keepaliveIntervalMilliseconds = 100
    limits.keepaliveTimeoutMilliseconds = 50
    let pair = SessionPair(calling: limits)
    try pair.settle()
    for now in [0, 100] { #expect(pair.calling.tick(nowMilliseconds: now)) }
    #expect(try pair.carry(pair.calling, pair.serving) > 0)
    try pair.settle()
    #expect(pair.calling.tick(nowMilliseconds: 1000))
  }
}

@Suite struct `gRPC's ways of writing` {
  @Test(
    arguments: [
      ("1H", 3_600_000), ("2M", 120_000), ("3S", 3000), ("4m", 4), ("5u", 1), ("1500u", 2), ("7n", 1), ("0m", 0),
      ("99999999H", 359_999_996_400_000), ("", nil), ("5", nil), ("m", nil), ("123456789m", nil), ("-1m", nil),
      ("1x", nil), ("1 m", nil),
    ] as [(String, Int?)])
  func `timeouts`(_ text: String, _ expected: Int?) {
    let bytes = Array(text.utf8)
    #expect(bytes.withUnsafeBytes { StatusText.timeoutMilliseconds($0) } == expected)
  }

  @Test(arguments: [0, 1, 99_999_999, 100_000_000, 1_000_000_000_000]) func `timeouts there and back`(_ value: Int) {
    let bytes = Array(StatusText.timeout(milliseconds: value).utf8)
    let back = bytes.withUnsafeBytes { StatusText.timeoutMilliseconds($0) }
    #expect(back == (value < 100_000_000 ? value : min(value / 1000, 99_999_999) * 1000))
  }

  @Test(arguments: [("%", "%"), ("%4", "%4"), ("%zz", "%zz"), ("a%20b", "a b"), ("%e9%9B%AA", "雪"), ("%25", "%")])
  func `status texts that others wrote`(_ text: String, _ expected: String) {
    #expect(Array(text.utf8).withUnsafeBytes { StatusText.decode($0) } == expected)
  }
}
