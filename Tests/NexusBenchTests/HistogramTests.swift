import Testing

@testable import NexusBench

@Suite struct HistogramTests {
  @Test(arguments: [1, 2, 3]) func quantilesAreWithinOneThousandthOfTheSortedSamples(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var histogram = Histogram()
    var samples: [UInt64] = []
    for _ in 0..<50_000 {
      // Spread over nine orders of magnitude.
      let value = random.next() >> (20 + random.below(44))
      let bounded = value & ((1 << 44) - 1)
      samples.append(bounded)
      histogram.record(bounded)
    }
    samples.sort()
    for share in [0.0, 0.001, 0.1, 0.25, 0.5, 0.9, 0.99, 0.999, 0.9999, 1] {
      let index = max(0, Int((share * Double(samples.count)).rounded(.up)) - 1)
      let exact = Double(samples[index])
      let read = Double(histogram.quantile(share))
      #expect(abs(read - exact) <= exact / 1000 + 0.5, "seed \(seed), share \(share)")
    }
    #expect(histogram.max == samples.last)
    #expect(histogram.count == 50_000)
  }

  @Test func everyValueFallsIntoTheBucketWhoseRangeHoldsIt() {
    var values: [UInt64] = [0, 1, 2047, 2048, 2049, 4095, 4096, 1 << 43, (1 << 44) - 1]
    for power in 1..<44 { values += [(1 << power) - 1, 1 << power, (1 << power) + 1] }
    for value in values where value < 1 << 44 {
      let (lowest, width) = Histogram.range(ofBucket: Histogram.bucket(of: value))
      #expect(lowest <= value && value < lowest + width)
      #expect(width == 1 || width * 1000 <= lowest)
    }
  }

  @Test func mergingEqualsRecordingEverythingInOne() {
    var random = SplitMix64(seed: 7)
    var parts = [Histogram(), Histogram(), Histogram()]
    var whole = Histogram()
    for index in 0..<3_000 {
      let value = random.below(5_000_000)
      parts[index % 3].record(value, times: 1 + index % 4)
      whole.record(value, times: 1 + index % 4)
    }
    var merged = Histogram()
    for part in parts { merged.merge(part) }
    #expect(merged.count == whole.count)
    #expect(merged.max == whole.max)
    #expect(merged.min == whole.min)
    for share in [0.01, 0.5, 0.99, 1] { #expect(merged.quantile(share) == whole.quantile(share)) }
  }

  @Test func valuesBeyondTheRangeCountAsTheLargest() {
    var histogram = Histogram()
    histogram.record(.max)
    #expect(histogram.max == .max)
    #expect(histogram.quantile(0.5) >= (1 << 44) - (1 << 34))
  }

  @Test func anEmptyHistogramAnswersZero() {
    #expect(Histogram().quantile(0.5) == 0)
    #expect(Histogram().mean == 0)
  }
}
