import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusCache

/// Two nodes in this process and a server of its own are one cluster.
@Suite("Programs and servers that are one cluster", .serialized) struct EmbeddedClusterTests {
  private struct Three {
    let nodes: [NexusCache]
    let server: NexusServer

    static func with(_ body: (Three) async throws -> Void) async throws {
      let ports = NexusServer.freePorts(3)
      let server = try NexusServer([
        "--node-id", "server", "--peer-port", "\(ports[0])", "--cluster-name", "mixed", "--cluster-secret", "of three",
        "--namespace", "scores",
      ])
      var nodes: [NexusCache] = []
      do {
        for index in 1...2 {
          var configuration = small
          configuration.cluster = .init(
            name: "mixed", secret: "of three", peerPort: ports[index], seeds: ["127.0.0.1:\(ports[0])"],
            nodeID: "program-\(index)")
          nodes.append(try await NexusCache.start(configuration))
        }
        let three = Three(nodes: nodes, server: server)
        try await three.becomeWhole()
        try await body(three)
      } catch {
        for node in nodes { await node.stop() }
        throw error
      }
      for node in nodes { await node.stop() }
    }

    private func becomeWhole() async throws {
      for _ in 0..<3000 {
        let pictures = nodes.compactMap { $0.node.cluster?.picture }
        if pictures.allSatisfy({ $0.isReady && $0.members.count == 3 && $0.members.allSatisfy { $0.slotCount > 4000 } })
        {
          return
        }
        try await Task.sleep(for: .milliseconds(10))
      }
      Issue.record("the three nodes have not become one cluster")
    }

    /// Keys of which each belongs to the node of this name.
    func keys(of owner: String, _ count: Int) -> [String] {
      let picture = nodes[0].node.cluster!.picture
      let number = picture.members.first { $0.record.member.id.text == owner }!.number
      return (0..<100_000).lazy.map { "k\($0)" }.filter { key in
        picture.places(of: Array(key.utf8).withUnsafeBytes { Slot(of: $0) }).first == number
      }.prefix(count).map { $0 }
    }
  }

  @Test("A key is loaded once, by its owner's loader, whoever asks and however many") func once() async throws {
    try await Three.with { three in
      let calls = [Counter(), Counter()]
      let scores = try three.nodes.enumerated().map { index, node in
        try node.namespace("scores") { (key: String, _) -> String? in
          calls[index].add()
          return "of \(key)"
        }
      }
      let keys = ["program-1", "program-2", "server"].map { three.keys(of: $0, 20) }
      for key in keys.joined() {
        let answers = try await withThrowingTaskGroup(of: String?.self) { group in
          for index in 0..<50 { group.addTask { try await scores[index % 2].get(key) } }
          return try await group.reduce(into: Set()) { $0.insert($1) }
        }
        #expect(answers == ["of \(key)"])
      }
      #expect(calls[0].value + calls[1].value == 60, "each key is loaded once")
      #expect(calls[0].value >= 20 && calls[1].value >= 20, "an owner calls its own loader")
      // The server gives its clients what programs have loaded, and has its own share loaded by them.
      let client = try three.server.connect()
      #expect(try client.ask("SELECT", "scores") == .simple(Array("OK".utf8)))
      for key in keys.map({ $0[0] }) { #expect(try client.ask("GET", key) == .text("of \(key)")) }
      let fresh = three.keys(of: "server", 21).last!
      #expect(try client.ask("GET", fresh) == .text("of \(fresh)"))
      #expect(calls[0].value + calls[1].value == 61)
    }
  }

  @Test("What one node writes or deletes, all others read so; a loader's error reaches who asked") func writing()
    async throws
  {
    struct Broken: Error, CustomStringConvertible { let description = "no such table" }
    try await Three.with { three in
      let scores = try three.nodes.map { node in
        try node.namespace("scores") { (key: String, _) async throws -> String? in
          if key.hasPrefix("k") { throw Broken() }
          return nil
        }
      }
      for owner in ["program-1", "program-2", "server"] {
        let key = three.keys(of: owner, 1)[0]
        for index in 0..<2 {
          let error = await failure { try await scores[index].get(key) }
          #expect(error?.reason == .loadFailed)
          #expect(error?.description == "the origin scores failed: no such table", "\(owner): \(error as Any)")
        }
        try await scores[0].set(key, to: "630")
        #expect(try await scores[1].get(key) == "630")
        #expect(try await scores[1].delete(key))
        #expect(await failure { try await scores[0].get(key) }?.reason == .loadFailed)
      }
    }
  }
}
