/// Chooses the share of S3-FIFO's small queue by trying: a handful of shadow caches with different shares see the
/// same sample of requests, and the share whose shadow missed least lately is the lane's.
///
/// The sample is every request whose hash has no bit of `mask`, so that a shadow holds 128 to 256 sampled entries
/// where the lane holds them all (and the lane's own number where that is less).
///
/// Invariant: `shadows` and `misses` have `shares.count` elements.
struct SmallQueueTuner: BitwiseCopyable {
  /// In 1/1024 of all entries: about 1, 5, 10, 25, 45 and 70%.
  static let shares = (10, 51, 102, 256, 461, 717)
  private static let shareCount = 6
  /// The share of those who do not know better.
  static let initialShare = 102

  private static let sampleEntriesMin = 128
  /// Requests between judgements, in shadow capacities.
  private static let epochCapacities = 8
  /// What remains of earlier misses at a judgement.
  private static let memory: Float = 0.75
  /// A challenger must miss this much less than the present share.
  private static let advantage: Float = 0.99

  private let shadows: UnsafeMutablePointer<ShadowCache>
  private let misses: UnsafeMutablePointer<Float>
  private let entries: Int
  private let epochRequests: Int
  private var requests = 0
  private var current: Int?
  /// What the shadows take, with their ghosts.
  let heapBytes: Int
  /// Requests whose hash has none of these bits are the sample.
  let mask: UInt64
  private(set) var share: Int

  /// `entries`: what the lane holds now that it is full. `share`: what to go on with.
  init(entries: Int, share: Int) {
    self.entries = entries
    self.share = share
    var shift: UInt64 = 0
    while entries >> (shift + 1) >= Self.sampleEntriesMin { shift += 1 }
    mask = ((1 << shift) - 1) << 24
    let capacity = max(1, entries >> shift)
    epochRequests = Self.epochCapacities * capacity
    shadows = .allocate(capacity: Self.shareCount)
    misses = .allocate(capacity: Self.shareCount)
    misses.initialize(repeating: 0, count: Self.shareCount)
    for index in 0..<Self.shareCount {
      (shadows + index).initialize(to: ShadowCache(capacity: capacity, smallShare: Self.shareAt(index)))
      if Self.shareAt(index) == share { current = index }
    }
    heapBytes =
      Self.shareCount
      * (MemoryLayout<ShadowCache>.stride + MemoryLayout<Float>.stride + shadows[0].heapBytesMax)
  }

  private static func shareAt(_ index: Int) -> Int {
    withUnsafeBytes(of: shares) { $0.load(fromByteOffset: index * MemoryLayout<Int>.stride, as: Int.self) }
  }

  mutating func release() {
    for index in 0..<Self.shareCount { shadows[index].release() }
    shadows.deallocate()
    misses.deallocate()
  }

  /// The lane has grown or shrunk so much that the shadows no longer resemble it.
  func isOutgrown(by count: Int) -> Bool { count > entries + entries / 4 + 8 || count < entries - entries / 4 - 8 }

  /// One request of the sample. True when an epoch ended: `share` may have changed.
  mutating func sample(_ hash: UInt64) -> Bool {
    // Bits that are 0 throughout the sample must not be.
    let mixed = (hash ^ (hash >> 32)) &* 0xA24B_AED4_963E_E407
    let short = UInt32(truncatingIfNeeded: mixed >> 32)
    for index in 0..<Self.shareCount where !shadows[index].request(short) { misses[index] += 1 }
    requests &+= 1
    if requests < epochRequests { return false }
    requests = 0
    judge()
    return true
  }

  private mutating func judge() {
    var best = 0
    for index in 1..<Self.shareCount where misses[index] < misses[best] { best = index }
    if let present = current, misses[best] >= misses[present] * Self.advantage { best = present }
    current = best
    share = Self.shareAt(best)
    for index in 0..<Self.shareCount { misses[index] *= Self.memory }
  }
}
