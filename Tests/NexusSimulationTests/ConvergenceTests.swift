import NexusGossip
import NexusModel
import NexusSimulation
import Testing

/// How fast one change reaches everybody: in a logarithm of their number.
@Suite struct ConvergenceTests {
  @Test func oneChangeReachesAllInALogarithmOfTheirNumber() {
    var periods: [Double] = []
    for members in [10, 100, 1000] {
      var worst = 0.0
      for seed in Seeds.sample(1) { worst = max(worst, Self.periods(members: members, seed: seed)) }
      print("one change among \(members) members is known to all after \(worst) protocol periods")
      periods.append(worst)
    }
    // A hundred times the members: at most three times the periods, and one for the chance of the last.
    #expect(periods[2] <= 3 * max(1, periods[0]) + 1, "\(periods)")
  }

  /// A hundred nodes start at once and know the addresses of two.
  @Test func aHundredThatStartAtOnceFormACluster() throws {
    for seed in Seeds.sample(1) {
      var cluster = GossipWorld(seed: seed, hosts: 100)
      cluster.start()
      var formed: UInt64?
      while formed == nil, cluster.world.now < 20_000_000 {
        cluster.world.run(until: cluster.world.now + 100_000)
        if cluster.isFormed { formed = cluster.world.now }
      }
      let time = try #require(formed, "seed \(seed)")
      print("formation of 100: \(time / 1000) ms, \(cluster.world.datagramsSent / 100) datagrams a member")
      let before = cluster.world.datagramsSent
      cluster.world.run(until: cluster.world.now + 10_000_000)
      let calm = cluster.world.datagramsSent
      cluster.world.run(until: cluster.world.now + 10_000_000)
      print(
        "100 in peace: \((cluster.world.datagramsSent - calm) / 1000) datagrams a second and member,", terminator: " ")
      print("\((calm - before) / 1000) at first")
      #expect(cluster.isFormed, "seed \(seed)")
    }
  }

  static func periods(members: Int, seed: UInt64) -> Double {
    let settings = GossipSettings()
    var template = Gossip(
      member: GossipNode.member("m0", host: 0, startedAt: 1000), settings: settings, seed: seed, now: 0)
    let records = (0..<members).map {
      MemberRecord(
        member: GossipNode.member("m\($0)", host: $0, startedAt: UInt64(1000 + $0)), incarnation: 0, status: .alive)
    }
    let sender = GossipSender(
      id: records[1].member.id, startedAt: records[1].member.startedAt, address: records[1].member.gossipAddress)
    _ = template.step(.state(GossipState(sender: sender, records: records)), now: 0)
    var world = World<GossipNode>(seed: seed, hosts: members, drift: 0) { birth, random in
      let id = records[birth.host].member.id
      let gossip = Gossip(sharing: template, as: id, seed: random.next(), now: birth.now / 1000)
      return GossipNode(gossip: gossip, seeds: [])
    }
    world.startAll()
    // Everybody runs, and what was queued at the start has been told.
    let start: UInt64 = 1_000_000
    world.run(until: start)
    world.act(on: 0) { node, now in
      var member = node.gossip.me.member
      member.weight = 300
      return node.feed(.change(member), now: now)
    }
    let news = world.nodes[0]!.gossip.me
    var missing = Set(1..<members)
    while !missing.isEmpty, let host = world.step(until: start + 20_000_000) {
      if missing.contains(host), world.nodes[host]?.gossip.record(of: news.member.id) == news { missing.remove(host) }
    }
    #expect(missing.isEmpty, "seed \(seed): \(missing.count) of \(members) never heard of it")
    return Double(world.now - start) / 1000 / Double(settings.periodMilliseconds)
  }
}
