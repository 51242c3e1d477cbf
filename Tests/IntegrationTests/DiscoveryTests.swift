import Glibc
import NexusTestSupport
import Testing

/// Servers that are told nothing of one another: a registry brings them together.
@Suite("Discovery", .serialized)
struct DiscoveryTests {
  /// Real `nexuscache serve` processes of one cluster.
  final class Node {
    let name: String
    let peerPort: Int
    let server: NexusServer

    init(_ name: String, _ registry: String...) throws {
      self.name = name
      peerPort = NexusServer.freePorts(1)[0]
      server = try NexusServer(
        ["--node-id", name, "--peer-port", "\(peerPort)", "--log-level", "info", "--discovery"] + registry)
    }

    /// A line for each that it takes for live, itself included.
    var live: [Substring] {
      let lines = try? server.connect().ask("CLUSTER", "NODES").string?.split(separator: "\n")
      return (lines ?? []).filter { !$0.contains("fail") }
    }
  }

  /// All of them take so many members for live, and what one writes the others read.
  private func expectTogether(_ nodes: [Node], _ key: String, seconds: Double = 30) throws {
    for node in nodes {
      #expect(
        eventually(seconds: seconds) { node.live.count == nodes.count }, "\(node.live) \(node.server.process.output)")
    }
    #expect(
      try eventually(seconds: seconds) {
        try nodes[0].server.connect().ask("SET", key, "value") == .simple(Array("OK".utf8))
      }, "\(nodes[0].server.process.output)")
    for node in nodes {
      #expect(
        try eventually(seconds: seconds) { try node.server.connect().ask("GET", key).string == "value" },
        "\(node.name)")
    }
  }

  @Test(
    "three nodes find one another through etcd, go on without it, and lose a killed one by gossip and by its lease",
    .enabled(if: EtcdServer.isInstalled, "scripts/setup test installs etcd"))
  func etcd() throws {
    let etcd = try EtcdServer()
    var keys: [Substring] {
      (try? etcd.control("get", "--prefix", "--keys-only", "/nexuscache/").output.split(separator: "\n")) ?? []
    }
    var nodes = try ["one", "two", "three"].map { try Node($0, "etcd", "--discovery-url", etcd.url) }
    try expectTogether(nodes, "a")
    #expect(keys.count == 3)

    try etcd.kill()
    nodes.removeLast().server.process.stop(with: SIGKILL)
    // etcd cannot tell them; gossip does. The cluster works on.
    try expectTogether(nodes, "b")
    try etcd.start()
    #expect(
      eventually(seconds: 60) {
        keys.sorted() == ["/nexuscache/nexuscache/members/one", "/nexuscache/nexuscache/members/two"]
      }, "\(keys)")

    // Nobody but etcd can have told the fourth, which leaves in good order.
    let fourth = try Node("four", "etcd", "--discovery-url", "http://127.0.0.1:1,\(etcd.url)")
    try expectTogether(nodes + [fourth], "c")
    #expect(fourth.server.process.stop() == 0, "\(fourth.server.process.output)")
    #expect(keys.count == 2, "\(keys)")
    try expectTogether(nodes, "d")
  }

  @Test(
    "two nodes that began alone while etcd was away become one cluster when it comes",
    .enabled(if: EtcdServer.isInstalled, "scripts/setup test installs etcd"))
  func etcdComesLate() throws {
    let etcd = try EtcdServer()
    try etcd.kill()
    let nodes = try ["one", "two"].map { try Node($0, "etcd", "--discovery-url", etcd.url) }
    for node in nodes { try expectTogether([node], "a") }
    try etcd.start()
    try expectTogether(nodes, "b")
  }

  @Test(
    "three nodes find one another through Serf's agents, and go on where one of the agents begins anew",
    .enabled(if: SerfAgent.isInstalled, "scripts/setup test installs serf"))
  func serf() throws {
    let first = try SerfAgent("first")
    let agents = [first, try SerfAgent("second", join: first), try SerfAgent("third", join: first)]
    func node(_ name: String, _ agent: SerfAgent) throws -> Node {
      try Node(name, "serf", "--discovery-url", "127.0.0.1:\(agent.rpcPort)")
    }
    var nodes = try zip(["one", "two", "three"], agents).map { try node($0, $1) }
    try expectTogether(nodes, "a")

    agents[0].kill()
    nodes.removeLast().server.process.stop(with: SIGKILL)
    try expectTogether(nodes, "b")
    try agents[0].start(join: agents[1])
    // The third's agent is still there for the next node on its machine.
    let fourth = try node("four", agents[2])
    try expectTogether(nodes + [fourth], "c")
    #expect(fourth.server.process.stop() == 0, "\(fourth.server.process.output)")
    try expectTogether(nodes, "d")
  }

  @Test(
    "a registry that nobody could speak to is refused before anything starts",
    arguments: [
      ("etcd", "https://127.0.0.1:2379", "asks for TLS"), ("etcd", "", "say where it is with discovery-url"),
      ("etcd", "http://127.0.0.1:0", "is no address of etcd"), ("serf", "127.0.0.1", "is no address"),
    ])
  func refusals(_ discovery: String, _ url: String, _ reason: String) throws {
    let result = try ChildProcess.run(
      NexusServer.executable,
      [
        "serve", "--bind", "127.0.0.1", "--redis-port", "\(NexusServer.freePorts(1)[0])", "--http-port", "0",
        "--discovery", discovery, "--discovery-url", url,
      ])
    #expect(result.status != 0 && result.output.contains(reason), "\(result.output)")
  }
}
