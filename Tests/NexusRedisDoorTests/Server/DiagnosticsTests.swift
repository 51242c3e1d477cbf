import Foundation
import Testing

@testable import NexusRedisDoor

@Suite("Diagnostics of the Redis door")
struct DiagnosticsTests {
  @Test("a duration lies in the bucket whose bounds enclose it, and buckets never go back")
  func bucketsEnclose() {
    var last = 0
    for exponent in 0..<38 {
      for step in 0..<16 {
        let nanoseconds = (UInt64(1) << UInt64(exponent)) + (UInt64(step) << UInt64(exponent)) / 16
        let bucket = LatencyHistogram.bucket(of: nanoseconds)
        #expect(bucket >= last)
        last = bucket
        guard bucket < LatencyHistogram.bucketCount - 1 else { continue }
        #expect(nanoseconds < LatencyHistogram.upperBound(of: bucket), "\(nanoseconds)")
        if bucket > 0 { #expect(nanoseconds >= LatencyHistogram.upperBound(of: bucket - 1), "\(nanoseconds)") }
      }
    }
  }

  @Test("a percentile is at most an eighth above the duration it stands for")
  func percentiles() {
    let histogram = LatencyHistogram()
    defer { histogram.deallocate() }
    for microseconds in 1...1000 { histogram.record(nanoseconds: UInt64(microseconds) * 1000) }
    var summary = LatencySummary()
    summary.add(histogram)
    #expect(summary.total == 1000)
    for (percent, exact) in [(50.0, 500.0), (99, 990), (99.9, 999), (100, 1000)] {
      let value = summary.percentile(percent)
      #expect(value >= exact && value <= exact * 1.125 + 1, "p\(percent) is \(value)")
    }
  }

  @Test("the steps of a histogram count up to all calls")
  func powersOfTwo() {
    let histogram = LatencyHistogram()
    defer { histogram.deallocate() }
    for nanoseconds: UInt64 in [100, 900, 1_500, 3_000, 3_500, 70_000, 5_000_000_000] {
      histogram.record(nanoseconds: nanoseconds)
    }
    var summary = LatencySummary()
    summary.add(histogram)
    let steps = summary.powersOfTwo()
    #expect(steps.map(\.microseconds) == [1, 2, 4, 128, 1 << 20])
    #expect(steps.map(\.calls) == [2, 3, 5, 6, 7])
  }

  @Test("what was counted before a reset is subtracted, and no more than that")
  func totalsSinceAReset() {
    let counters = CommandCounters(commandCount: 1)
    defer { counters.deallocate() }
    func totals() -> CommandTotals {
      var totals = CommandTotals()
      totals.add(counters.rows[0])
      return totals
    }
    for _ in 0..<10 { counters.record(0, nanoseconds: 2_000) }
    let before = totals()
    counters.record(0, nanoseconds: 8_000)
    counters.noteFailed(0)
    counters.noteRejected(0)
    var since = totals()
    since.subtract(before)
    #expect(since.calls == 1 && since.failed == 1 && since.rejected == 1)
    #expect(since.microsecondsPerCall == 8)
    #expect(since.latency.total == 1)
  }

  @Test("a slow log keeps the newest entries and shortens what is long")
  func slowlog() {
    let log = Slowlog()
    for number in 0..<5 {
      log.add(
        [[UInt8(number)]], microseconds: number, unixSeconds: 0, client: "", clientName: "", capacity: 3)
    }
    #expect(log.newest(10).map(\.id) == [4, 3, 2])
    #expect(log.newest(1).map(\.id) == [4])
    log.reset()
    #expect(log.count == 0)
    log.add([], microseconds: 1, unixSeconds: 0, client: "", clientName: "", capacity: 3)
    #expect(log.newest(1).map(\.id) == [5])

    let long = [UInt8](repeating: 120, count: 300)
    let shortened = long.withUnsafeBytes { bytes in Slowlog.shorten(40) { _ in bytes } }
    #expect(shortened.count == 32)
    #expect(String(decoding: shortened[0], as: UTF8.self).hasSuffix("... (172 more bytes)"))
    #expect(String(decoding: shortened[31], as: UTF8.self) == "... (9 more arguments)")
  }

  @Test("events of one second are one sample, and the history forgets the oldest")
  func latencyHistory() throws {
    let history = LatencyHistory()
    history.add("command", milliseconds: 5, unixSeconds: 1)
    history.add("command", milliseconds: 9, unixSeconds: 1)
    history.add("command", milliseconds: 7, unixSeconds: 1)
    #expect(history.event("command")?.samples == [.init(unixSeconds: 1, milliseconds: 9)])
    for second in 2...200 { history.add("command", milliseconds: 1, unixSeconds: second) }
    let event = try #require(history.event("command"))
    #expect(event.samples.count == LatencyHistory.capacity)
    #expect(event.samples.last?.unixSeconds == 200)
    #expect(event.longestMilliseconds == 9)
    #expect(history.reset(["nosuch"]) == 0)
    #expect(history.reset([]) == 1)
    #expect(history.event("command") == nil)
  }

  @Test("numbers are written for people as Redis writes them")
  func numbers() {
    #expect(humanBytes(0) == "0B")
    #expect(humanBytes(1023) == "1023B")
    #expect(humanBytes(1536) == "1.50K")
    #expect(humanBytes(5 << 30) == "5.00G")
    #expect(fixed(0.005, digits: 2) == "0.01")
    #expect(fixed(-1.5, digits: 1) == "-1.5")
    #expect(fixed(12, digits: 0) == "12")
    #expect(fixed(.nan, digits: 2) == "0")
    #expect(fixed(2.0, digits: 6) == "2.000000")
  }

  @Test("a graph has a column for each sample, the latest on the right")
  func graph() {
    var event = LatencyHistory.Event()
    event.samples = [.init(unixSeconds: 10, milliseconds: 1), .init(unixSeconds: 70, milliseconds: 100)]
    event.longestMilliseconds = 100
    let lines = LatencyGraph.draw("command", event).split(separator: "\n").map { String($0) }
    #expect(lines[0] == "command - high 100 ms, low 1 ms (all time high 100 ms)")
    #expect(lines[2] == " #" && lines[5] == "#|")
    #expect(lines[6] == "10" && lines[7] == "ms")
  }

  @Test("the names of INFO's sections choose what is reported")
  func sections() {
    #expect(InfoReport.sections(named: []) == InfoReport.standard)
    #expect(InfoReport.sections(named: ["default"]) == InfoReport.standard)
    #expect(!InfoReport.standard.contains(.commandstats))
    #expect(InfoReport.sections(named: ["everything"]).count == InfoReport.Section.allCases.count)
    #expect(InfoReport.sections(named: ["cpu", "nosuch"]) == [.cpu])
    #expect(InfoReport.Section.cpu.title == "CPU" && InfoReport.Section.keyspace.title == "Keyspace")
  }

  @Test("every fact that INFO reports without measuring says why")
  func facts() {
    let facts = InfoFacts.all
    #expect(facts.allSatisfy { !$0.reason.isEmpty && !$0.value.isEmpty })
    #expect(Set(facts.map(\.name)).count == facts.count)
  }

  @Test("the documentation names every one of them")
  func documentedFacts() throws {
    let root = #filePath.components(separatedBy: "/Tests/")[0]
    let page = try String(contentsOfFile: root + "/docs/redis.md", encoding: .utf8)
    for fact in InfoFacts.all { #expect(page.contains("`\(fact.name)`"), "docs/redis.md does not name \(fact.name)") }
  }

  @Test("an unknown category is quoted up to 128 bytes")
  func unknownCategory() {
    let console = CommandConsole()
    let quoted = { (name: String) in console.type("ACL CAT \(name)") }
    #expect(quoted("nosuch") == "-ERR Unknown category 'nosuch'")
    let most = String(repeating: "x", count: 128)
    #expect(quoted(most + "y") == "-ERR Unknown category '\(most)'")
  }

  @Test("equal seeds draw equal pictures of the size asked for")
  func gravel() {
    let picture = Gravel.draw(columns: 10, rows: 3, seed: 7)
    #expect(picture == Gravel.draw(columns: 10, rows: 3, seed: 7))
    #expect(picture.split(separator: "\n", omittingEmptySubsequences: false).map(\.count) == [10, 10, 10, 0])
  }
}
