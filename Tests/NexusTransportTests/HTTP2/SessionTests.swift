import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `Calls between two sessions` {
  @Test(arguments: [1, 2, 7, 1000, Int.max]) func `an echo comes back, in whatever pieces the bytes arrive`(
    _ pieceBytes: Int
  ) throws {
    let pair = SessionPair()
    pair.pieceBytes = pieceBytes
    pair.serveEcho()
    let caller = pair.open(headers: [("x-cluster", "blue")])
    caller.stream!.send(text: "one")
    caller.stream!.send(text: "")
    caller.stream!.send(bytes: [UInt8](repeating: 7, count: 3000))
    try pair.settle()
    #expect(caller.messages == [Array("one".utf8), [], [UInt8](repeating: 7, count: 3000)])
    #expect(pair.heads[0].path == "/test.Echo/Echo")
    #expect(pair.heads[0].peer == "10.0.0.1:1234")
    #expect(pair.heads[0].headers.map { "\($0.name)=\($0.value)" } == ["x-cluster=blue"])
    #expect(caller.end == nil)
    caller.stream!.send(text: "last")
    caller.stream!.finish(.ok)
    #expect(!caller.stream!.send(text: "after the last"))
    try pair.settle()
    #expect(caller.messages.last == Array("last".utf8))
    #expect(caller.end == CallEnd(.ok, .served))
    #expect(pair.served[0].end == CallEnd(.ok, .served))
    #expect(pair.served[0].events.last == "closed ok")
    #expect(pair.calling.calls.isEmpty && pair.serving.calls.isEmpty)
  }

  @Test func `many calls share a connection, and each has its own messages`() throws {
    let pair = SessionPair()
    pair.pieceBytes = 333
    pair.serveEcho()
    let callers = (0..<300).map { number in
      let caller = pair.open()
      caller.stream!.send(text: "call \(number)")
      caller.stream!.finish(.ok)
      return caller
    }
    try pair.settle()
    for (number, caller) in callers.enumerated() {
      #expect(caller.texts == ["call \(number)"])
      #expect(caller.end?.status == .ok)
    }
  }

  @Test func `calls beyond the other side's limit wait until others end`() throws {
    var limits = MessageStreamLimits()
    limits.streams = 3
    let pair = SessionPair(serving: limits)
    pair.serveEcho()
    // The limit is known once the settings have come.
    try pair.settle()
    let callers = (0..<10).map { _ in pair.open() }
    try pair.settle()
    #expect(pair.serving.calls.count == 3)
    for caller in callers { caller.stream!.finish(.ok) }
    try pair.settle()
    #expect(callers.allSatisfy { $0.end?.status == .ok })
    #expect(pair.served.count == 10)
  }

  @Test func `a status and its text arrive as they were given, beyond ASCII too`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo") { recorder in
      recorder.onFinished = { $0.finish(CallStatus(.failedPrecondition, "100% größer\nals 雪")) }
    }
    let caller = pair.open()
    caller.stream!.finish(.ok)
    try pair.settle()
    #expect(caller.end == CallEnd(CallStatus(.failedPrecondition, "100% größer\nals 雪"), .served))
    // The same after messages, where it comes in trailers of its own.
    pair.serve("/test.Echo/Echo") { recorder in
      recorder.onOpened = {
        $0.send(text: "first")
        $0.finish(CallStatus(.dataLoss, "%"))
      }
    }
    let second = pair.open()
    try pair.settle()
    #expect(second.texts == ["first"])
    #expect(second.end == CallEnd(CallStatus(.dataLoss, "%"), .served))
  }

  @Test func `a path that leads nowhere is unimplemented, a refusal has its status`() throws {
    let pair = SessionPair()
    pair.servingOwner.services["/test.Echo/Closed"] = { _ in
      .refused(CallStatus(.permissionDenied, "not you"))
    }
    let lost = pair.open("/test.Echo/Nowhere")
    let refused = pair.open("/test.Echo/Closed")
    lost.stream!.send(text: "ignored")
    try pair.settle()
    #expect(lost.end?.status.code == .unimplemented)
    #expect(refused.end == CallEnd(CallStatus(.permissionDenied, "not you"), .served))
    #expect(pair.serving.calls.isEmpty)
  }

  @Test func `a caller learns that its call is taken before there is an answer`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo")
    let caller = pair.open()
    try pair.settle()
    #expect(caller.events == ["accepted"])
  }

  @Test func `a message over the limit ends the call, and the connection goes on`() throws {
    var limits = MessageStreamLimits()
    limits.messageBytes = 1000
    let pair = SessionPair(serving: limits)
    pair.serveEcho()
    let caller = pair.open()
    caller.stream!.send(bytes: [UInt8](repeating: 1, count: 1001))
    try pair.settle()
    #expect(caller.end?.status.code == .resourceExhausted)
    #expect(caller.end?.status.message.contains("1001") == true)
    let next = pair.open()
    next.stream!.send(bytes: [UInt8](repeating: 1, count: 1000))
    try pair.settle()
    #expect(next.messages.count == 1)
    // The caller refuses what is too long for it, too.
    let small = SessionPair(calling: limits)
    small.serve("/test.Echo/Echo") { recorder in
      recorder.onOpened = { $0.send(bytes: [UInt8](repeating: 1, count: 1001)) }
    }
    let reader = small.open()
    try small.settle()
    #expect(reader.end?.status.code == .resourceExhausted)
    #expect(small.served[0].end?.cause == .reset(8))
  }

  @Test func `a caller that gives up is seen by who serves it`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo")
    let caller = pair.open()
    caller.stream!.send(text: "x")
    try pair.settle()
    caller.stream!.cancel(CallStatus(.cancelled, "enough"))
    #expect(caller.end == CallEnd(CallStatus(.cancelled, "enough"), .given))
    try pair.settle()
    #expect(pair.served[0].end?.status.code == .cancelled)
    #expect(pair.served[0].end?.cause == .reset(8))
    #expect(!pair.served[0].stream!.send(text: "too late"))
    // Before it was ever sent, nobody hears of it.
    let unsent = pair.open()
    unsent.stream!.cancel(CallStatus(.cancelled))
    try pair.settle()
    #expect(pair.served.count == 1)
    #expect(pair.calling.calls.isEmpty && pair.serving.calls.isEmpty)
  }

  @Test func `a call's time is told to who serves it, and ends it on both sides`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo")
    let first = pair.open(timeout: 1500)
    let second = pair.open(timeout: 250)
    try pair.settle()
    #expect(pair.heads.map(\.timeoutMilliseconds) == [1500, 250])
    #expect(pair.servingOwner.limited.map(\.1) == [1500, 250])
    pair.servingOwner.limited[0].0.expire()
    try pair.settle()
    #expect(first.end?.status.code == .deadlineExceeded)
    #expect(first.end?.cause == .served)
    pair.callingOwner.limited[1].0.expire()
    #expect(second.end?.cause == .given)
    try pair.settle()
    #expect(pair.served[0].end?.status.code == .deadlineExceeded)
    #expect(pair.served[1].end?.status.code == .cancelled)
  }

  @Test func `heads that are too long end their call only`() throws {
    let pair = SessionPair()
    pair.serveEcho()
    let caller = pair.open(headers: [("x-long", String(repeating: "x", count: 20_000))])
    let other = pair.open()
    other.stream!.send(text: "fine")
    try pair.settle()
    #expect(caller.end?.status.code == .internal)
    #expect(other.texts == ["fine"])
    #expect(pair.served.count == 1)
  }

  @Test func `a session that ends tells every call once, and what was sent may have been done`() throws {
    let pair = SessionPair()
    pair.serve("/test.Echo/Echo")
    let callers = (0..<5).map { _ in pair.open() }
    try pair.settle()
    pair.calling.end(CallEnd(CallStatus(.unavailable, "cut"), .lost))
    for caller in callers {
      #expect(caller.end == CallEnd(CallStatus(.unavailable, "cut"), .lost))
      #expect(caller.end?.isUntouched == false)
      #expect(!caller.stream!.send(text: "x"))
      caller.stream!.finish(.ok)
      caller.stream!.cancel(.ok)
    }
  }

  @Test func `all memory goes back`() throws {
    let gauge: MemoryGauge
    do {
      let pair = SessionPair()
      gauge = pair.gauge
      pair.serveEcho()
      let caller = pair.open()
      caller.stream!.send(bytes: [UInt8](repeating: 1, count: 1_000_000))
      #expect(gauge.bytes >= 1_000_000)
      try pair.settle()
      #expect(caller.messages[0].count == 1_000_000)
      _ = pair.calling.tick(nowMilliseconds: 0)
      _ = pair.serving.tick(nowMilliseconds: 0)
      #expect(gauge.bytes == 0)
      caller.stream!.send(text: "left behind")
    }
    #expect(gauge.bytes == 0)
  }
}
