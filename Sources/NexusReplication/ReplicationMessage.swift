import NexusModel

/// What the replication cores of two members say to one another: docs/replication.md. Any of these may be lost, come
/// twice, late, or after a later one.
///
/// `id` is the asking member's: an answer carries it back. `version` is the sender's placement version; who has another
/// one answers `otherVersion`, or nothing. `session` names a member's copies: it changes when its process starts anew,
/// and when the process finds that it was away, so that what was agreed on before does not count any more.
public enum ReplicationMessage: Hashable, Sendable {
  // Repair. The member that executes the slots asks.
  case compare(CopyComparison)
  case compared(CopyComparisonAnswer)
  case otherVersion(id: UInt64)
  case askDigests(DigestQuestion)
  /// In the order of the slots that were asked for.
  case digests(id: UInt64, session: UInt64, [UInt64])
  case askInventories(InventoryQuestion)
  case inventories(InventoryAnswer)
  /// Send these versions as effects, then say so.
  case askVersions(id: UInt64, [SlotKeys])
  case versionsSent(id: UInt64, bytes: Int)
  /// Remove these unless something newer is there: the executing member dropped them.
  case drop(version: PlacementVersion, [SlotDrops])
  /// The receiver's copies are those of the executing member. `complete`: of them, those of which the executing member
  /// has everything that there is.
  case agreed(session: UInt64, version: PlacementVersion, SlotSet, complete: SlotSet)

  /// The sender got versions of these slots from elsewhere than the receiver, who executes them.
  case differ(session: UInt64, version: PlacementVersion, SlotSet)

  // Copies of slots that a member has no place for any more.
  case offerLeftovers(id: UInt64, version: PlacementVersion, SlotSet)
  /// Everyone with a place for them has everything of these leftovers: forget them. `id` is the offer's.
  case release(id: UInt64, SlotSet)

  // Tombstones.
  case askSettled(id: UInt64, version: PlacementVersion)
  /// `tombstones`: how many the answering member has.
  case settledAnswer(id: UInt64, version: PlacementVersion, isSettled: Bool, tombstones: Int)
  /// Tombstones of the sender's slots up to this stamp may go: nobody has anything older.
  case collect(version: PlacementVersion, SlotSet, upTo: Stamp)

  // Single keys. The shells attach the key's version where it is newer than `have`.
  case askKey(id: UInt64, Slot, KeyHash, have: KeyVersion?)
  case keyAnswer(id: UInt64, KeyVersion?)
  /// Take the attached version, and answer as if asked.
  case keepKey(id: UInt64, Slot, KeyHash)
}

/// The smallest exchange: two members that agree send nothing else.
public struct CopyComparison: Hashable, Sendable {
  public var id: UInt64
  public var version: PlacementVersion
  /// The receiver's, as the sender last heard it.
  public var session: UInt64
  /// Not in the digest, of the slots that the sender has by placement and the receiver has a copy of: not executed yet,
  /// being repaired, or under memory pressure on either side. Mostly empty.
  public var leftOut: SlotSet
  public var root: RepairDigest.Root
  /// All slots that the two share have been compared and made equal since the sender's view last changed.
  public var isSettled: Bool
  /// And the sender has everything that there is of them.
  public var isComplete: Bool
}

public struct CopyComparisonAnswer: Hashable, Sendable {
  public var id: UInt64
  public var session: UInt64
  /// `RepairDigest.groupCount` sums without the slots of `partial`; none: the roots were equal.
  public var sums: [UInt64]
  /// Slots in which the answering member has evicted something lately.
  public var partial: SlotSet
}

public struct DigestQuestion: Hashable, Sendable {
  public var id: UInt64
  public var version: PlacementVersion
  public var slots: SlotSet
  /// Tombstones count too.
  public var withTombstones: Bool
}

/// A part of a slot's keys, so that a slot of a million keys does not become one message: those whose hash, lower half
/// first, begins with the `bits` bits of `index`. So the keys of a range lie together in a table that is ordered by the
/// lower half.
public struct HashRange: Hashable, Sendable {
  public var bits: UInt8
  public var index: UInt64

  public init(bits: UInt8 = 0, index: UInt64 = 0) {
    self.bits = bits
    self.index = index
  }

  public static let all = HashRange()
  public var isLast: Bool { index == (1 << UInt64(bits)) - 1 }
  public var next: HashRange { HashRange(bits: bits, index: index + 1) }

  public func contains(_ hash: UInt64) -> Bool {
    bits == 0 || (hash << 32 | hash >> 32) >> UInt64(64 - bits) == index
  }

  /// What the lower half of every hash in the range is one of.
  public var lowerHalves: Range<UInt64> {
    let shift = UInt64(bits)
    if shift <= 32 { return index << (32 - shift)..<(index + 1) << (32 - shift) }
    return index >> (shift - 32)..<(index >> (shift - 32)) + 1
  }
}

public struct InventoryQuestion: Hashable, Sendable {
  public struct Part: Hashable, Sendable {
    public var slot: Slot
    public var range: HashRange
  }

  public var id: UInt64
  public var version: PlacementVersion
  public var flushes: [FlushStamp]
  public var parts: [Part]
}

public struct InventoryAnswer: Hashable, Sendable {
  public var id: UInt64
  public var session: UInt64
  public var flushes: [FlushStamp]
  public var slots: [SlotInventory]
}

public struct SlotInventory: Hashable, Sendable {
  public var slot: Slot
  public var range: HashRange
  public var floor: Stamp
  public var isPartial: Bool
  /// The answering member has everything that there is of the slot: what it lacks below its floor was dropped on
  /// purpose.
  public var isComplete: Bool
  /// In any order.
  public var versions: [KeyVersion]
  /// Not 0: there were too many versions; ask in ranges of so many bits.
  public var bitsNeeded: UInt8 = 0
}
