/// One sub-filter: a table of buckets, where it lies.
///
/// Partial-key cuckoo hashing (Fan, Andersen, Kaminsky, Mitzenmacher: "Cuckoo Filter: Practically Better Than Bloom",
/// CoNEXT 2014): of an item only a fingerprint is kept, in one of two buckets, and from one bucket and the fingerprint
/// follows the other. The paper's exclusive or needs a power of two of buckets; `c - i` modulo their number, with a `c`
/// that the fingerprint decides, is its own inverse for every number (Lang, Neumann, Kemper, Boncz:
/// "Performance-Optimal Filtering", VLDB 2019).
struct CuckooLayer: BitwiseCopyable {
  let header: UnsafeMutableRawPointer
  private let places: UnsafeMutableRawPointer
  let bucketCount: UInt64
  let slotCount: Int
  private let slotBits: Int
  private let mask: UInt64
  let fingerprintCount: UInt64
  let extraBits: UInt64

  @inline(__always)
  init(_ header: UnsafeMutableRawPointer, bucketSlots: Int, fingerprintCount: UInt64, extraBits: Int) {
    self.header = header
    places = header + CuckooLayout.layerHeaderBytes
    bucketCount = UInt64(header.little(at: 0, UInt32.self))
    slotCount = bucketSlots
    slotBits = Int(header.little(at: 12, UInt16.self))
    mask = 1 &<< UInt64(truncatingIfNeeded: slotBits) &- 1
    self.fingerprintCount = fingerprintCount
    self.extraBits = UInt64(truncatingIfNeeded: extraBits)
  }

  var capacity: Int { Int(header.little(at: 4, UInt32.self)) }
  var itemCount: Int {
    get { Int(header.little(at: 8, UInt32.self)) }
    nonmutating set { header.setLittle(UInt32(newValue), at: 8) }
  }

  // MARK: Places

  @inline(__always) func read(_ place: Int) -> UInt64 {
    let bit = place &* slotBits
    return places.little(at: bit &>> 3, UInt64.self) &>> UInt64(truncatingIfNeeded: bit & 7) & mask
  }

  @inline(__always) private func write(_ value: UInt64, _ place: Int) {
    let bit = place &* slotBits
    let shift = UInt64(truncatingIfNeeded: bit & 7)
    let word = places.little(at: bit &>> 3, UInt64.self)
    places.setLittle(word & ~(mask &<< shift) | value &<< shift, at: bit &>> 3)
  }

  /// The place of the bucket that holds this; 0 finds an empty one.
  @inline(__always) private func find(_ value: UInt64, _ bucket: UInt64) -> Int? {
    let first = Int(truncatingIfNeeded: bucket) &* slotCount
    for place in first..<first &+ slotCount where read(place) == value { return place }
    return nil
  }

  @inline(__always) func other(_ bucket: UInt64, _ fingerprint: UInt64) -> UInt64 {
    // The first layer's part alone decides: see `CuckooItem`.
    let sum = CuckooItem.mix(fingerprint &>> extraBits) % bucketCount
    return sum >= bucket ? sum &- bucket : sum &+ bucketCount &- bucket
  }

  // MARK: Items

  @inline(__always) private func place(of item: CuckooItem) -> Int? {
    let fingerprint = item.fingerprint(of: fingerprintCount, extraBits: extraBits)
    let bucket = item.bucket(of: bucketCount)
    return find(fingerprint, bucket) ?? find(fingerprint, other(bucket, fingerprint))
  }

  @inline(__always) func contains(_ item: CuckooItem) -> Bool { place(of: item) != nil }

  /// In how many places something lies that cannot be told from the item.
  func count(of item: CuckooItem) -> Int {
    let fingerprint = item.fingerprint(of: fingerprintCount, extraBits: extraBits)
    let bucket = item.bucket(of: bucketCount)
    let otherBucket = other(bucket, fingerprint)
    return count(fingerprint, bucket) + (otherBucket == bucket ? 0 : count(fingerprint, otherBucket))
  }

  private func count(_ fingerprint: UInt64, _ bucket: UInt64) -> Int {
    let first = Int(bucket) * slotCount
    return (first..<first + slotCount).reduce(0) { $0 + (read($1) == fingerprint ? 1 : 0) }
  }

  func remove(_ item: CuckooItem) -> Bool {
    guard let place = place(of: item) else { return false }
    write(0, place)
    // Below 0 only where the bytes were not ours.
    itemCount = max(0, itemCount - 1)
    return true
  }

  /// False, and nothing has changed, where no place is found within so many displacements.
  func add(_ item: CuckooItem, displacements: Int) -> Bool {
    let fingerprint = item.fingerprint(of: fingerprintCount, extraBits: extraBits)
    let bucket = item.bucket(of: bucketCount)
    let otherBucket = other(bucket, fingerprint)
    if let place = find(0, bucket) ?? find(0, otherBucket) {
      write(fingerprint, place)
    } else if !push(fingerprint, item.hash & 1 == 0 ? bucket : otherBucket, item.hash, displacements) {
      return false
    }
    itemCount += 1
    return true
  }

  /// Puts the fingerprint into the full bucket, what was there into its other bucket, and so on, until one has an
  /// empty place. Which one is pushed out follows from `chance` and the step alone: so the way back is known where
  /// no end is found, and equal filters stay equal under equal changes.
  private func push(_ fingerprint: UInt64, _ start: UInt64, _ chance: UInt64, _ steps: Int) -> Bool {
    var carried = fingerprint
    var bucket = start
    for step in 0..<steps {
      swap(&carried, bucket, chance, step)
      bucket = other(bucket, carried)
      if let place = find(0, bucket) {
        write(carried, place)
        return true
      }
    }
    for step in stride(from: steps - 1, through: 0, by: -1) {
      bucket = other(bucket, carried)
      swap(&carried, bucket, chance, step)
    }
    return false
  }

  @inline(__always) private func swap(_ carried: inout UInt64, _ bucket: UInt64, _ chance: UInt64, _ step: Int) {
    let drawn = CuckooItem.mix(chance &+ UInt64(truncatingIfNeeded: step) &* 0x9E37_79B9_7F4A_7C15)
    let slot = Int(truncatingIfNeeded: drawn.multipliedFullWidth(by: UInt64(truncatingIfNeeded: slotCount)).high)
    let place = Int(truncatingIfNeeded: bucket) &* slotCount &+ slot
    let former = read(place)
    write(carried, place)
    carried = former
  }
}
