import NexusModel

/// Durations counted in buckets that grow with the value: eight to each power of two, so that a percentile is off by
/// at most an eighth. From 32 ns to above ten minutes.
///
/// Invariant: points to `bucketCount` tallies that its loop's thread writes.
struct LatencyHistogram: @unchecked Sendable {
  static let bucketCount = 280
  private static let unitShift: UInt64 = 5

  let counts: UnsafeMutablePointer<Tally>

  init() {
    counts = .allocate(capacity: Self.bucketCount)
    for bucket in 0..<Self.bucketCount { (counts + bucket).initialize(to: Tally()) }
  }

  init(_ counts: UnsafeMutablePointer<Tally>) { self.counts = counts }

  func deallocate() {
    counts.deinitialize(count: Self.bucketCount)
    counts.deallocate()
  }

  func record(nanoseconds: UInt64, calls: UInt64 = 1) { counts[Self.bucket(of: nanoseconds)].add(calls) }

  static func bucket(of nanoseconds: UInt64) -> Int {
    let units = nanoseconds &>> unitShift
    if units < 8 { return Int(units) }
    let exponent = 63 - units.leadingZeroBitCount
    let index = (exponent - 2) &* 8 &+ Int((units &>> UInt64(exponent - 3)) & 7)
    return min(index, bucketCount - 1)
  }

  /// The smallest duration that is too long for the bucket, in nanoseconds.
  static func upperBound(of bucket: Int) -> UInt64 {
    let next = UInt64(bucket + 1)
    if next <= 8 { return next &<< unitShift }
    let exponent = next / 8 - 1
    return (8 + next % 8) &<< (exponent + unitShift)
  }
}

/// What several histograms counted together, to be asked.
struct LatencySummary {
  private var counts = [UInt64](repeating: 0, count: LatencyHistogram.bucketCount)
  private(set) var total: UInt64 = 0

  mutating func add(_ histogram: LatencyHistogram) {
    for index in counts.indices {
      let count = histogram.counts[index].value
      counts[index] += count
      total += count
    }
  }

  mutating func subtract(_ other: LatencySummary) {
    for index in counts.indices { counts[index] -= min(counts[index], other.counts[index]) }
    total = counts.reduce(0, +)
  }

  /// The duration that this share (0...100) of all calls stayed within, in microseconds.
  func percentile(_ percent: Double) -> Double {
    let wanted = max(1, (Double(total) * percent / 100).rounded(.up))
    var seen: UInt64 = 0
    for (index, count) in counts.enumerated() {
      seen += count
      if Double(seen) >= wanted { return Double(LatencyHistogram.upperBound(of: index)) / 1000 }
    }
    return 0
  }

  /// How many calls took at most 1, 2, 4, ... microseconds: only the steps that add calls, up to about a second
  /// (and whatever lies beyond with the last).
  func powersOfTwo() -> [(microseconds: Int, calls: UInt64)] {
    var steps: [(microseconds: Int, calls: UInt64)] = []
    var seen: UInt64 = 0
    var index = 0
    for exponent in 0...20 {
      let limit = exponent == 20 ? UInt64.max : UInt64(1024) &<< UInt64(exponent)
      let before = seen
      while index < counts.count, LatencyHistogram.upperBound(of: index) <= limit {
        seen += counts[index]
        index += 1
      }
      if seen > before { steps.append((1 << exponent, seen)) }
    }
    return steps
  }
}
