import Glibc
import NexusModel
import NexusTestSupport
import Testing

/// The campaigns of copies, at length and measured: `make chaos`.
extension ClusterTests.Chaos {
  @Suite struct Copies {
    typealias Chaos = ClusterTests.Chaos

    private static let deaths = Environment.number("NEXUSCACHE_CHAOS_DEATHS", default: 50)
    private static let rate = 20_000

    private func dice() -> Dice {
      let seed = Dice.seed()
      print("NEXUS_SEED=\(seed)")
      return Dice(seed: seed)
    }

    @Test("kill -9 of any of three under 20,000 writes a second: what was acknowledged", arguments: ["quorum", "one"])
    func kills(_ level: String) throws {
      var dice = dice()
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", level]) { cluster in
        let losses = try cluster.killUnderWrites(times: Self.deaths, rate: Self.rate, &dice)
        let rates = losses.rates.sorted()
        if level == "quorum" { cluster.expect(losses.lost == 0, "\(losses.lost) of \(losses.acknowledged) are lost") }
        Chaos.report(
          "| kill -9 of any of three, `ack=\(level)`, 3 copies, \(Self.deaths) times under "
            + "\(rates[rates.count / 2]) acknowledged writes/s (median) "
            + "| \(losses.acknowledged) acknowledged, \(losses.evicted) evicted | \(losses.lost) lost |")
      }
    }

    @Test("an owner is killed: how long reads of its keys through another member get no answer")
    func reads() throws {
      var dice = dice()
      let count = Environment.number("NEXUSCACHE_CHAOS_KILLS", default: 20)
      try ClusterOfProcesses.story(3, ["--replicas", "3"]) { cluster in
        let gaps = try cluster.gapsInReads(times: count, &dice)
        Chaos.report(
          "| owner killed, reads of its keys through another member, \(count) times "
            + "| longest time without an answer: \(Chaos.summary(gaps)) | |")
      }
    }

    @Test("each of three is restarted in turn under load")
    func restarts() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum"]) { cluster in
        let restarts = try cluster.restartInTurn(keys: 20_000)
        Chaos.report(
          "| each of three restarted in turn, waiting for `/health/ready` (\(Chaos.summary(restarts.seconds))) "
            + "| \(restarts.operations) counted operations, \(restarts.reads) reads "
            + "| \(restarts.failed) failed, \(restarts.misses) misses |")
        cluster.expect(restarts.failed == 0 && restarts.misses == 0, "\(restarts)")
      }
    }

    @Suite(.enabled(if: PrivateNetwork.obstacle == nil, Comment(rawValue: PrivateNetwork.obstacle ?? "")))
    struct Torn {
      @Test("a partition, deletes on one side, and its end")
      func deletes() throws {
        let count = Environment.number("NEXUSCACHE_CHAOS_CUTS", default: 20)
        let seed = Dice.seed()
        print("NEXUS_SEED=\(seed)")
        var dice = Dice(seed: seed)
        let network = try PrivateNetwork(hosts: 3, seed: seed)
        try ClusterOfProcesses.story(3, ["--replicas", "3", "--forward-timeout", "15s"], on: network) { cluster in
          let back = try cluster.deleteOnOneSide(times: count, network, &dice)
          Chaos.report(
            "| one of three cut off, 150 keys deleted on one side, mended, \(count) times "
              + "| \(count * 150) deletes | \(back) came back |")
          cluster.expect(back == 0, "\(back) deletes came back")
        }
      }

      @Test("100,000 of a million keys differ when a network is mended")
      func healing() throws {
        let keys = Environment.number("NEXUSCACHE_CHAOS_KEYS", default: 1_000_000)
        let network = try PrivateNetwork(hosts: 3)
        try ClusterOfProcesses.story(3, ["--replicas", "3"], on: network) { cluster in
          let healing = try cluster.healDiverged(
            keys: keys, diverged: keys / 10, cutSeconds: 60, idleSeconds: 20, network)
          Chaos.report(
            "| 60 s partition, \(keys / 10) of \(keys) keys diverged | all copies equal after "
              + "\(Chaos.seconds(healing.seconds)) | |",
            "| two members that agree about \(keys) keys, idle | all TCP between them: "
              + "\(Int(healing.idleBytesPerSecond)) bytes/s | |")
        }
      }
    }
  }
}
