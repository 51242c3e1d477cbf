import Glibc
import NexusModel
import NexusTestSupport
import Testing

@testable import NexusSketch

@Suite("Hot keys")
struct HotKeysTests {
  /// Feeds a sketch and counts exactly beside it.
  private struct Feed: ~Copyable {
    var sketch: HotKeys
    let start: UnixMilliseconds = 1_000_000
    private(set) var exact: [Int: Double] = [:]
    private(set) var now: UnixMilliseconds

    init(_ capacity: Int, halfLife: Int64 = 10_000, keyBytesMax: Int = 32) {
      var settings = HotKeys.Settings()
      settings.capacity = capacity
      settings.halfLifeMilliseconds = halfLife
      settings.keyBytesMax = keyBytesMax
      now = start
      sketch = HotKeys(settings, now: now)
    }

    mutating func observe(_ key: Int, isWrite: Bool = false) {
      Array("key:\(key)".utf8).withUnsafeBytes {
        sketch.observe($0, in: 0, hash: hash(key), isWrite: isWrite, now: now)
      }
      exact[key, default: 0] += 1
    }

    mutating func pass(_ milliseconds: Int64) {
      now += milliseconds
      let factor = exp2(-Double(milliseconds) / Double(sketch.settings.halfLifeMilliseconds))
      for key in exact.keys { exact[key]! *= factor }
    }

    /// A rate as the sketch would compute it from an exact count.
    func rate(_ weight: Double) -> Double {
      let halfLife = Double(sketch.settings.halfLifeMilliseconds)
      let elapsed = Double(max(now - start, 1000))
      return weight * 1000 / (halfLife / M_LN2 * (1 - exp2(-elapsed / halfLife)))
    }

    func report() -> HotKeyReport { sketch.report(now: now) }

    /// What is wrong with the bounds of a report; empty: nothing.
    func violations() -> [String] {
      let report = report()
      var found: [String] = []
      var listed: Set<Int> = []
      for hot in report.keys {
        let key = Int(String(decoding: hot.key, as: UTF8.self).dropFirst(4))!
        listed.insert(key)
        let exact = rate(exact[key] ?? 0)
        let slack = 1e-9 * (1 + hot.perSecond)
        if exact > hot.perSecond + slack { found.append("\(key): \(exact) > \(hot.perSecond)") }
        if exact < hot.perSecond - hot.errorPerSecond - slack { found.append("\(key): \(exact) is below the bound") }
      }
      for (key, weight) in exact where !listed.contains(key) && rate(weight) > report.restPerSecond * (1 + 1e-9) {
        found.append("\(key) is not listed and has \(rate(weight)) > \(report.restPerSecond)")
      }
      let total = rate(exact.values.reduce(0, +))
      if abs(report.totalPerSecond / total - 1) > 1e-9 { found.append("total \(report.totalPerSecond), not \(total)") }
      let most = total / Double(sketch.settings.capacity)
      if report.restPerSecond > most * (1 + 1e-9) { found.append("rest \(report.restPerSecond) > \(most)") }
      return found
    }

    func hash(_ key: Int) -> UInt64 { CuckooItem.mix(UInt64(key) &+ 0x9E37_79B9_7F4A_7C15) }
  }

  /// Zipf's law by inversion of the cumulative sums.
  private struct Zipf {
    private var sums: [Double] = []

    init(_ count: Int, exponent: Double) {
      var sum = 0.0
      for rank in 1...count {
        sum += pow(Double(rank), -exponent)
        sums.append(sum)
      }
    }

    func draw(_ dice: inout Dice) -> Int {
      let point = Double(dice.next() >> 11) / Double(1 << 53) * sums.last!
      var (low, high) = (0, sums.count - 1)
      while low < high {
        let middle = (low + high) / 2
        if sums[middle] < point { low = middle + 1 } else { high = middle }
      }
      return low
    }
  }

  private func keys(_ report: HotKeyReport) -> [Int] {
    report.keys.map { Int(String(decoding: $0.key, as: UTF8.self).dropFirst(4))! }
  }

  @Test("of a Zipf stream are found, and every rate lies within its bounds", arguments: [0.8, 1.0, 1.3])
  func zipf(_ exponent: Double) {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let zipf = Zipf(20_000, exponent: exponent)
    var feed = Feed(256)
    for step in 1...60_000 {
      feed.observe(zipf.draw(&dice))
      if step % 500 == 0 { feed.pass(Int64(dice.below(200))) }
      if step % 20_000 == 0 {
        let found = feed.violations()
        #expect(found == [], "step \(step), NEXUS_SEED=\(seed)")
      }
    }
    let truth = feed.exact.sorted { $0.value > $1.value }.prefix(10).map(\.key)
    let top = keys(feed.report().top(20))
    #expect(Set(truth).isSubset(of: top), "\(truth) in \(top), NEXUS_SEED=\(seed)")
  }

  @Test("keep their bounds whatever comes, however time passes")
  func bounds() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    for capacity in [1, 2, 7, 40] {
      var feed = Feed(capacity, halfLife: 500)
      for step in 0..<3000 {
        feed.observe(dice.chance(40) ? dice.below(5) : dice.below(300))
        if dice.chance(20) { feed.pass(Int64(dice.below(100))) }
        // Far enough that counts are scaled down.
        if dice.chance(1) { feed.pass(Int64(dice.below(30_000))) }
        guard step % 50 == 0 else { continue }
        let found = feed.violations()
        #expect(found == [], "capacity \(capacity), step \(step), NEXUS_SEED=\(seed)")
      }
    }
  }

  @Test("have the rates at which they are used, and cool down when they are not")
  func rates() {
    var feed = Feed(16)
    for _ in 0..<600 {
      feed.pass(100)
      for _ in 0..<5 { feed.observe(1) }
      feed.observe(2, isWrite: true)
      feed.observe(2)
    }
    let report = feed.report()
    #expect(keys(report) == [1, 2])
    #expect(abs(report.keys[0].perSecond - 50) < 1 && report.keys[0].errorPerSecond == 0)
    #expect(abs(report.keys[1].perSecond - 20) < 1 && abs(report.keys[1].writesPerSecond - 10) < 0.5)
    #expect(abs(report.totalPerSecond - 70) < 1)
    feed.pass(10_000)
    #expect(abs(feed.report().keys[0].perSecond - 25) < 1, "half after a half-life")
    for _ in 0..<600 {
      feed.pass(100)
      for key in 10..<40 { feed.observe(key) }
    }
    #expect(!keys(feed.report()).contains(1) && !keys(feed.report()).contains(2), "others have taken their counters")
    feed.pass(100 * 86_400_000)
    #expect(feed.report().totalPerSecond < 1e-9)
    feed.observe(5)
    #expect(keys(feed.report()).first == 5, "after a long rest the first use counts")
  }

  @Test("of samples have the rates of what was sampled")
  func sampled() {
    let seed = Dice.seed()
    var settings = HotKeys.Settings()
    settings.sampledOneIn = 16
    var sketch = HotKeys(settings, now: 0)
    var gate = SampleGate(oneIn: 16, seed: seed)
    // Two keys in turn: a gate that opened at every sixteenth would see one of them only.
    for step in 0..<400_000 where gate.admits() {
      withBytes(step % 2) {
        sketch.observe($0, in: 3, hash: UInt64(step % 2), isWrite: false, now: UnixMilliseconds(step / 10))
      }
    }
    let report = sketch.report(now: 40_000)
    #expect(report.keys.count == 2 && report.keys.allSatisfy { $0.namespace == 3 })
    for hot in report.keys { #expect(4400...5600 ~= hot.perSecond, "\(hot.perSecond), NEXUS_SEED=\(seed)") }
  }

  @Test("of several loops are merged within their bounds")
  func merging() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let zipf = Zipf(3000, exponent: 1)
    var first = Feed(64)
    var second = Feed(64)
    for step in 0..<40_000 {
      // Some keys on one loop only.
      let key = zipf.draw(&dice)
      if key % 3 == 0 || key % 3 == 1 && dice.chance(50) { first.observe(key) } else { second.observe(key) }
      if step % 100 == 0 {
        first.pass(50)
        second.pass(50)
      }
    }
    let merged = HotKeyReport(merging: [first.report(), second.report()])
    var exact = first.exact
    for (key, weight) in second.exact { exact[key, default: 0] += weight }
    for hot in merged.keys {
      let key = Int(String(decoding: hot.key, as: UTF8.self).dropFirst(4))!
      let rate = first.rate(exact[key]!)
      #expect(rate <= hot.perSecond * (1 + 1e-9), "\(key), NEXUS_SEED=\(seed)")
      #expect(rate >= hot.perSecond - hot.errorPerSecond - 1e-6, "\(key), NEXUS_SEED=\(seed)")
    }
    let listed = Set(keys(merged))
    let hidden = exact.filter { !listed.contains($0.key) && first.rate($0.value) > merged.restPerSecond * 1.000001 }
    #expect(hidden.isEmpty, "NEXUS_SEED=\(seed)")
    let truth = exact.sorted { $0.value > $1.value }.prefix(10).map(\.key)
    #expect(Set(truth).isSubset(of: keys(merged.top(20))), "NEXUS_SEED=\(seed)")
    #expect(merged.top(20).restPerSecond >= merged.restPerSecond)
    #expect(abs(merged.totalPerSecond - first.rate(exact.values.reduce(0, +))) < 1e-6)
  }

  @Test("are told apart where only their beginnings are kept")
  func longKeys() {
    var settings = HotKeys.Settings()
    settings.keyBytesMax = 8
    var feed = HotKeys(settings, now: 0)
    for (number, text) in ["the same beginning: a", "the same beginning: b", "short"].enumerated() {
      for _ in 0..<(9 - number) {
        Array(text.utf8).withUnsafeBytes { feed.observe($0, in: 0, hash: UInt64(number), isWrite: false, now: 1) }
      }
    }
    let report = feed.report(now: 1)
    #expect(report.keys.map { String(decoding: $0.key, as: UTF8.self) } == ["the same", "the same", "short"])
    #expect(report.keys.map(\.isWhole) == [false, false, true] && report.keys.map(\.keyCount) == [21, 21, 5])
    let merged = HotKeyReport(merging: [report, report])
    #expect(merged.keys.count == 3 && merged.keys[0].perSecond == report.keys[0].perSecond * 2)
  }

  @Test("take as much memory as they say, from the beginning on")
  func memory() {
    let sketch = HotKeys(HotKeys.Settings(), now: 0)
    #expect(sketch.byteCount < 64 << 10)
  }

  @Test("a gate for many at once lets as many through as one for each")
  func gateOfBatches() {
    var gate = SampleGate(oneIn: 100, seed: 7)
    var dice = Dice(seed: 8)
    var (passed, admitted) = (0, 0)
    for _ in 0..<200_000 {
      let count = 1 + dice.below(64)
      passed += count
      if let index = gate.admitted(of: count) {
        #expect(0..<count ~= index)
        admitted += 1
      }
    }
    // A batch gives one at most, which costs less than the share of a batch in the distance.
    #expect((0.8...1.05).contains(Double(admitted) * 100 / Double(passed)))
  }

  @Test("the least rate of one key is what the report says, without its error")
  func leastRate() {
    var feed = Feed(4)
    for number in 0..<1000 { feed.observe(number % 3 == 0 ? 1 : number) }
    let hot = feed.report().keys[0]
    let rate = feed.sketch.leastPerSecond(ofHash: feed.hash(1), now: feed.now)
    #expect(abs(rate - (hot.perSecond - hot.errorPerSecond)) < 0.001)
    #expect(feed.sketch.leastPerSecond(ofHash: 12345, now: feed.now) == 0)
  }
}
