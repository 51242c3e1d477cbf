import NexusModel

/// One version of a key, without its value: what copies are compared by.
public struct KeyVersion: Hashable, Sendable, BitwiseCopyable {
  /// Of the namespace and the key's bytes; equal on all members.
  public var hash: UInt64
  public var stamp: Stamp
  public var namespace: NamespaceNumber
  public var isTombstone: Bool

  public init(hash: UInt64, stamp: Stamp, namespace: NamespaceNumber = 0, isTombstone: Bool = false) {
    self.hash = hash
    self.stamp = stamp
    self.namespace = namespace
    self.isTombstone = isTombstone
  }

  /// Of two versions of one key with equal stamps a tombstone wins.
  public func isNewer(than other: KeyVersion) -> Bool {
    stamp == other.stamp ? isTombstone && !other.isTombstone : stamp > other.stamp
  }

  public var key: KeyHash { KeyHash(hash: hash, namespace: namespace) }

  /// What this version adds to a digest of versions, which is a sum (SplitMix64's mixing, twice). Nothing in it says
  /// whether it is a tombstone: live entries and tombstones are summed apart.
  public var digest: UInt64 { RepairDigest.mix(hash &+ RepairDigest.mix(stamp.rawValue)) }
}

/// A key by its hash: enough to find it within its slot.
public struct KeyHash: Hashable, Sendable, BitwiseCopyable {
  public var hash: UInt64
  public var namespace: NamespaceNumber

  public init(hash: UInt64, namespace: NamespaceNumber = 0) {
    self.hash = hash
    self.namespace = namespace
  }
}

/// Keys of one slot.
public struct SlotKeys: Hashable, Sendable {
  public var slot: Slot
  public var keys: [KeyHash]

  public init(slot: Slot, keys: [KeyHash]) {
    self.slot = slot
    self.keys = keys
  }
}

/// Versions of one slot that are to go unless something newer is there.
public struct SlotDrops: Hashable, Sendable {
  public var slot: Slot
  public var versions: [KeyVersion]

  public init(slot: Slot, versions: [KeyVersion]) {
    self.slot = slot
    self.versions = versions
  }
}

/// What was written to a namespace up to this stamp was flushed.
public struct FlushStamp: Hashable, Sendable {
  public var namespace: NamespaceNumber
  public var stamp: Stamp

  public init(namespace: NamespaceNumber, stamp: Stamp) {
    self.namespace = namespace
    self.stamp = stamp
  }
}

/// What repair sees of this node's entries in stamped namespaces. Everything is per slot; all but `visit` in constant
/// time.
public protocol ReplicaCopies {
  /// The sum over live entries of a mix of hash and stamp.
  func digest(of slot: Slot) -> UInt64
  /// The highest stamp that the slot has met.
  func lastStamp(of slot: Slot) -> Stamp
  /// The highest stamp of what was dropped without a trace: evicted, or a tombstone that was given up.
  func floor(of slot: Slot) -> Stamp
  /// Something was evicted here lately: what is missing is missing on purpose.
  func isPartial(_ slot: Slot) -> Bool
  func tombstoneCount(of slot: Slot) -> Int
  /// Entries and tombstones.
  func keyCount(of slot: Slot) -> Int
  /// Something is noted that another member has missed (`Hints`): it does not have everything of the slot yet.
  func isOwed(_ slot: Slot) -> Bool
  /// Of the namespaces that were ever flushed.
  var flushes: [FlushStamp] { get }
  /// False for a stamp so far ahead of this node's time that it is refused.
  func accepts(_ stamp: Stamp) -> Bool
  /// Live entries and tombstones, each once, in any order. Entries that are due to expire are left out.
  func visit(_ slot: Slot, _ body: (KeyVersion) -> Void)
  /// The same, of a part; it may visit others too.
  func visit(_ slot: Slot, _ range: HashRange, _ body: (KeyVersion) -> Void)
}

extension ReplicaCopies {
  public func visit(_ slot: Slot, _ range: HashRange, _ body: (KeyVersion) -> Void) { visit(slot, body) }
}
