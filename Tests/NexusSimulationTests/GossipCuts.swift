import NexusGossip
import NexusModel
import NexusSimulation
import Testing

/// Networks that work in part, and starts at bad moments.
@Suite struct GossipCuts {
  @Test(arguments: [false, true])
  func aCutBetweenTwoHarmsNobody(isBothWays: Bool) {
    for seed in Seeds.sample(3) {
      var cluster = GossipWorld(seed: seed, hosts: 4)
      cluster.start()
      cluster.run(untilSeconds: 3)
      cluster.world.add(.cut(SimulatedLink(from: 2, to: 3)))
      if isBothWays { cluster.world.add(.cut(SimulatedLink(from: 3, to: 2))) }
      cluster.run(untilSeconds: 123)
      #expect(cluster.deaths(of: ["m0", "m1", "m2", "m3"]) == [], "seed \(seed)")
      #expect(cluster.isFormed, "seed \(seed): \(cluster.checks.disagreements(cluster.world))")
    }
  }

  /// It sends and hears nothing: all know that it is gone, and it does not keep them from agreeing.
  @Test func whoHearsNothingIsGivenUpAndComesBack() {
    for seed in Seeds.sample(3) {
      var cluster = GossipWorld(seed: seed, hosts: 4)
      cluster.start()
      cluster.run(untilSeconds: 3)
      for host in 0...2 { cluster.world.add(.cut(SimulatedLink(from: host, to: 3))) }
      cluster.run(untilSeconds: 50)
      #expect(
        cluster.deaths(of: ["m0", "m1", "m2"]).allSatisfy { $0.contains("by 3") }, "seed \(seed)")
      #expect(cluster.everyone([0, 1, 2], takes: "m3", for: .left), "seed \(seed)")
      for host in 0...2 { cluster.world.add(.mend(SimulatedLink(from: host, to: 3))) }
      cluster.run(untilSeconds: 65)
      #expect(cluster.isFormed, "seed \(seed): \(cluster.checks.disagreements(cluster.world))")
    }
  }

  @Test func twinsThatStartAtOnceAreTwoForAMoment() {
    for seed in Seeds.sample(5) {
      var cluster = GossipWorld(
        seed: seed, hosts: 4, names: ["m0", "m1", "twin", "twin"],
        startedAt: { host, _ in UInt64(1000 - host) })
      cluster.start()
      cluster.run(untilSeconds: 10)
      #expect(
        cluster.world.nodes[2]!.gossip.isStopped && !cluster.world.nodes[3]!.gossip.isStopped,
        "seed \(seed)")
      #expect(cluster.checks.disagreements(cluster.world) == [], "seed \(seed)")
    }
  }

  @Test func fiveOfTenThatFailAtOnceAreFoundOut() {
    var times: [UInt64] = []
    for seed in Seeds.sample(5) {
      var cluster = GossipWorld(seed: seed, hosts: 10)
      cluster.start()
      cluster.run(untilSeconds: 5)
      let start = cluster.world.now
      for host in 5...9 { cluster.world.add(.powerOff(host)) }
      let known = cluster.run(atMostSeconds: 30) { cluster in
        (5...9).allSatisfy { cluster.everyone([0, 1, 2, 3, 4], takes: "m\($0)", for: .dead) }
      }
      #expect(known != nil, "seed \(seed)")
      times.append((known ?? .max) - start)
      #expect(cluster.deaths(of: ["m0", "m1", "m2", "m3", "m4"]) == [], "seed \(seed)")
    }
    print("five of ten without power known to the others: ", terminator: "")
    print("median \(median(times) / 1000) ms, worst \(times.max()! / 1000) ms")
  }
}
