import NexusModel

/// The placement that a view of the membership has: the table, and which member executes each slot.
///
/// Members that left or are leaving have no place. Dead ones keep theirs until they are forgotten (become `left`):
/// the executing owner of a slot is the first live member of its list. If all of a list are dead, it is a live member
/// with a place that all nodes find alike; if no member with a place is live, a live one that is leaving.
public struct Placement: Sendable {
  public let version: PlacementVersion
  public let table: RingTable
  /// The table's members, in its order; then those that are leaving, where they must stand in (see above).
  public let members: [MemberID]
  /// Raw index into `members` by slot; `RingTable.nobody` everywhere if no member is live.
  public let executing: [UInt16]

  /// - Parameters:
  ///   - records: in any order; of several with one id the highest (incarnation, status) counts.
  ///   - previous: its table is taken over if the same members have a place, which is much cheaper.
  public init(of records: some Sequence<MemberRecord>, settings: RingSettings, previous: Placement? = nil) {
    self.init(PlacementFacts(records, settings), previous)
  }

  /// The version that `init` would give, without its work.
  public static func version(of records: some Sequence<MemberRecord>, settings: RingSettings) -> PlacementVersion {
    PlacementFacts(records, settings).version
  }

  private init(_ facts: PlacementFacts, _ previous: Placement?) {
    version = facts.version
    if let previous, previous.table.settings == facts.settings, previous.table.members == facts.placed {
      table = previous.table
    } else {
      table = RingTable(members: facts.placed, settings: facts.settings)
    }
    members = (facts.placed + facts.standIns).map(\.id)
    executing = Self.executing(table, facts)
  }

  private static func executing(_ table: RingTable, _ facts: PlacementFacts) -> [UInt16] {
    let isLive = facts.isLive + facts.standIns.map { _ in true }
    guard isLive.contains(true) else { return [UInt16](repeating: RingTable.nobody, count: Slot.count) }
    let rendezvous = Rendezvous(facts.placed + facts.standIns)
    return (0..<Slot.count).map { slot in
      let list = table.list(of: Slot(index: UInt16(slot)))
      return list.first { isLive[Int($0)] } ?? UInt16(rendezvous.first(for: slot) { isLive[$0] }!)
    }
  }

  /// Nil if no member is live.
  public func executingOwner(of slot: Slot) -> MemberID? {
    let index = executing[Int(slot.index)]
    return index == RingTable.nobody ? nil : members[Int(index)]
  }

  /// Nil if no member has a place.
  public func owner(of slot: Slot) -> MemberID? {
    let index = table.owner(of: slot)
    return index == RingTable.nobody ? nil : members[Int(index)]
  }

  /// The owner and the replicas, dead ones too.
  public func holders(of slot: Slot) -> [MemberID] { table.holders(of: slot).map { members[Int($0)] } }
}
