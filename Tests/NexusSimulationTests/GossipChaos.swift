import NexusGossip
import NexusModel
import NexusSimulation
import Testing

/// Worlds in which anything happens, and what must hold in all of them; and that it is found out where it does not.
@Suite struct GossipChaos {
  /// A minute of random faults among five members, then peace: what is wrong with it.
  static func judge(seed: UInt64, change: @escaping (inout Gossip) -> Void = { _ in }) -> [String] {
    var cluster = GossipWorld(seed: seed, hosts: 5, change: change)
    var random = SimulationRandom(seed: seed &* 77)
    cluster.world.network.duplication = 0.02
    cluster.world.network.reordering = 0.1
    cluster.start()
    cluster.world.add(FaultSchedule.random(hosts: 5, from: 3_000_000, until: 63_000_000, longestSeconds: 20, &random))
    cluster.run(untilSeconds: 78)
    var found = cluster.checks.violations + cluster.checks.disagreements(cluster.world)
    let changes = cluster.checks.changes.count
    cluster.run(untilSeconds: 88)
    if cluster.checks.changes.count != changes { found.append("the membership does not come to rest") }
    return found
  }

  @Test func afterAnyFaultsAllAgreeAgain() {
    for seed in Seeds.sample(6) {
      let found = Self.judge(seed: seed)
      #expect(found.isEmpty, "seed \(seed): \(found.prefix(10))")
    }
  }

  @Test func aWorldIsReplayedByItsSeed() {
    func trace(_ seed: UInt64) -> UInt64 {
      var cluster = GossipWorld(seed: seed, hosts: 4)
      var random = SimulationRandom(seed: seed)
      cluster.start()
      cluster.world.add(FaultSchedule.random(hosts: 4, from: 0, until: 8_000_000, longestSeconds: 2, &random))
      cluster.run(untilSeconds: 10)
      return cluster.world.trace
    }
    #expect(trace(11) == trace(11))
    #expect(trace(11) != trace(12))
  }

  // MARK: Planted bugs

  /// A version that is not compared: whatever comes last stays.
  @Test func aLowerIncarnationThatWinsIsFoundOut() {
    let found = (1...3).flatMap { seed in
      Self.judge(seed: seed) { $0.supersedes = { new, old in new != old } }
    }
    #expect(found.contains { $0.contains("went back") })
  }

  /// Within an incarnation, anything replaces anything: who is dead comes alive by old news.
  @Test func aStatusThatIsNotComparedIsFoundOut() {
    let found = (1...3).flatMap { seed in
      Self.judge(seed: seed) { $0.supersedes = { new, old in new.incarnation >= old.incarnation && new != old } }
    }
    #expect(found.contains { $0.contains("went back") })
  }

  /// Member lists that come over streams are not merged.
  @Test func aMemberListThatIsNotMergedIsFoundOut() {
    let found = (1...3).flatMap { seed in Self.judge(seed: seed) { $0.mergesStates = false } }
    #expect(!found.isEmpty)
  }
}
