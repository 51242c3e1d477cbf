import NexusModel
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Keyspaces with names, on several members.
  @Suite struct Namespaces {
    @Test("a namespace that all members declare is one, through every door; its keys move, and its limits hold")
    func everywhere() throws {
      let declared = ["--namespace", "scores:default-ttl=1h", "--namespace", "few:max-entries=10;eviction=lru"]
      try ClusterOfProcesses.story(2, threads: 2, declared) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        for client in clients { cluster.expect(try client.ask("SELECT", "scores") == .ok) }
        for index in 0..<200 {
          cluster.expect(try clients[index % 2].ask("SET", "k\(index)", "s\(index)") == .ok)
        }
        for index in 0..<200 {
          cluster.expect(try clients[(index + 1) % 2].ask("GET", "k\(index)") == .text("s\(index)"))
          let got = try cluster[index % 2].http("GET", "/api/cache/k\(index)?namespace=scores")
          cluster.expect(got.status == 200 && got.text == "s\(index)", "\(got.text)")
        }
        cluster.expect(try clients[0].ask("DBSIZE") == .integer(200))
        cluster.expect(try clients[1].ask("TTL", "k1") != .integer(-1))
        let other = try cluster[0].client()
        cluster.expect(try other.ask("DBSIZE") == .integer(0))
        cluster.expect(try other.ask("AUTH", "scores", "any") == .ok)
        cluster.expect(try other.ask("GET", "k7") == .text("s7"))
        cluster.expect(try other.ask("SELECT", "few") == .ok)
        for index in 0..<200 { cluster.expect(try other.ask("SET", "f\(index)", "x") == .ok) }
        let left = try other.ask("DBSIZE")
        cluster.expect(left == .integer(20), "ten on each of two members: \(left)")

        // A third member takes slots over, and the namespace's keys in them.
        try cluster.add()
        try cluster.waitUntilWhole()
        let third = try cluster[2].client()
        try third.ask("SELECT", "scores")
        for index in 0..<200 {
          cluster.expect(try third.ask("GET", "k\(index)") == .text("s\(index)"), "k\(index) after the move")
        }
        cluster.expect(try third.ask("DBSIZE") == .integer(200))
        cluster.expect(try third.ask("FLUSHDB") == .ok)
        for client in clients { cluster.expect(try client.ask("DBSIZE") == .integer(0)) }
      }
    }

    @Test("a namespace that one member lacks is refused there by its number, until CONFIG SET declares it")
    func declaredOneByOne() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let number = NamespaceName.number(of: "late")
        let client = try cluster[0].client()
        let key = try cluster[1].ownKeys("k", 1)[0]
        let unknown = try client.ask("SELECT", "late")
        cluster.expect(unknown.string?.hasPrefix("ERR unknown namespace 'late'") == true, "\(unknown)")
        cluster.expect(try client.ask("CONFIG", "SET", "namespace", "late:max-entries=5") == .ok)
        cluster.expect(try client.ask("SELECT", "late") == .ok)
        let refused = try client.ask("SET", key, "1")
        cluster.expect(refused.string?.contains("no namespace of the number \(number)") == true, "\(refused)")
        let byHTTP = try cluster[0].http("GET", "/api/cache/\(key)?namespace=late")
        cluster.expect(byHTTP.status == 503, "\(byHTTP.status) \(byHTTP.text)")
        cluster.expect(try cluster[1].client().ask("CONFIG", "SET", "namespace", "late:max-entries=5") == .ok)
        cluster.expect(try client.ask("SET", key, "1") == .ok)
        cluster.expect(try client.ask("GET", key) == .text("1"))
        let said = try client.ask("CONFIG", "GET", "namespace")
        cluster.expect(said[1] == .text("late:max-entries=5"), "\(said)")
      }
    }
  }
}
