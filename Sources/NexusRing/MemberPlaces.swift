import NexusModel

/// How many slots a member has, for reports.
public struct MemberPlaces: Hashable, Sendable {
  public let id: MemberID
  public var owned = 0
  /// Slots that it holds a copy of without owning them.
  public var replicated = 0
  /// Slots that it runs now: as their owner, or in the place of members that are dead.
  public var executing = 0
}

extension Placement {
  /// One entry for each of `members`, in their order.
  public func places() -> [MemberPlaces] {
    var counts = members.map { MemberPlaces(id: $0) }
    for index in 0..<UInt16(Slot.count) {
      for (place, holder) in table.holders(of: Slot(index: index)).enumerated() {
        if place == 0 { counts[Int(holder)].owned += 1 } else { counts[Int(holder)].replicated += 1 }
      }
      let runner = executing[Int(index)]
      if runner != RingTable.nobody { counts[Int(runner)].executing += 1 }
    }
    return counts
  }
}
