import NexusModel
import NexusService
import NexusSimulation
import NexusTestSupport
import Testing

/// Gossip, ring, ownership and fetches together, in the simulated world.
@Suite struct ClusterTests {
  private static let count = Environment["NEXUSCACHE_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 3

  private static func seeds() -> [UInt64] {
    let first = Environment["NEXUS_SEED"].flatMap { UInt64($0) } ?? 1
    return (0..<UInt64(count)).map { first &+ $0 }
  }

  private func judge(_ cluster: ClusterWorld, _ seed: UInt64) {
    let problems = cluster.book.problems
    #expect(problems.isEmpty, "NEXUS_SEED=\(seed): \(problems.joined(separator: "\n"))")
  }

  @Test(arguments: seeds())
  func membersJoinAndLeaveAndNoRequestFails(_ seed: UInt64) {
    let cluster = ClusterStories.calm(seed)
    judge(cluster, seed)
    #expect(cluster.book.failures == 0, "NEXUS_SEED=\(seed)")
    #expect(cluster.book.finished > 500, "NEXUS_SEED=\(seed)")
  }

  @Test(arguments: seeds())
  func killedMembersTakeOnlyWhatTheyAloneHeld(_ seed: UInt64) { judge(ClusterStories.kills(seed), seed) }

  @Test(arguments: seeds())
  func afterAnyFaultsEverySlotIsWhereItBelongs(_ seed: UInt64) { judge(ClusterStories.anything(seed), seed) }
}

enum ClusterStories {
  static func calm(_ seed: UInt64) -> ClusterWorld {
    let cluster = ClusterWorld(seed: seed, hosts: 6)
    var waiting = Array(1..<6)
    cluster.start(0)
    for _ in 0..<cluster.dice.below(3) { cluster.start(waiting.removeFirst()) }
    cluster.run(milliseconds: 3000)
    cluster.checksTokens = true
    cluster.begin(40, HandoverStories.verbs)
    cluster.run(milliseconds: 300)
    for _ in 0..<cluster.dice.within(2...4) {
      let members = cluster.world.running.filter {
        cluster.world.nodes[$0]?.handover.unmoved == nil && !cluster.isLeaving($0)
      }
      if members.count > 2, cluster.dice.chance(40) {
        cluster.leave(cluster.dice.pick(members))
      } else if !waiting.isEmpty {
        cluster.start(waiting.removeFirst())
      }
      cluster.run(milliseconds: cluster.dice.pick([50, 400, 2000]))
    }
    cluster.run(milliseconds: 3000)
    cluster.rest()
    return cluster
  }

  static func kills(_ seed: UInt64) -> ClusterWorld {
    let cluster = ClusterWorld(seed: seed, hosts: 6)
    var waiting = Array(4..<6)
    for host in 0..<4 { cluster.start(host) }
    cluster.run(milliseconds: 4000)
    cluster.checksTokens = true
    cluster.begin(40, HandoverStories.verbs)
    cluster.run(milliseconds: 300)
    for _ in 0..<cluster.dice.within(2...4) {
      let members = cluster.world.running
      let dead = (0..<4).filter { cluster.world.nodes[$0] == nil }
      switch cluster.dice.below(4) {
      case 0...1 where members.count > 2: cluster.kill(cluster.dice.pick(members))
      case 2 where !dead.isEmpty: cluster.start(cluster.dice.pick(dead))
      default: if !waiting.isEmpty { cluster.start(waiting.removeFirst()) }
      }
      cluster.run(milliseconds: cluster.dice.pick([50, 400, 2000, 6000]))
    }
    cluster.run(milliseconds: 6000)
    cluster.rest()
    return cluster
  }

  static func anything(_ seed: UInt64) -> ClusterWorld {
    let cluster = ClusterWorld(seed: seed, hosts: 5)
    for host in 0..<5 { cluster.start(host) }
    cluster.run(milliseconds: 3000)
    cluster.begin(20, [(4, .increment), (2, .get), (1, .set)], judges: false)
    var random = SimulationRandom(seed: seed &* 77)
    cluster.world.network.duplication = 0.02
    cluster.world.network.reordering = 0.1
    cluster.world.add(
      FaultSchedule.random(hosts: 5, from: 4_000_000, until: 24_000_000, longestSeconds: 8, &random))
    cluster.run(milliseconds: 40_000)
    cluster.rest()
    return cluster
  }
}
