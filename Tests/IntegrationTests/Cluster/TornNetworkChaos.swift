import Glibc
import NexusTestSupport
import Testing

/// The stories of the torn network, at length and measured.
extension ClusterTests.Chaos {
  @Suite(.enabled(if: PrivateNetwork.obstacle == nil, Comment(rawValue: PrivateNetwork.obstacle ?? "")))
  struct Network {
    typealias Chaos = ClusterTests.Chaos

    private static let nodes = 5
    private static let count = Environment.number("NEXUSCACHE_CHAOS_CUTS", default: 20)

    private func story(
      _ settings: [String] = [], _ tell: (ClusterOfProcesses, PrivateNetwork, inout Dice) throws -> Void
    )
      throws
    {
      let seed = Dice.seed()
      print("NEXUS_SEED=\(seed)")
      var dice = Dice(seed: seed)
      let network = try PrivateNetwork(hosts: Self.nodes, seed: seed)
      try ClusterOfProcesses.story(Self.nodes, ["--forward-timeout", "15s"] + settings, on: network) {
        try tell($0, network, &dice)
      }
    }

    @Test("torn anywhere, again and again: how long until each part serves everything, and until all is one again")
    func cuts() throws {
      try story { cluster, network, dice in
        var torn: [Double] = []
        var mended: [Double] = []
        for round in 1...Self.count {
          let keys = try Keys(cluster)
          var hosts = Array(0..<Self.nodes)
          hosts.shuffle(using: &dice)
          let size = dice.within(1...Self.nodes - 1)
          let (some, others) = (Array(hosts[..<size]), Array(hosts[size...]))
          var moment = MonotonicClock.seconds()
          network.cut(some, others)
          let halves = [some, others].map { $0.map { cluster[$0] } }
          for half in halves { try cluster.waitUntilWhole(half, seconds: 60) }
          torn.append(MonotonicClock.seconds() - moment)
          for (number, half) in halves.enumerated() { try keys.change(in: half, number: number) }
          moment = MonotonicClock.seconds()
          network.heal()
          try cluster.waitUntilWhole(seconds: 60)
          mended.append(MonotonicClock.seconds() - moment)
          try keys.expectMerged()
          print("cut \(round): \(some) from \(others), \(torn.last!), \(mended.last!)")
          try cluster[0].client().ask("FLUSHALL")
        }
        Chaos.report(
          "| \(Self.nodes) nodes torn in two anywhere, \(Self.count) times "
            + "| until both parts serve every slot: \(Chaos.summary(torn)) "
            + "| until they are one again: \(Chaos.summary(mended)); no key lost |")
      }
    }

    @Test("one member does not hear another, again and again: nobody is taken for dead")
    func oneWay() throws {
      try story { cluster, network, dice in
        for _ in 1...Self.count {
          let from = dice.below(Self.nodes), to = (from + dice.within(1...Self.nodes - 1)) % Self.nodes
          let before = network.cable(from: from, to: to).lost
          let others = cluster.nodes.indices.filter { $0 != from && $0 != to }.map { cluster[$0] }
          let load = CountingLoad(clients: 3, others)
          network.cutOneWay(from: from, to: to)
          cluster.expect(eventually(seconds: 60) { network.cable(from: from, to: to).lost >= before + 40 })
          network.heal()
          try cluster.expectNothingFailed(load.stop())
          try cluster.waitUntilWhole(seconds: 60)
          try cluster[0].client().ask("FLUSHALL")
        }
        cluster.expect(cluster.deaths == 0, "\(cluster.deaths) times a living member was taken for dead")
        Chaos.report(
          "| one of \(Self.nodes) nodes does not hear another, \(Self.count) times "
            + "| \(cluster.deaths) false deaths | no operation of others' clients failed |")
      }
    }

    @Test("packets are lost and late", arguments: [1, 5, 10])
    func loss(_ percent: Int) throws {
      let seconds = Environment.number("NEXUSCACHE_CHAOS_SECONDS", default: 600) / 5
      try story { cluster, network, _ in
        network.impairAll(lossPercent: percent, delayMilliseconds: 1...20)
        let load = CountingLoad(clients: 5, cluster.nodes)
        let end = MonotonicClock.seconds() + Double(seconds)
        while MonotonicClock.seconds() < end { usleep(500_000) }
        network.heal()
        let tally = load.stop()
        cluster.expect(tally.wrong.isEmpty, "\(tally.wrong.prefix(3))")
        // What TCP has to send again and again may outlast any patience.
        if percent <= 5 {
          cluster.expect(cluster.deaths == 0, "\(cluster.deaths) times a living member was taken for dead")
          try cluster.expectNothingFailed(tally)
        }
        Chaos.report(
          "| \(percent)% of packets lost, 1 to 20 ms late, \(Self.nodes) nodes, \(seconds) s, "
            + "\(tally.operations) operations | \(cluster.deaths) false deaths | \(tally.failures.count) failed |")
      }
    }
  }
}
