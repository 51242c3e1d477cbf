/// A histogram of durations with three significant digits over the whole range, after Gil Tene's HdrHistogram:
/// buckets double in width every 1,024 steps, so that a recorded value and the value read back differ by less
/// than one part in a thousand, from a nanosecond to hours, in a fixed array.
///
/// Two histograms add up to what one would have held: each thread records into its own.
public struct Histogram: Sendable {
  /// Values below `linear` have a bucket each; above, each power of two has `half` buckets.
  static let linearBits = 11
  static let linear = 1 << linearBits
  static let half = linear / 2
  /// Largest value that is told apart: about 4.8 hours in nanoseconds. Larger ones count as this one.
  static let maxBits = 44

  private(set) var counts: [UInt64]
  public private(set) var count: UInt64 = 0
  public private(set) var max: UInt64 = 0
  public private(set) var min: UInt64 = .max
  private var sum: Double = 0

  public init() {
    counts = [UInt64](repeating: 0, count: Self.linear + (Self.maxBits - Self.linearBits) * Self.half)
  }

  @inline(__always) static func bucket(of value: UInt64) -> Int {
    if value < UInt64(linear) { return Int(value) }
    let shift = 64 - linearBits - value.leadingZeroBitCount
    return shift * half + Int(value >> UInt64(shift))
  }

  /// The values `lowest..<lowest + width` that a bucket stands for.
  static func range(ofBucket bucket: Int) -> (lowest: UInt64, width: UInt64) {
    if bucket < linear { return (UInt64(bucket), 1) }
    let shift = (bucket - linear) / half + 1
    return (UInt64(bucket - shift * half) << UInt64(shift), 1 << UInt64(shift))
  }

  /// Records `times` values at once: replies that arrive together took equally long.
  @inline(__always) public mutating func record(_ value: UInt64, times: Int = 1) {
    let bounded = Swift.min(value, (1 << UInt64(Self.maxBits)) - 1)
    counts[Self.bucket(of: bounded)] &+= UInt64(times)
    count &+= UInt64(times)
    sum += Double(value) * Double(times)
    if value > max { max = value }
    if value < min { min = value }
  }

  public mutating func merge(_ other: Histogram) {
    for index in counts.indices { counts[index] &+= other.counts[index] }
    count += other.count
    sum += other.sum
    max = Swift.max(max, other.max)
    min = Swift.min(min, other.min)
  }

  public mutating func reset() { self = Histogram() }

  public var mean: Double { count == 0 ? 0 : sum / Double(count) }

  /// The smallest value such that at least `share` (0...1) of all recorded values are not above it, to three
  /// digits. 0 where nothing was recorded.
  public func quantile(_ share: Double) -> UInt64 {
    guard count > 0 else { return 0 }
    let wanted = Swift.max(1, UInt64((share * Double(count)).rounded(.up)))
    var seen: UInt64 = 0
    for (bucket, held) in counts.enumerated() where held > 0 {
      seen += held
      if seen >= wanted {
        let (lowest, width) = Self.range(ofBucket: bucket)
        return Swift.min(lowest + width / 2, max)
      }
    }
    return max
  }
}
