import Glibc
import Testing

@testable import NexusBench

@Suite struct ZipfTests {
  @Test(arguments: [0.0, 0.5, 0.99, 1.0, 1.2, 2.0]) func ranksComeAsOftenAsTheLawSays(theta: Double) {
    let keys = 1_000
    let draws = 200_000
    let zipf = Zipf(count: UInt64(keys), theta: theta)
    var random = SplitMix64(seed: 42)
    var seen = [Int](repeating: 0, count: keys)
    for _ in 0..<draws { seen[Int(zipf.sample(&random))] += 1 }
    let total = (1...keys).reduce(0) { $0 + pow(Double($1), -theta) }
    for rank in [0, 1, 2, 9, 99, 999] {
      let expected = Double(draws) * pow(Double(rank + 1), -theta) / total
      // Five standard deviations of a binomial count, for a seed that never changes.
      let slack = 5 * sqrt(max(expected, 1))
      #expect(abs(Double(seen[rank]) - expected) <= slack, "theta \(theta), rank \(rank)")
    }
  }

  @Test func aSingleKeyIsAlwaysThatKey() {
    var random = SplitMix64(seed: 3)
    let zipf = Zipf(count: 1, theta: 0.99)
    for _ in 0..<100 { #expect(zipf.sample(&random) == 0) }
  }

  @Test func samplesStayInsideAHugeKeySpace() {
    var random = SplitMix64(seed: 5)
    let zipf = Zipf(count: 1_000_000_000, theta: 0.8)
    for _ in 0..<10_000 { #expect(zipf.sample(&random) < 1_000_000_000) }
  }
}
