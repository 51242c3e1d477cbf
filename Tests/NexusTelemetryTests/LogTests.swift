import Glibc
import NexusService
import NexusTelemetry
import Testing

@Suite struct LogTests {
  let line = LogLine(
    time: .init(milliseconds: 1_700_000_000_007), level: .info, message: "client closed",
    fields: [("address", "127.0.0.1:5"), ("reason", "a \"b\"\n"), ("name", "")])

  @Test func textReadsWithTheEyeAndSplitsAtSpaces() {
    #expect(
      line.text
        == "2023-11-14T22:13:20.007Z info    client closed address=127.0.0.1:5 reason=\"a \\\"b\\\"\\n\" name=\"\"\n")
  }

  @Test func jsonIsOneObjectALine() {
    #expect(
      line.json == #"{"time":"2023-11-14T22:13:20.007Z","level":"info","message":"client closed","#
        + #""address":"127.0.0.1:5","reason":"a \"b\"\n","name":""}"# + "\n")
  }

  @Test func whatAClientSentNeverStartsALineOfItsOwn() {
    let forged = LogLine(
      time: .init(milliseconds: 0), level: .error, message: "a\nb\u{0}\u{7f}", fields: [("k", "x\ry")])
    #expect(forged.text.split(separator: "\n").count == 1 && !forged.text.contains("\r"))
    #expect(forged.json.contains(#""a\nb\u0000\u007f""#))
  }

  @Test func linesArriveInOrderAndOnlyFromTheSetLevel() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let log = StreamLog(descriptor: ends[1], minimum: .info)
    log.debug("not said")
    log.info("first")
    log.minimum = .debug
    log.json = true
    log.debug("second", ("k", "v"))
    log.flush()
    var bytes = [UInt8](repeating: 0, count: 4096)
    let count = read(ends[0], &bytes, bytes.count)
    let lines = String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
    #expect(lines.count == 2)
    #expect(lines.first?.hasSuffix("info    first") == true)
    #expect(lines.last?.hasSuffix(#""message":"second","k":"v"}"#) == true)
  }

  @Test func aReaderThatStallsCostsLinesAndNotTime() throws {
    var ends: [Int32] = [0, 0]
    try #require(pipe(&ends) == 0)
    let log = StreamLog(descriptor: ends[1], minimum: .info)
    // Far more than the pipe and the queue hold: that this returns at all is the point.
    let text = String(repeating: "x", count: 1000)
    for _ in 0..<5000 { log.info(text) }
    var all: [UInt8] = []
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    while !String(decoding: all.suffix(100), as: UTF8.self).contains("reader is too slow") {
      let count = read(ends[0], &bytes, bytes.count)
      try #require(count > 0)
      all += bytes[..<count]
    }
    #expect(all.count < 3 << 20)
  }
}
