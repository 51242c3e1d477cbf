import NexusModel
import NexusRing
import Testing

/// The figures of docs/placement.md. All are exact: the same on every machine.
@Suite struct FigureTests {
  @Test(arguments: RingHash.allCases)
  func nobodyOwnsMoreThanATwentiethAboveTheMean(_ hash: RingHash) {
    var worst = 0.0
    for count in hash == .xxh3
      ? Array(3...30) + Array(stride(from: 34, through: 100, by: 6)) : [3, 4, 5, 7, 10, 17, 30, 50, 77, 100]
    {
      let owned = RingTable(members: members(count), settings: settings(hash)).owned
      let load = Double(owned.max()! * count) / Double(Slot.count)
      #expect(owned.reduce(0, +) == Slot.count && load <= 1.05, "\(count) members: \(load)")
      worst = max(worst, load)
    }
    print("\(hash), 3 to 100 members: the most loaded owns \(rounded(worst)) of the mean")
  }

  /// The least that must move: to a member that joins the mean share, or what it takes if that is less; from one that
  /// leaves all it has. A newcomer may take a twentieth more than the mean, hence the looser bound on the worst join.
  @Test(arguments: RingHash.allCases, [(3, 1.15), (10, 1.15), (30, 1.3), (100, 1.6)])
  func fewSlotsMoveBeyondTheLeastPossible(_ hash: RingHash, _ bound: (members: Int, ratio: Double)) {
    var joins: [Double] = [], leaves: [Double] = []
    for cluster in 0..<3 {
      let all = members(bound.members + 1, named: "cache\(cluster)")
      let guest = all[all.count * cluster / 3]
      let small = RingTable(members: all.filter { $0 != guest }, settings: settings(hash))
      let large = RingTable(members: all, settings: settings(hash))
      let moved = Double(slots.filter { small.ownerID($0) != large.ownerID($0) }.count)
      let taken = Double(large.owned[Int(large.index(of: guest.id)!)])
      joins.append(moved / min(taken, Double(Slot.count) / Double(all.count)))
      leaves.append(moved / taken)
    }
    #expect(joins.reduce(0, +) / Double(joins.count) <= bound.ratio && joins.max()! <= 1.05 * bound.ratio)
    #expect(leaves.max()! <= bound.ratio)
    print(
      "\(hash), \(bound.members) members: moved over the least, mean (worst) of \(joins.count): "
        + "join \(summary(joins)), leave \(summary(leaves))")
  }

  /// Without zones a member that is forgotten leaves each of its slots to its first replica, and one that joins has
  /// each slot's former owner as first replica.
  @Test(arguments: [(3, 2), (10, 2), (10, 3), (30, 2)])
  func whoTakesASlotOverHoldsItAlready(_ count: Int, _ copies: Int) {
    let all = members(count)
    let whole = RingTable(members: all, settings: settings(copies: copies))
    for gone in all.indices where gone % max(1, count / 10) == 0 {
      let rest = RingTable(members: all.filter { $0 != all[gone] }, settings: settings(copies: copies))
      for slot in slots where whole.ownerID(slot) == all[gone].id {
        #expect(rest.ownerID(slot) == whole.holderIDs(slot)[1])
      }
    }
  }

  /// With zones the next owner of a slot holds it while its member is dead; after it is forgotten the slot may go to
  /// another member of its zone, by a handover from the replica. This is how often.
  @Test func withZonesMostForgottenSlotsStayWithHolders() {
    for (zones, copies, bound) in [(3, 2, 0.35), (3, 3, 0.35), (2, 3, 0.0)] {
      let all = members(12, zones: zones)
      let whole = RingTable(members: all, settings: settings(copies: copies))
      var strangers = 0, owned = 0
      for gone in all.prefix(6) {
        let rest = RingTable(members: all.filter { $0 != gone }, settings: settings(copies: copies))
        for slot in slots where whole.ownerID(slot) == gone.id {
          owned += 1
          if !whole.holderIDs(slot).contains(rest.ownerID(slot)) { strangers += 1 }
        }
      }
      let part = Double(strangers) / Double(owned)
      #expect(part <= bound)
      print(
        "12 members in \(zones) zones, \(copies) copies: \(rounded(part)) of a forgotten member's slots change hands")
    }
  }

  @Test func replicasAreSpreadToo() {
    for (count, copies) in [(3, 2), (10, 2), (10, 3), (30, 2), (30, 3)] {
      let places = Placement(of: records(members(count)), settings: settings(copies: copies)).places()
      let mean = Double(Slot.count * copies) / Double(count)
      let held = places.map { Double($0.owned + $0.replicated) / mean }.max()!
      #expect(held <= 1.15)
      print("\(count) members, \(copies) copies: the fullest holds \(rounded(held)) of the mean")
    }
  }

  /// Cluster clients read the slots as ranges. In a release build this also prints what docs/placement.md says of the
  /// time that a table takes.
  @Test func neighbouringSlotsMostlyShareTheirOwner() {
    var ranges: [Int] = []
    for count in [3, 10, 30, 100] {
      var table = RingTable(members: [], settings: settings())
      let one = ContinuousClock().measure { table = RingTable(members: members(count), settings: settings()) }
      let two = ContinuousClock().measure { _ = RingTable(members: members(count), settings: settings(copies: 2)) }
      ranges.append(1 + zip(slots, slots.dropFirst()).filter { table.owner(of: $0) != table.owner(of: $1) }.count)
      print("\(count) members: \(ranges.last!) ranges; made in \(one), with two copies in \(two)")
    }
    #expect(ranges[0] < 1_000 && ranges[1] < 4_000)
  }

  private func summary(_ ratios: [Double]) -> String {
    "\(rounded(ratios.reduce(0, +) / Double(ratios.count))) (\(rounded(ratios.max()!)))"
  }

  private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}
