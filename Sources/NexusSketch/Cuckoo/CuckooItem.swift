import CXXHash

/// An item as a filter sees it: 64 bits of hash, of which a bucket and a fingerprint are made.
///
/// Invariant: two items that a later layer cannot tell apart are alike to every earlier one as well, because what a
/// layer knows of an item follows from what the next one knows. Each layer has a multiple of the last one's buckets,
/// numbers them by the hash modulo their count, finds the other bucket by the first layer's part of the fingerprint,
/// and adds low bits to the fingerprint. So an item is deleted from the newest layer where it is found: whose
/// fingerprint ever that was, its owner is then found by the fingerprint that this item leaves behind. Without this,
/// deleting an item that is there could make another one absent.
struct CuckooItem: BitwiseCopyable {
  let hash: UInt64
  private let mixed: UInt64

  init(_ bytes: UnsafeRawBufferPointer, seed: UInt64) {
    // XXH3 takes no null pointer, however short.
    let nothing: StaticString = ""
    self.init(hash: nexus_xxh3_64(bytes.baseAddress ?? UnsafeRawPointer(nothing.utf8Start), bytes.count, seed))
  }

  @inline(__always) init(hash: UInt64) {
    self.hash = hash
    mixed = Self.mix(hash)
  }

  /// What is written into a place: never 0, which means an empty one.
  @inline(__always) func fingerprint(of count: UInt64, extraBits: UInt64) -> UInt64 {
    let first = mixed.multipliedFullWidth(by: count).high
    return (first &+ 1) &<< extraBits | mixed & (1 &<< extraBits &- 1)
  }

  @inline(__always) func bucket(of count: UInt64) -> UInt64 { hash % count }

  /// The finalizer of MurmurHash3 (Appleby, 2011).
  @inline(__always) static func mix(_ value: UInt64) -> UInt64 {
    var mixed = value
    mixed = (mixed ^ mixed &>> 33) &* 0xFF51_AFD7_ED55_8CCD
    mixed = (mixed ^ mixed &>> 33) &* 0xC4CE_B9FE_1A85_EC53
    return mixed ^ mixed &>> 33
  }
}
