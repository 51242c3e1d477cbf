import Foundation
import NexusGossip
import NexusModel
import NexusSimulation

/// Which worlds are looked at: a sample by default; `NEXUSCACHE_SIMULATION_SEEDS=1000` for more, and
/// `NEXUSCACHE_SIMULATION_SEED=42` to see one again.
enum Seeds {
  static func sample(_ count: Int) -> [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    if let seed = environment["NEXUSCACHE_SIMULATION_SEED"].flatMap(UInt64.init) { return [seed] }
    let wanted = environment["NEXUSCACHE_SIMULATION_SEEDS"].flatMap(Int.init) ?? count
    return (1...max(1, wanted)).map(UInt64.init)
  }
}

/// A cluster in a simulated world, and the checks that look at every step of it.
struct GossipWorld {
  var world: World<GossipNode>
  var checks: GossipChecks
  let seed: UInt64

  /// Host i runs member `m<i>`, which knows the addresses of hosts 0 and 1.
  init(
    seed: UInt64, hosts: Int, settings: GossipSettings = GossipSettings(), names: [String]? = nil,
    startedAt: @escaping (_ host: Int, _ life: Int) -> UInt64 = { UInt64(1000 + $0 + 100_000 * $1) },
    change: @escaping (inout Gossip) -> Void = { _ in }
  ) {
    self.seed = seed
    world = World(seed: seed, hosts: hosts) { birth, random in
      let (host, life) = (birth.host, birth.life)
      let name = names?[host] ?? "m\(host)"
      let member = GossipNode.member(name, host: host, startedAt: startedAt(host, life))
      var gossip = Gossip(member: member, settings: settings, seed: random.next(), now: birth.now / 1000)
      change(&gossip)
      return GossipNode(gossip: gossip, seeds: [GossipNode.address(of: 0), GossipNode.address(of: 1)])
    }
    checks = GossipChecks(hosts: hosts)
  }

  /// On to a moment (world seconds), looking at every step.
  mutating func run(untilSeconds seconds: Double) {
    while let host = world.step(until: UInt64(seconds * 1_000_000)) { checks.look(&world, at: host) }
  }

  /// On, until this holds; the time at which it does, in microseconds.
  mutating func run(atMostSeconds seconds: Double, until holds: (GossipWorld) -> Bool) -> UInt64? {
    let end = world.now + UInt64(seconds * 1_000_000)
    while let host = world.step(until: end) {
      guard host >= 0 else { continue }
      let changes = checks.changes.count
      checks.look(&world, at: host)
      if checks.changes.count > changes, holds(self) { return world.now }
    }
    return holds(self) ? world.now : nil
  }

  mutating func start() {
    world.startAll()
    for host in world.nodes.indices { checks.look(&world, at: host) }
  }

  func status(of id: String, at host: Int) -> MemberStatus? {
    world.nodes[host]?.gossip.record(of: MemberID(id)!)?.status
  }

  func everyone(_ hosts: [Int]? = nil, takes id: String, for status: MemberStatus) -> Bool {
    (hosts ?? world.running).allSatisfy { self.status(of: id, at: $0) == status }
  }

  /// Everybody knows everybody for alive.
  var isFormed: Bool {
    world.nodes.allSatisfy { node in
      guard let gossip = node?.gossip else { return false }
      return gossip.liveCount == world.nodes.count && gossip.records.allSatisfy { $0.status == .alive }
    }
  }

  /// Live members that somebody took for dead while they ran: (time, by, whom).
  func deaths(of ids: Set<String>) -> [String] {
    checks.changes.filter { $0.record.status == .dead && ids.contains($0.record.member.id.text) }
      .map { "\($0.record.member.id) by \($0.by) at \($0.at / 1000) ms" }
  }
}

func median(_ values: [UInt64]) -> UInt64 { values.sorted()[values.count / 2] }
