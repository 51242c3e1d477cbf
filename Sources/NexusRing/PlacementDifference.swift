import NexusModel

/// What changes from one placement to another, slot by slot in ascending order.
public struct PlacementDifference: Sendable {
  /// Nil: nobody.
  public struct Move: Hashable, Sendable {
    public let slot: Slot
    public let from: MemberID?
    public let to: MemberID?
  }

  /// A member that becomes owner or replica of a slot and was neither before.
  public struct Copy: Hashable, Sendable {
    public let slot: Slot
    public let to: MemberID
  }

  public let owners: [Move]
  public let executing: [Move]
  public let copies: [Copy]

  public init(from old: Placement, to new: Placement) {
    var owners: [Move] = [], executing: [Move] = [], copies: [Copy] = []
    // Indices are compared where they name the same members, which spares most of the comparisons of texts.
    let renamed = Self.renaming(from: old, to: new)
    func isSame(_ one: UInt16, _ other: UInt16) -> Bool {
      one == RingTable.nobody || other == RingTable.nobody ? one == other : renamed[Int(one)] == other
    }
    for index in 0..<UInt16(Slot.count) {
      let slot = Slot(index: index)
      if !isSame(old.table.owner(of: slot), new.table.owner(of: slot)) {
        owners.append(Move(slot: slot, from: old.owner(of: slot), to: new.owner(of: slot)))
      }
      if !isSame(old.executing[Int(index)], new.executing[Int(index)]) {
        executing.append(Move(slot: slot, from: old.executingOwner(of: slot), to: new.executingOwner(of: slot)))
      }
      let holders = old.table.holders(of: slot)
      for holder in new.table.holders(of: slot) where !holders.contains(where: { isSame($0, holder) }) {
        copies.append(Copy(slot: slot, to: new.members[Int(holder)]))
      }
    }
    self.owners = owners
    self.executing = executing
    self.copies = copies
  }

  /// For each raw index of the old placement that of the new one, or nobody.
  private static func renaming(from old: Placement, to new: Placement) -> [UInt16] {
    let indices = Dictionary(uniqueKeysWithValues: new.members.enumerated().map { ($1, UInt16($0)) })
    return old.members.map { indices[$0] ?? RingTable.nobody }
  }
}
