import NexusModel
import Testing

@testable import NexusRing

@Suite struct RingTableTests {
  @Test(arguments: RingHash.allCases)
  func equalMembersGiveEqualTablesInWhateverOrder(_ hash: RingHash) {
    let ring = members(9, zones: 3) { UInt16(50 + 10 * $0) }
    let table = RingTable(members: ring, settings: settings(hash, copies: 3))
    var chance = Chance(state: 7)
    #expect(RingTable(members: ring.shuffled(using: &chance), settings: settings(hash, copies: 3)) == table)
    #expect(RingTable(members: ring.reversed(), settings: settings(hash, copies: 3)) == table)
  }

  private static let digests: [UInt64] = [
    9_391_987_835_077_473_829, 13_900_776_995_025_340_743, 2_966_513_336_150_023_128, 8_780_642_735_587_488_463,
  ]

  /// Nodes of different builds and machines share a cluster: the table may not change by accident. Who changes it on
  /// purpose also changes the text that the placement version starts with.
  @Test(arguments: zip(RingHash.allCases, Self.digests))
  func tablesAreTheSameInEveryRunAndOnEveryMachine(_ hash: RingHash, _ expected: UInt64) {
    let ring = members(12, zones: 3) { [100, 50, 300][$0 % 3] }
    let table = RingTable(members: ring, settings: settings(hash, copies: 2))
    let bytes = table.places.flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
    #expect(bytes.withUnsafeBytes { RingHash.xxh3.digest($0) } == expected)
  }

  @Test func aRingOfNobodyOwnsNothing() {
    let table = RingTable(members: [], settings: settings(copies: 3))
    #expect(table.depth == 0 && table.copies == 0 && table.list(of: Slot(index: 5)).isEmpty)
    #expect(table.owner(of: Slot(index: 16_383)) == RingTable.nobody)
  }

  @Test func aLoneMemberOwnsEverything() {
    let table = RingTable(members: members(1), settings: settings(copies: 3))
    #expect(table.depth == 1 && table.copies == 1 && table.owned == [Slot.count])
  }

  @Test func anIndexIsFoundByName() {
    let table = RingTable(members: members(12), settings: settings())
    for (index, member) in table.members.enumerated() { #expect(table.index(of: member.id) == UInt16(index)) }
    #expect(table.index(of: MemberID("node-12")!) == nil)
    #expect(table.index(of: MemberID("zz")!) == nil)
  }

  @Test func everyListNamesDifferentMembersAndStartsWithItsHolders() {
    for (count, copies) in [(2, 3), (3, 1), (7, 2), (20, 16)] {
      let table = RingTable(members: members(count, zones: 4), settings: settings(copies: copies))
      #expect(table.depth == min(count, copies + 3) && table.places.count == table.depth * Slot.count)
      for slot in slots {
        let list = table.list(of: slot)
        #expect(Set(list).count == table.depth && list.allSatisfy { $0 < count })
        #expect(list.first == table.owner(of: slot) && table.holders(of: slot).count == min(copies, count))
      }
    }
  }

  @Test func ownersDoNotDependOnTheNumberOfCopies() {
    let one = RingTable(members: members(9, zones: 2), settings: settings())
    let three = RingTable(members: members(9, zones: 2), settings: settings(copies: 3))
    for slot in slots { #expect(one.owner(of: slot) == three.owner(of: slot)) }
  }

  @Test(arguments: RingHash.allCases)
  func membersOwnTheirShareByWeight(_ hash: RingHash) {
    let ring = members(12) { [100, 50, 300, 25][$0 % 4] }
    let table = RingTable(members: ring, settings: settings(hash))
    let total = table.members.reduce(0) { $0 + Int($1.weight) }
    for (index, owned) in table.owned.enumerated() {
      let share = Double(Slot.count) * Double(table.members[index].weight) / Double(total)
      #expect(Double(owned) <= 1.05 * share && Double(owned) >= 0.7 * share, "\(table.members[index]): \(owned)")
    }
  }

  @Test func extremesOfWeightAndVirtualNodesStayBounded() {
    let heavy = RingTable(members: members(3) { [1, 10_000, 1][$0] }, settings: settings(copies: 2))
    #expect(heavy.owned.reduce(0, +) == Slot.count && heavy.owned[0] <= 2 && heavy.owned[2] <= 2)
    // A weight that no member may have, as it may come from a faulty peer.
    #expect(RingMember(id: MemberID("a")!, weight: 0).weight == 1)
    #expect(RingMember(id: MemberID("a")!, weight: 65_535).weight == 10_000)
    for virtualNodes in [1, 10, 50] {
      let table = RingTable(members: members(10), settings: settings(virtualNodes: virtualNodes))
      #expect(Double(table.owned.max()!) <= 1.05 * Double(Slot.count) / 10)
    }
    let exact = RingTable(members: members(10), settings: settings(loadPercent: 100))
    #expect(exact.owned.max()! - exact.owned.min()! <= 6 && exact.owned.max() == 1639)
  }

  @Test func moreMembersThanSlotsAreNoTrouble() {
    let table = RingTable(members: members(17_000), settings: settings(virtualNodes: 1))
    #expect(table.owned.max() == 1)
  }

  @Test func replicasLieInOtherZonesWhileThereAreAny() {
    for (zones, copies) in [(2, 2), (3, 2), (3, 3), (2, 3), (5, 4)] {
      let table = RingTable(members: members(15, zones: zones), settings: settings(copies: copies))
      for slot in slots {
        let seen = Set(table.holders(of: slot).map { table.members[Int($0)].zone })
        #expect(seen.count == min(zones, copies), "slot \(slot.index), \(zones) zones, \(copies) copies: \(seen)")
      }
    }
  }

  @Test func aSmallZoneHoldsACopyOfAllThatTheOthersOwn() {
    let ring = members(20).map { member in
      RingMember(id: member.id, zone: ["node-3", "node-4"].contains(member.id.text) ? "small" : "large")
    }
    let placement = Placement(of: records(ring), settings: settings(copies: 2))
    let small = placement.places().filter { ["node-3", "node-4"].contains($0.id.text) }
    #expect(small.map { $0.owned + $0.replicated }.reduce(0, +) == Slot.count)
    // Between the two it is shared evenly.
    #expect(small.allSatisfy { Double($0.replicated) < 1.1 * Double(Slot.count) * 0.9 / 2 })
  }

  @Test func membersThatNameNoZoneShareNoFate() {
    let ring = (0..<8).map { RingMember(id: MemberID("m\($0)")!, zone: $0 < 4 ? "a" : "") }
    let table = RingTable(members: ring, settings: settings(copies: 3))
    for slot in slots { #expect(table.holders(of: slot).filter { table.members[Int($0)].zone == "a" }.count <= 1) }
  }
}
