import NexusTestSupport

@testable import NexusSketch

/// A filter of numbers, as tests ask and change it.
final class Filter {
  private(set) var value: CuckooFilter

  init(_ plan: CuckooFilterPlan, seed: UInt64 = 0) { value = CuckooFilter(plan, seed: seed) }

  init?(bytes: [UInt8]) {
    guard let value = CuckooFilter(bytes: bytes) else { return nil }
    self.value = value
  }

  var bytes: [UInt8] { value.bytes }
  var layerCount: Int { value.reading { $0.layerCount } }
  var itemCount: Int { value.reading { $0.itemCount } }
  var capacity: Int { value.reading { $0.capacity } }
  var deletedCount: Int { value.reading { $0.deletedCount } }

  func add(_ number: Int) -> Bool { withBytes(number) { value.add($0) } }
  func add(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { value.add($0) } }
  func remove(_ number: Int) -> Bool { withBytes(number) { value.remove($0) } }
  func contains(_ number: Int) -> Bool { withBytes(number) { value.contains($0) } }
  func contains(_ bytes: [UInt8]) -> Bool { bytes.withUnsafeBytes { value.contains($0) } }
  func count(of number: Int) -> Int { withBytes(number) { value.count(of: $0) } }

  /// The share of all strangers that are taken for items, counted and not sampled: of all pairs of a bucket and a
  /// fingerprint that an item may have, those that are found. A good hash makes all pairs equally likely.
  var exactFalsePositiveRate: Double {
    value.reading { filter in
      var missed = 1.0
      filter.forEachLayer { missed *= 1 - $0.exactFalsePositiveRate }
      return 1 - missed
    }
  }
}

extension CuckooLayer {
  fileprivate var exactFalsePositiveRate: Double {
    var found: Set<UInt64> = []
    for place in 0..<Int(bucketCount) * slotCount {
      let fingerprint = read(place)
      guard fingerprint != 0 else { continue }
      let bucket = UInt64(place / slotCount)
      found.insert(bucket << 40 | fingerprint)
      found.insert(other(bucket, fingerprint) << 40 | fingerprint)
    }
    let pairs = Double(bucketCount) * Double(fingerprintCount << extraBits)
    return Double(found.count) / pairs
  }
}

/// A number's eight bytes, as an item.
func withBytes<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
  withUnsafeBytes(of: UInt64(truncatingIfNeeded: number).littleEndian, body)
}

extension CuckooFilterPlan {
  /// For tests, whose numbers are right.
  static func of(
    _ capacity: Int, rate: Double, slots: Int = 4, displacements: Int = 500, expansion: Int = 2
  ) -> CuckooFilterPlan {
    try! CuckooFilterPlan(
      capacity: capacity, falsePositiveRate: rate, bucketSlots: slots, displacements: displacements,
      expansion: expansion)
  }

  func filter(_ items: Range<Int>, seed: UInt64 = 0) -> Filter {
    let filter = Filter(self, seed: seed)
    // Where a plan has few fingerprints or small buckets, some item may find as many equals as fit.
    let refused = items.reduce(0) { $0 + (filter.add($1) ? 0 : 1) }
    precondition(refused <= items.count / 1000, "\(refused) items found no place in \(self)")
    return filter
  }
}
