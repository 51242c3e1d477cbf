import NexusModel

// Messages are read from the wire by shells, which have to make them.

extension CopyComparison {
  public init(
    _ id: UInt64, _ version: PlacementVersion, session: UInt64, leftOut: SlotSet, root: RepairDigest.Root,
    isSettled: Bool, isComplete: Bool
  ) {
    self.init(
      id: id, version: version, session: session, leftOut: leftOut, root: root, isSettled: isSettled,
      isComplete: isComplete)
  }
}

extension CopyComparisonAnswer {
  public init(_ id: UInt64, session: UInt64, sums: [UInt64], partial: SlotSet) {
    self.init(id: id, session: session, sums: sums, partial: partial)
  }
}

extension DigestQuestion {
  public init(_ id: UInt64, _ version: PlacementVersion, _ slots: SlotSet, withTombstones: Bool) {
    self.init(id: id, version: version, slots: slots, withTombstones: withTombstones)
  }
}

extension InventoryQuestion {
  public init(
    _ id: UInt64, _ version: PlacementVersion, _ flushes: [FlushStamp], _ parts: [(slot: Slot, range: HashRange)]
  ) {
    self.init(
      id: id, version: version, flushes: flushes, parts: parts.map { Part(slot: $0.slot, range: $0.range) })
  }
}

extension InventoryAnswer {
  public init(_ id: UInt64, session: UInt64, _ flushes: [FlushStamp], _ slots: [SlotInventory]) {
    self.init(id: id, session: session, flushes: flushes, slots: slots)
  }
}

extension SlotInventory {
  public init(
    _ slot: Slot, _ range: HashRange, floor: Stamp, isPartial: Bool, isComplete: Bool, _ versions: [KeyVersion],
    bitsNeeded: UInt8
  ) {
    self.init(
      slot: slot, range: range, floor: floor, isPartial: isPartial, isComplete: isComplete, versions: versions,
      bitsNeeded: bitsNeeded)
  }
}
