import Glibc
import NexusTestSupport
import Testing

/// Real nodes, each on a host of its own, whose cables are cut, mended, and made bad.
///
/// Clients are where their node is, and reach it whatever the cables do.
@Suite(
  "A torn network", .serialized,
  .enabled(if: PrivateNetwork.obstacle == nil, Comment(rawValue: PrivateNetwork.obstacle ?? "")))
struct TornNetworkTests {
  /// Who is slowed down several times over misses the moments that SWIM counts on: no story of the network then.
  private static let timely = ConditionTrait.enabled(
    if: Environment.patience == 1, "a sanitizer's pace is a fault of its own")

  @Test("torn in two: both halves answer; mended, they are one cache again with every key from before")
  func tornInTwo() throws {
    let network = try PrivateNetwork(hosts: 3)
    // An operation may wait for as long as busy processors keep the members from agreeing; it may not fail.
    try ClusterOfProcesses.story(3, ["--forward-timeout", "15s"], on: network) { cluster in
      let keys = try Keys(cluster)
      let halves = [Array(cluster.nodes[..<2]), Array(cluster.nodes[2...])]
      // What a half has owned from the start it goes on serving as if nothing had happened.
      let loads = try halves.map { try cluster.loadOnOwnKeys(of: $0) }
      for load in loads { cluster.expect(load.goesOn(for: 300)) }
      network.cut([0, 1], [2])
      for half in halves { try cluster.waitUntilWhole(half) }
      for (number, half) in halves.enumerated() { try keys.change(in: half, number: number) }
      for load in loads { cluster.expect(load.goesOn(for: 300)) }
      network.heal()
      try cluster.waitUntilWhole()
      for load in loads { cluster.expect(load.goesOn(for: 300)) }
      for load in loads { try cluster.expectNothingFailed(load.stop()) }
      try keys.expectMerged()
    }
  }

  @Test(
    "one member does not hear another: nobody is taken for dead, and clients of a third notice nothing",
    Self.timely)
  func deafInOneEar() throws {
    let network = try PrivateNetwork(hosts: 3)
    try ClusterOfProcesses.story(3, on: network) { cluster in
      let version = try cluster[2].state().version
      let (near, far) = (try cluster[0].ownKeys("near", 1)[0], try cluster[1].ownKeys("far", 1)[0])
      let load = CountingLoad(clients: 3, [cluster[2]])
      cluster.expect(load.goesOn(for: 300))
      network.cutOneWay(from: 0, to: 1)
      let client = try cluster[0].client()
      cluster.expect(try client.ask("SET", near, "1") == .ok)
      // It says that it cannot tell, instead of saying nothing.
      let reply = try client.ask("SET", far, "1")
      cluster.expect(reply.isError, "\(reply)")
      // Many rounds of probing.
      cluster.expect(eventually(seconds: 60) { network.cable(from: 0, to: 1).lost >= 60 })
      cluster.expect(load.goesOn(for: 300))
      cluster.expect(cluster.deaths == 0, "a living member was taken for dead")
      for node in cluster.nodes {
        cluster.expect(try node.state().version == version, "the placement has changed")
      }
      network.heal()
      let isWell = try eventually(seconds: 60) { try client.ask("SET", far, "2") == .ok }
      cluster.expect(isWell, "n1 does not reach n2 again")
      cluster.expect(try cluster[1].client().ask("GET", far) == .text("2"))
      cluster.expect(load.goesOn(for: 300))
      try cluster.expectNothingFailed(load.stop())
    }
  }

  @Test(
    "a network that loses packets and takes its time: a cluster forms, nothing fails, nobody is taken for dead",
    Self.timely)
  func lossAndDelay() throws {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    let network = try PrivateNetwork(hosts: 3, seed: seed)
    network.impairAll(lossPercent: 4, delayMilliseconds: 2...20)
    // TCP waits ever longer before it sends again what was lost several times in a row.
    try ClusterOfProcesses.story(3, ["--forward-timeout", "15s"], on: network) { cluster in
      let load = CountingLoad(clients: 6, cluster.nodes)
      cluster.expect(load.goesOn(for: 600, seconds: 60))
      try cluster.expectNothingFailed(load.stop())
      cluster.expect(network.cable(from: 0, to: 1).lost > 0)
      cluster.expect(cluster.deaths == 0, "a living member was taken for dead")
    }
  }

  @Test("a host in the same network with another secret: it stays outside, and nothing that it asks is answered")
  func stranger() throws {
    let network = try PrivateNetwork(hosts: 3)
    try ClusterOfProcesses.story(2, on: network) { cluster in
      try cluster[0].client().ask("SET", "k", "ours")
      let stranger = try cluster.addStranger("guest", ["--cluster-secret", "guessed"])
      let hasSaid = eventually { stranger.log.contains("does not know this cluster's secret") }
      cluster.expect(hasSaid, "nobody says why:\n\(stranger.log)")
      let hears = eventually { network.cable(from: 0, to: 2).carried > 0 && network.cable(from: 2, to: 0).carried > 0 }
      cluster.expect(hears, "it is not in the network")
      let reply = try stranger.client().ask("GET", "k")
      cluster.expect(reply.isError, "\(reply)")
      cluster.expect(try stranger.http("GET", "/health/ready").status != 200, "it takes itself for a member")
      for node in cluster.nodes { cluster.expect(try node.state().members.count == 2, "it is a member") }
      try cluster.stillServes()
    }
  }
}

/// Long, and idle most of the time: beside the others.
@Suite(
  "A network torn for long",
  .enabled(if: PrivateNetwork.obstacle == nil, Comment(rawValue: PrivateNetwork.obstacle ?? "")))
struct LongTornNetworkTests {
  @Test("cut off for longer than a member is remembered: back without a restart, with every key")
  func longForgotten() async throws {
    let network = try PrivateNetwork(hosts: 3)
    try await ClusterOfProcesses.longStory(3, on: network) { cluster in
      let keys = try Keys(cluster)
      let halves = [Array(cluster.nodes[..<2]), Array(cluster.nodes[2...])]
      network.cut([0, 1], [2])
      let areForgotten = try await inTheEnd(seconds: 90) {
        let (first, third) = (try cluster[0].state().members, try cluster[2].state().members)
        return first["n3", default: "left"] == "left" && third["n1", default: "left"] == "left"
          && third["n2", default: "left"] == "left"
      }
      cluster.expect(areForgotten, "\(cluster.nodes.map { (try? $0.state())?.members })")
      for (number, half) in halves.enumerated() { try keys.change(in: half, number: number) }
      network.heal()
      try cluster.waitUntilWhole()
      try keys.expectMerged()
    }
  }
}

/// Keys that are written before a network is torn, and by its halves meanwhile.
struct Keys {
  private let cluster: ClusterOfProcesses
  private let before = (0..<400).map { "before:\($0)" }
  private let owners: [String]
  private static let count = 150

  init(_ cluster: ClusterOfProcesses) throws {
    self.cluster = cluster
    owners = try cluster[0].owners()
    let replies = try cluster[0].client().pipeline(before.map { ["SET", $0, $0].map { Array($0.utf8) } })
    cluster.expect(replies.allSatisfy { $0 == .ok })
  }

  /// A half that has lost the other serves every slot: what is written is read, what was written before is there where
  /// the half has owned it, and otherwise there or absent.
  func change(in half: [ClusterOfProcesses.Node], number: Int) throws {
    let clients = try half.map { try $0.client() }
    for index in 0..<Self.count {
      for key in ["half:\(number):\(index)", "both:\(index)"] {
        let (writer, reader) = (clients[index % clients.count], clients[(index + 1) % clients.count])
        let set = try writer.ask("SET", key, "of half \(number)")
        cluster.expect(set == .ok, "SET \(key) in half \(number): \(set)")
        let got = try reader.ask("GET", key)
        cluster.expect(got == .text("of half \(number)"), "GET \(key) in half \(number): \(got)")
      }
    }
    for (index, key) in before.enumerated() {
      let got = try clients[index % clients.count].ask("GET", key)
      let isOwned = half.contains { $0.id == owners[key.keySlot] }
      cluster.expect(got == .text(key) || !isOwned && got == .nullBulk, "GET \(key) in half \(number): \(got)")
    }
  }

  /// The halves are one: members agree on who executes what, and every key has one value, whichever node is asked.
  func expectMerged() throws {
    let owners = try cluster.nodes.map { try $0.owners() }
    cluster.expect(Set(owners).count == 1 && !owners[0].contains(""), "the members do not agree on who executes what")
    let clients = try cluster.nodes.map { try $0.client() }
    for key in before { try expect(clients, key) { $0 == key } }
    for index in 0..<Self.count {
      for number in 0..<2 { try expect(clients, "half:\(number):\(index)") { $0 == "of half \(number)" } }
      try expect(clients, "both:\(index)") { $0 == "of half 0" || $0 == "of half 1" }
    }
  }

  private func expect(_ clients: [RESPClient], _ key: String, _ isRight: (String) -> Bool) throws {
    let values = try clients.map { try $0.ask("GET", key) }
    cluster.expect(Set(values.map(\.string)).count == 1, "\(key): \(values)")
    cluster.expect(values[0].string.map(isRight) == true, "\(key): \(values[0])")
  }
}

extension ClusterOfProcesses {
  /// How often one member has taken another for dead.
  var deaths: Int { nodes.reduce(0) { $0 + $1.log.components(separatedBy: "a member has died").count - 1 } }

  /// Counts with keys that these nodes execute now, each client at its node.
  func loadOnOwnKeys(of nodes: [Node]) throws -> CountingLoad {
    let name = nodes.map(\.id).joined(separator: "-")
    let keys = try nodes.flatMap { try $0.ownKeys("own:\(name):", 60) }
    return CountingLoad(clients: 2, doors: nodes.map(\.door), shared: []) { client in
      keys.enumerated().filter { $0.offset % 2 == client }.map(\.element)
    }
  }
}
