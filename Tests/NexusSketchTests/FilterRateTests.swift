import NexusTestSupport
import Testing

@testable import NexusSketch

@Suite("A filter's false positives")
struct FilterRateTests {
  @Test(
    "are as many as its rate says when it holds what it was made for",
    arguments: [(0.01, 1_000_000), (0.001, 1_000_000), (0.0001, 3_000_000)])
  func measured(_ rate: Double, _ probes: Int) {
    // The seed stands: with 300 expected hits, one run in a few hundred would be off by chance alone.
    let filter = CuckooFilterPlan.of(30_000, rate: rate).filter(0..<30_000, seed: 20)
    let hits = filter.value.reading { view in
      (0..<probes).reduce(0) { $0 + (withBytes($1 + (1 << 40), view.contains) ? 1 : 0) }
    }
    let measured = Double(hits) / Double(probes)
    print("rate \(rate): measured \(measured), exactly \(filter.exactFalsePositiveRate)")
    #expect(abs(measured / rate - 1) < 0.1)
  }

  @Test(
    "are counted exactly: never above the rate by more than chance, at most a tenth below",
    arguments: [0.1, 0.02, 0.003, 0.0001], [2, 4, 8, 20])
  func exact(_ rate: Double, _ slots: Int) {
    let seed = Dice.seed()
    for expansion in [0, 2] {
      let plan = CuckooFilterPlan.of(6000, rate: rate, slots: slots, expansion: expansion)
      let filter = plan.filter(0..<6000, seed: seed)
      let share = filter.exactFalsePositiveRate / rate
      #expect(0.91...1.02 ~= share, "\(rate), \(slots), \(expansion): \(share), NEXUS_SEED=\(seed)")
    }
  }

  @Test("stay within the rate however often the filter has grown", arguments: [1, 2, 4])
  func grown(_ expansion: Int) {
    let seed = Dice.seed()
    for rate in [0.05, 0.001] {
      let filter = Filter(.of(500, rate: rate, expansion: expansion), seed: seed)
      let layers = expansion == 1 ? 20 : 5
      var item = 0
      while filter.layerCount < layers || filter.itemCount < filter.capacity {
        #expect(filter.add(item))
        item += 1
      }
      let share = filter.exactFalsePositiveRate / rate
      #expect(0.85...1.03 ~= share, "rate \(rate), \(layers) layers of \(expansion): \(share), NEXUS_SEED=\(seed)")
    }
  }

  @Test("cost so many bits for each item", arguments: [(0.01, 10.6), (0.001, 13.8), (0.0001, 18.0)])
  func bits(_ rate: Double, _ most: Double) {
    for capacity in [10_000, 123_457, 1_000_000] {
      let filter = Filter(.of(capacity, rate: rate))
      let bits = Double(filter.bytes.count * 8) / Double(capacity)
      #expect(bits < most, "\(capacity) items at \(rate): \(bits)")
    }
  }

  @Test("need 14 bits for each item at a rate of 0.1% from 3,000 items on")
  func fourteenBits() {
    for capacity in stride(from: 3000, through: 30_000, by: 997) {
      #expect(CuckooFilterPlan.of(capacity, rate: 0.001).byteCount * 8 <= capacity * 14, "\(capacity)")
    }
  }

  @Test("of filters with different seeds have nothing to do with one another")
  func seeds() {
    let plan = CuckooFilterPlan.of(5000, rate: 0.05)
    let (one, other) = (plan.filter(0..<5000, seed: 1), plan.filter(0..<5000, seed: 2))
    let strangers = (10_000..<60_000).filter { one.contains($0) }
    #expect(strangers.count > 2000)
    let both = strangers.filter { other.contains($0) }
    #expect(both.count < strangers.count / 10)
  }
}
