import Glibc

/// What a filter is made for.
public struct CuckooFilterPlan: Equatable, Sendable, BitwiseCopyable {
  /// How many items the first sub-filter holds, at the rate below.
  public let capacity: Int
  /// How many of the items that are not in the filter it takes for being in: a share of 1.
  public let falsePositiveRate: Double
  /// Fingerprints to a bucket.
  public let bucketSlots: Int
  /// How many fingerprints an addition may push to their other buckets before it gives up.
  public let displacements: Int
  /// How many times larger each further sub-filter is; 0: there is none, the filter may become full.
  public let expansion: Int

  public static let capacities = 1...Int(UInt32.max) - 1
  /// Fingerprints have at most 32 bits; a filter that lets every fourth stranger through is not worth a look-up.
  public static let falsePositiveRates = 1e-7...0.25
  /// Buckets of one place are full long before a half of the table is.
  public static let bucketSlotCounts = 2...255
  public static let displacementCounts = 1...65_535
  public static let expansions = 0...32_768

  public init(
    capacity: Int, falsePositiveRate: Double = 0.01, bucketSlots: Int = 4, displacements: Int = 500,
    expansion: Int = 2
  ) throws(CuckooFilterError) {
    guard Self.capacities.contains(capacity) else { throw .capacity }
    guard Self.falsePositiveRates.contains(falsePositiveRate) else { throw .falsePositiveRate }
    guard Self.bucketSlotCounts.contains(bucketSlots) else { throw .bucketSlots }
    guard Self.displacementCounts.contains(displacements) else { throw .displacements }
    guard Self.expansions.contains(expansion) else { throw .expansion }
    self.capacity = capacity
    self.falsePositiveRate = falsePositiveRate
    self.bucketSlots = bucketSlots
    self.displacements = displacements
    self.expansion = expansion
    guard bucketCount <= Int(UInt32.max) else { throw .capacity }
  }

  /// The share of slots that can be filled before additions begin to fail: Fan et al. (2014), section 5.1, and somewhat
  /// less, because what is asked for has to fit every time.
  var load: Double {
    switch bucketSlots {
    case 2: 0.83
    case 3: 0.92
    case 4: 0.95
    case 5...7: 0.96
    default: 0.97
    }
  }

  /// Small tables fill unevenly, those of small buckets more so: they get some buckets more.
  var bucketCount: Int {
    let more = bucketSlots == 2 ? 16 : bucketSlots == 3 ? 6 : 3
    return Int((Double(capacity) / load / Double(bucketSlots)).rounded(.up)) + more
  }

  /// How many different fingerprints there are. Chosen so that the rate is met when `capacity` items are in, which
  /// takes a number that is no power of two: whole bits alone would miss the rate by up to half.
  ///
  /// A look-up meets the fingerprints of two buckets (of one where both are the same, which is so for one item in
  /// `bucketCount`), and takes each for its own with a chance of 1 in this number.
  var fingerprintCount: Int {
    let buckets = Double(bucketCount)
    let met = Double(capacity) / buckets * (2 - 1 / buckets)
    // The sub-filters to come need a share of the rate as well: 1/16 of what the first one has (`extraBits`).
    let share = expansion == 0 ? 1 : 0.94
    let chance = -expm1(log1p(-falsePositiveRate * share) / met)
    return max(1, min(Int((1 / chance).rounded()), Int(UInt32.max)))
  }

  /// By how many bits the fingerprints of the nth sub-filter (the first is 0) are longer than the first one's: the
  /// rates of all further ones, 1/(16 n (n + 1)) of the first one's each, add up to less than a sixteenth of it.
  static func extraBits(ofLayer number: Int) -> Int {
    if number == 0 { return 0 }
    let divisor = 16 * number * (number + 1)
    return Int.bitWidth - (divisor - 1).leadingZeroBitCount
  }

  var slotBits: Int { Int.bitWidth - fingerprintCount.leadingZeroBitCount }

  /// What a filter made by this plan takes before it grows.
  public var byteCount: Int {
    CuckooLayout.headerBytes
      + CuckooLayout.layerBytes(buckets: bucketCount, bucketSlots: bucketSlots, slotBits: slotBits)
  }

  /// What it takes when it has grown to hold so many items, as far as it may.
  public func byteCount(holding items: Int, limitBytes: Int) -> Int {
    CuckooGrowth(
      bucketSlots: bucketSlots, fingerprintBits: slotBits, expansion: expansion, buckets: bucketCount,
      capacity: capacity, layerCount: 1, totalCapacity: capacity, byteCount: byteCount
    ).holding(items, limitBytes: limitBytes).byteCount
  }
}

/// What a filter cannot be made for.
public enum CuckooFilterError: Error, Equatable, CustomStringConvertible {
  case capacity, falsePositiveRate, bucketSlots, displacements, expansion

  public var description: String {
    switch self {
    case .capacity: "a filter's capacity is a number of items from 1 to \(CuckooFilterPlan.capacities.upperBound)"
    case .falsePositiveRate: "a filter's error rate is a share from 0.0000001 to 0.25, such as 0.01"
    case .bucketSlots: "a bucket has 2 to \(CuckooFilterPlan.bucketSlotCounts.upperBound) places"
    case .displacements: "an addition may try 1 to \(CuckooFilterPlan.displacementCounts.upperBound) iterations"
    case .expansion: "a sub-filter is 0 (none) to \(CuckooFilterPlan.expansions.upperBound) times larger than the last"
    }
  }
}
