import Glibc
import NexusModel
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Each campaign once, and small.
  @Suite("What copies are for") struct CopyTroubles {
    @Test("no acknowledged write is lost with the node that is killed under fast writes")
    func killed() throws {
      let seed = Dice.seed()
      print("NEXUS_SEED=\(seed)")
      var dice = Dice(seed: seed)
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum"]) { cluster in
        let losses = try cluster.killUnderWrites(times: 1, rate: 5_000, &dice)
        cluster.expect(losses.acknowledged > 500, "little was written: \(losses)")
        cluster.expect(losses.lost == 0, "\(losses.lost) of \(losses.acknowledged) are lost, NEXUS_SEED=\(seed)")
      }
    }

    @Test("members that are restarted one after the other cost no operation and no value")
    func restarted() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum"]) { cluster in
        let restarts = try cluster.restartInTurn(keys: 1000)
        cluster.expect(restarts.failed == 0 && restarts.misses == 0, "\(restarts)")
      }
    }

    @Test("one stands still for longer than anybody waits, with a queue and notes that overflow: it gets everything")
    func stoodStill() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--replica-queue", "1mb", "--hint-limit", "64kb"]) {
        cluster in
        let (count, missing) = try cluster.writeThrough(
          { cluster[2].stand() }, seconds: 6, end: { cluster[2].goOn() })
        cluster.expect(count > 2000, "little was written: \(count)")
        cluster.expect(missing == 0, "\(missing) copies of \(count) are missing")
      }
    }
  }

  @Suite(
    "Copies in a torn network",
    .enabled(if: PrivateNetwork.obstacle == nil, Comment(rawValue: PrivateNetwork.obstacle ?? "")))
  struct TornCopies {
    @Test("what is deleted on one side of a cut stays deleted")
    func deletes() throws {
      let seed = Dice.seed()
      print("NEXUS_SEED=\(seed)")
      var dice = Dice(seed: seed)
      let network = try PrivateNetwork(hosts: 3, seed: seed)
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--forward-timeout", "15s"], on: network) { cluster in
        let back = try cluster.deleteOnOneSide(times: 1, network, &dice)
        cluster.expect(back == 0, "\(back) deletes came back, NEXUS_SEED=\(seed)")
      }
    }

    @Test("a member that does not hear another misses nothing for long")
    func oneWay() throws {
      let network = try PrivateNetwork(hosts: 3)
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--forward-timeout", "15s"], on: network) { cluster in
        let (count, missing) = try cluster.writeThrough(
          { network.cutOneWay(from: 0, to: 2) }, seconds: 5, end: { network.heal() })
        cluster.expect(count > 100, "little was written: \(count)")
        cluster.expect(missing == 0, "\(missing) copies of \(count) are missing")
      }
    }

    @Test("what differs after a cut becomes equal, and members that agree say little")
    func healing() throws {
      let network = try PrivateNetwork(hosts: 3)
      try ClusterOfProcesses.story(3, ["--replicas", "3"], on: network) { cluster in
        let healing = try cluster.healDiverged(keys: 5000, diverged: 500, cutSeconds: 0, idleSeconds: 4, network)
        print("equal after \(healing.seconds) s, idle: \(healing.idleBytesPerSecond) bytes/s of TCP")
        cluster.expect(healing.seconds < 30, "equal after \(healing.seconds) s")
        cluster.expect(healing.idleBytesPerSecond < 4096, "idle members send \(healing.idleBytesPerSecond) bytes/s")
      }
    }
  }
}
