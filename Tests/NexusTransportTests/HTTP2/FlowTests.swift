import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `Flow between two sessions` {
  static func narrow() -> MessageStreamLimits {
    var limits = MessageStreamLimits()
    limits.streamWindowBytes = 100_000
    limits.connectionWindowBytes = 1_000_000
    return limits
  }

  @Test func `a reader that pauses is felt by the writer, and gets everything when it goes on`() throws {
    let pair = SessionPair(serving: Self.narrow())
    pair.serve("/test.Echo/Echo") { recorder in
      recorder.onMessage = { stream, _ in stream.pause() }
      recorder.onFinished = { $0.finish(.ok) }
    }
    try pair.settle()
    let caller = pair.open()
    for number in 0..<500 { caller.stream!.send(bytes: [UInt8](repeating: UInt8(number & 255), count: 995)) }
    caller.stream!.finish(.ok)
    try pair.settle()
    let reader = pair.served[0]
    #expect(reader.messages.count == 1)
    // Within a window's worth of what was sent.
    #expect(caller.stream!.queuedBytes >= 500_000 - 110_000)
    #expect(!caller.events.contains("drained"))
    var rounds = 0
    while reader.end == nil && rounds < 2000 {
      reader.stream!.resume()
      try pair.settle()
      rounds += 1
    }
    #expect(reader.messages.count == 500)
    #expect(reader.messages.enumerated().allSatisfy { $1 == [UInt8](repeating: UInt8($0 & 255), count: 995) })
    #expect(caller.events.contains("drained"))
    #expect(caller.end?.status == .ok)
  }

  @Test func `a paused stream does not hold up the others of its connection`() throws {
    var limits = Self.narrow()
    limits.connectionWindowBytes = 100_000
    let pair = SessionPair(serving: limits)
    pair.serve("/test.Echo/Slow") { $0.onOpened = { $0.pause() } }
    pair.serveEcho()
    let slow = pair.open("/test.Echo/Slow")
    slow.stream!.send(bytes: [UInt8](repeating: 1, count: 300_000))
    try pair.settle()
    #expect(slow.stream!.queuedBytes > 100_000)
    let quick = pair.open()
    quick.stream!.send(bytes: [UInt8](repeating: 2, count: 300_000))
    try pair.settle()
    #expect(quick.messages == [[UInt8](repeating: 2, count: 300_000)])
  }

  @Test func `what ends behind a pause is told after the messages before it`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo") { recorder in
      recorder.onOpened = { stream in
        for number in 0..<3 { stream.send(text: "\(number)") }
        stream.finish(CallStatus(.aborted, "done"))
      }
    }
    let caller = pair.open()
    caller.stream!.pause()
    try pair.settle()
    #expect(caller.messages.isEmpty && caller.end == nil)
    caller.onMessage = { stream, _ in stream.pause() }
    for count in 1...3 {
      caller.stream!.resume()
      #expect(caller.messages.count == count)
      #expect((caller.end == nil) == (count < 3))
    }
    #expect(caller.texts == ["0", "1", "2"])
    #expect(caller.end?.status == CallStatus(.aborted, "done"))
  }

  @Test func `a message much larger than the window passes`() throws {
    let pair = SessionPair(serving: Self.narrow())
    pair.serveEcho()
    let caller = pair.open()
    let bytes = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    caller.stream!.send(bytes: bytes)
    try pair.settle()
    #expect(caller.messages == [bytes])
  }

  @Test func `one write is about as large as asked for`() throws {
    let pair = SessionPair()
    pair.serveEcho()
    try pair.settle()
    let caller = pair.open()
    try pair.settle()
    caller.stream!.send(bytes: [UInt8](repeating: 1, count: 1_000_000))
    let first = try pair.carry(pair.calling, pair.serving, limit: 100_000)
    #expect(first >= 100_000 && first < 101_000)
    #expect(caller.stream!.queuedBytes > 890_000)
  }

  @Test func `a queue that is full takes no more`() throws {
    var limits = MessageStreamLimits()
    limits.queueBytes = 10_000
    let pair = SessionPair(calling: limits)
    let caller = pair.open()
    var taken = 0
    while caller.stream!.send(bytes: [UInt8](repeating: 1, count: 995)) { taken += 1 }
    #expect(taken == 11)
    pair.serveEcho()
    try pair.settle()
    #expect(caller.stream!.send(text: "there is room again"))
  }

  @Test func `messages written in place leave as they were written`() throws {
    let pair = SessionPair()
    pair.serveEcho()
    let caller = pair.open()
    for number in 0..<10 {
      let isTaken = caller.stream!.send { output in for _ in 0..<number { output.append("ab") } }
      #expect(isTaken)
    }
    try pair.settle()
    #expect(caller.texts == (0..<10).map { String(repeating: "ab", count: $0) })
  }
}
