import NexusModel
import NexusReplication
import NexusTestSupport
import Testing

/// Whatever members have, whatever is lost, doubled or overtaken, and whoever is away in between: in the end all have
/// the
/// newest version of every key, and nobody else has anything.
@Suite struct RepairPropertyTests {
  @Test func copiesBecomeEqualAndTheNewestWins() {
    let seed = Dice.seed()
    print("RepairPropertyTests: NEXUS_SEED=\(seed)")
    for round in 0..<60 {
      var dice = Dice(seed: seed &+ UInt64(round))
      let problem = history(&dice)
      #expect(problem == nil, "NEXUS_SEED=\(seed &+ UInt64(round)): \(problem ?? "")")
      if problem != nil { return }
    }
  }

  private func history(_ dice: inout Dice) -> String? {
    let count = dice.within(2...4)
    let everyone = (0..<count).map { MemberNumber($0) }
    let places = (0..<dice.within(1...5)).map { _ in Array(everyone.shuffled(using: &dice).prefix(min(count, 3))) }
    var settings = RepairSettings()
    settings.keysPerInventories = dice.within(2...20)
    settings.keysPerPortion = dice.within(1...10)
    settings.longestRestMilliseconds = 4000
    let cast = Cast(count, places: places, settings: settings)
    fill(cast, places.count, &dice)
    let newest = newest(cast, places.count)
    var version: UInt64 = 1
    cast.disorder = Dice(seed: dice.next())
    var loss = Dice(seed: dice.next())
    cast.loses = { _, _, _ in loss.chance(30) }
    for _ in 0..<dice.within(1...4) {
      let live = everyone.filter { _ in dice.chance(70) }
      version += 1
      if !live.isEmpty { cast.view(live, version: version, takenOver: dice.chance(50)) }
      cast.run(for: UInt64(dice.within(0...2000)))
    }
    cast.loses = { _, _, _ in false }
    cast.view(everyone, version: version + 1, takenOver: dice.chance(50))
    cast.run(for: 30_000)
    return judge(cast, places, newest)
  }

  private func fill(_ cast: Cast, _ slotCount: Int, _ dice: inout Dice) {
    for number in cast.members.indices {
      for _ in 0..<dice.below(60) {
        let index = slot(UInt16(dice.below(slotCount)))
        let version = KeyVersion(
          hash: RepairDigest.mix(UInt64(dice.below(30))), stamp: Stamp(rawValue: UInt64(dice.within(1...1000))),
          isTombstone: dice.chance(20))
        _ = cast[number].copies.merge(index, version)
      }
    }
  }

  private func newest(_ cast: Cast, _ slotCount: Int) -> [[UInt64: KeyVersion]] {
    (0..<slotCount).map { index in
      var newest: [UInt64: KeyVersion] = [:]
      for member in cast.members {
        member.copies.visit(slot(UInt16(index))) { version in
          if newest[version.hash].map({ version.isNewer(than: $0) }) ?? true { newest[version.hash] = version }
        }
      }
      return newest
    }
  }

  private func judge(_ cast: Cast, _ places: [[MemberNumber]], _ newest: [[UInt64: KeyVersion]]) -> String? {
    for (index, members) in places.enumerated() {
      let slot = slot(UInt16(index))
      for member in members where (cast[Int(member)].copies.slots[slot] ?? [:]) != newest[index] {
        return "\(member) has not the newest version of every key of slot \(index)"
      }
      for member in cast.members where !members.contains(member.number) && member.copies.keyCount(of: slot) > 0 {
        return "\(member.number) still has something of slot \(index)"
      }
    }
    for member in cast.members where !member.repair.isSettled { return "\(member.number) is not settled" }
    return nil
  }
}
