import NexusModel
import NexusRing
import Testing

@Suite struct PlacementTests {
  let five = records(members(5, zones: 2))
  let two = settings(copies: 2)

  private func change(_ number: Int, _ edit: (inout MemberRecord) -> Void) -> [MemberRecord] {
    var changed = five
    edit(&changed[number])
    return changed
  }

  private func version(_ records: [MemberRecord]) -> PlacementVersion {
    Placement.version(of: records, settings: two)
  }

  @Test func theVersionIsTheSameForTheSameFacts() {
    let same = version(five)
    // Nodes of different builds agree on it.
    #expect(same.digest == 14_203_381_257_802_080_365)
    #expect(Placement(of: five, settings: two).version == same)
    #expect(version(five.reversed()) == same && version(five + five) == same)
    #expect(version(change(1) { $0.incarnation = 99 }) == same)
    #expect(version(change(1) { $0.status = .suspect }) == same)
    #expect(version(change(1) { $0.member.host = "10.0.0.9" }) == same)
    #expect(version(change(1) { $0.member.redisPort = 7000 }) == same)
    #expect(version(change(1) { $0.member.startedAt = 5 }) == same)
  }

  @Test func theVersionChangesWithEveryFactOfPlacement() {
    let versions = [
      version(five), version([]), version(Array(five.dropLast())),
      version(change(1) { $0.status = .dead }),
      version(change(2) { $0.status = .dead }),
      version(change(1) { $0.member.isLeaving = true }),
      version(change(1) { $0.member.weight = 101 }),
      version(change(1) { $0.member.zone = "elsewhere" }),
      Placement.version(of: five, settings: settings(copies: 3)),
      Placement.version(of: five, settings: settings(.md5, copies: 2)),
      Placement.version(of: five, settings: settings(virtualNodes: 10, copies: 2)),
      Placement.version(of: five, settings: settings(copies: 2, loadPercent: 110)),
    ]
    #expect(Set(versions).count == versions.count)
    // A leaving member has no place already: nothing changes when it is gone.
    let left = version(change(1) { $0.status = .left })
    #expect(left == versions[5] && left == version(five.filter { $0 != five[1] }))
  }

  @Test func ofSeveralRecordsTheLatestCounts() {
    let dead = change(0) { $0.status = .dead }
    let back = change(0) { $0.incarnation = 2 }
    #expect(version(five + dead) == version(dead) && version(dead + five) == version(dead))
    #expect(version(dead + back) == version(five) && version(back + dead) == version(five))
  }

  @Test func aDeadMemberKeepsItsPlacesAndItsReplicasExecute() {
    let before = Placement(of: five, settings: two)
    let after = Placement(of: change(3) { $0.status = .dead }, settings: two, previous: before)
    let dead = five[3].member.id
    #expect(after.table == before.table)
    for slot in slots {
      let expected = before.owner(of: slot) == dead ? before.holders(of: slot)[1] : before.owner(of: slot)
      #expect(after.executingOwner(of: slot) == expected && after.owner(of: slot) == before.owner(of: slot))
    }
    let difference = PlacementDifference(from: before, to: after)
    #expect(difference.owners.isEmpty && difference.copies.isEmpty)
    let owned = before.places().first { $0.id == dead }!.owned
    #expect(difference.executing.count == owned && difference.executing.allSatisfy { $0.from == dead })
    #expect(after.places().first { $0.id == dead }! == places(dead, like: before, executing: 0))
  }

  private func places(_ id: MemberID, like placement: Placement, executing: Int) -> MemberPlaces {
    var places = placement.places().first { $0.id == id }!
    places.executing = executing
    return places
  }

  @Test func aPlacementMadeFromThePreviousOneIsTheSame() {
    var chance = Chance(state: 11), records = five
    var previous = Placement(of: records, settings: two)
    for _ in 0..<20 {
      let number = Int.random(in: 0..<records.count, using: &chance)
      records[number].status = MemberStatus.allCases.randomElement(using: &chance)!
      records[number].member.isLeaving = Int.random(in: 0..<4, using: &chance) == 0
      let fresh = Placement(of: records, settings: two)
      previous = Placement(of: records.shuffled(using: &chance), settings: two, previous: previous)
      #expect(previous.version == fresh.version && previous.table == fresh.table)
      #expect(previous.members == fresh.members && previous.executing == fresh.executing)
    }
  }

  @Test func whenAllOfAListAreDeadALiveMemberStandsIn() {
    let ring = members(20)
    var records = records(ring)
    for number in 0..<18 { records[number].status = .dead }
    let placement = Placement(of: records, settings: two)
    let live = Set([18, 19].map { ring[$0].id })
    #expect(Placement(of: records.reversed(), settings: two).executing == placement.executing)
    for slot in slots { #expect(live.contains(placement.executingOwner(of: slot)!)) }
    let executing = placement.places().filter { live.contains($0.id) }.map(\.executing)
    #expect(executing.reduce(0, +) == Slot.count && executing.min()! > Slot.count * 2 / 5)
  }

  @Test func leavingMembersExecuteOnlyWhenNobodyElseLives() {
    var records = records(members(3))
    records[0].member.isLeaving = true
    let one = Placement(of: records, settings: two)
    #expect(one.members == records[1...].map(\.member.id))
    for number in 1...2 { records[number].status = .dead }
    let two = Placement(of: records, settings: two)
    #expect(two.members.count == 3 && slots.allSatisfy { two.executingOwner(of: $0) == records[0].member.id })
    #expect(one.version != two.version)
    for number in 1...2 { records[number].status = .left }
    let three = Placement(of: records, settings: settings(copies: 2))
    #expect(three.owner(of: slots[9]) == nil && three.executingOwner(of: slots[9]) == records[0].member.id)
  }

  @Test func withoutALiveMemberNobodyExecutes() {
    let empty = Placement(of: [], settings: two)
    let dead = Placement(of: records(members(3), .dead), settings: two)
    for slot in slots {
      #expect(empty.owner(of: slot) == nil && empty.executingOwner(of: slot) == nil && empty.holders(of: slot).isEmpty)
      #expect(dead.owner(of: slot) != nil && dead.executingOwner(of: slot) == nil)
    }
    #expect(empty.places().isEmpty)
    #expect(PlacementDifference(from: empty, to: Placement(of: five, settings: two)).copies.count == 2 * Slot.count)
  }

  @Test func theDifferenceNamesWhatMovesOnAJoin() {
    // The newcomer sorts before the others, so that every raw index changes its meaning.
    let newcomer = RingMember(id: MemberID("a-new-one")!)
    let ring = members(6)
    let before = Placement(of: records(ring), settings: two)
    let after = Placement(of: records(ring + [newcomer]), settings: two)
    let difference = PlacementDifference(from: before, to: after)
    let expected = slots.filter { before.owner(of: $0) != after.owner(of: $0) }
    #expect(difference.owners.map(\.slot) == expected && difference.executing == difference.owners)
    for move in difference.owners {
      #expect(move.from == before.owner(of: move.slot) && move.to == after.owner(of: move.slot))
    }
    let copies = Dictionary(grouping: difference.copies, by: \.slot)
    for slot in slots {
      let gained = Set(after.holders(of: slot)).subtracting(before.holders(of: slot))
      #expect(Set(copies[slot, default: []].map(\.to)) == gained)
    }
    let back = PlacementDifference(from: after, to: before)
    #expect(back.owners.map(\.slot) == expected)
    #expect(PlacementDifference(from: after, to: after).copies.isEmpty)
  }
}
