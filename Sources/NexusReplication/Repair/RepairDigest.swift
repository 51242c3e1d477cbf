import NexusModel

/// Digests of many slots, folded at the time of a comparison: 128 sums of 128 neighbouring slots each, and a root.
///
/// Which slots two members share changes with the placement, so sums cannot be kept per write
/// (docs/decisions/0011); folding all 16,384 slots takes some 20 microseconds.
public struct RepairDigest: Hashable, Sendable {
  public static let groupCount = 128

  /// Two words that all sums flow into: what agreeing members say to one another.
  public struct Root: Hashable, Sendable {
    public var first: UInt64
    public var second: UInt64

    public init(first: UInt64, second: UInt64) {
      self.first = first
      self.second = second
    }
  }

  public private(set) var sums = [UInt64](repeating: 0, count: groupCount)

  init(_ slots: SlotSet, _ copies: any ReplicaCopies) {
    slots.forEach { slot in
      let digest = copies.digest(of: slot)
      // An empty slot adds nothing, so that two members may differ about a slot that neither has anything of.
      if digest != 0 { sums[Int(slot.index >> 7)] &+= Self.mix(digest &+ UInt64(slot.index) &* 0x9E37_79B9_7F4A_7C15) }
    }
  }

  public var root: Root {
    var root = Root(first: 0, second: 0)
    sums.withUnsafeBufferPointer { sums in
      var group = 0
      while group < sums.count {
        if sums[group] != 0 {
          let mixed = Self.mix(sums[group] &+ UInt64(group))
          root.first &+= mixed
          root.second &+= Self.mix(mixed ^ 0xD6E8_FEB8_6659_FD93)
        }
        group += 1
      }
    }
    return root
  }

  /// Of these slots, those in groups whose sums differ.
  static func differing(_ slots: SlotSet, _ mine: [UInt64], _ theirs: [UInt64]) -> SlotSet {
    var words = slots.words
    for word in words.indices where words[word] != 0 && mine[word >> 1] == theirs[word >> 1] { words[word] = 0 }
    return SlotSet(words: words)
  }

  /// The finaliser of SplitMix64 (Steele, Lea and Flood, 2014).
  public static func mix(_ value: UInt64) -> UInt64 {
    var z = value
    z = (z ^ (z &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z &>> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z &>> 31)
  }

  /// Of one slot, its tombstones too: who lacks a tombstone that others have must get it, although all entries agree.
  static func whole(_ slot: Slot, _ copies: any ReplicaCopies) -> UInt64 {
    let entries = copies.digest(of: slot)
    if copies.tombstoneCount(of: slot) == 0 { return entries }
    var tombstones: UInt64 = 0
    copies.visit(slot) { if $0.isTombstone { tombstones &+= $0.digest } }
    return entries &+ mix(tombstones)
  }
}
