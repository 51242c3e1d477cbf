import NexusTestSupport
import Testing

extension ClusterTests {
  /// Clients that keep what they read, through whatever member.
  @Suite struct Tracking {
    private func tracker(_ node: ClusterOfProcesses.Node) throws -> RESPClient {
      let client = try node.client()
      try client.ask("HELLO", "3")
      try client.ask("CLIENT", "TRACKING", "ON")
      return client
    }

    /// The key that the next push names; nil: all keys.
    private func told(_ client: RESPClient) throws -> String? {
      guard case .push(let parts) = try client.read(), parts.count == 2 else {
        throw RESPClient.Failure.malformed("no invalidation")
      }
      return parts[1].elements?.first?.string
    }

    @Test("what was read through one member and changed through another is told, whoever owns it")
    func changes() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let clients = try cluster.nodes.map { try tracker($0) }
        let writers = try cluster.nodes.map { try $0.client() }
        for owner in 0..<3 {
          for (number, key) in try cluster[owner].ownKeys("tracked", 30).enumerated() {
            for client in clients { cluster.expect(try client.ask("GET", key) == .null, key) }
            cluster.expect(try writers[number % 3].ask("SET", key, "v\(number)") == .ok)
            for client in clients { cluster.expect(try told(client) == key, key) }
            for client in clients { cluster.expect(try client.ask("GET", key).string == "v\(number)", key) }
            cluster.expect(try writers[(number + 1) % 3].ask("DEL", key).number == 1)
            for client in clients { cluster.expect(try told(client) == key, key) }
          }
        }
      }
    }

    @Test("when a member dies, clients of the others give up what they have read")
    func death() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let client = try tracker(cluster[1])
        let key = try cluster[0].ownKeys("tracked", 1)[0]
        cluster.expect(try client.ask("SET", key, "v") == .ok)
        cluster.expect(try client.ask("GET", key).string == "v")
        cluster[0].kill()
        cluster.expect(try told(client) == nil)
      }
    }
  }
}
