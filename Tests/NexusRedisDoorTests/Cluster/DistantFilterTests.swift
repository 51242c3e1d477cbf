import NexusModel
import NexusStore
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A filter in a cluster")
struct DistantFilterTests {
  @Test("is asked and changed from every member, and found whole where its slot moves to")
  func everywhere() {
    let seed = Dice.seed()
    let cluster = FakeCluster(3, seed: seed)
    let clients = (0..<3).map { cluster.connect(to: $0) }
    #expect(clients[cluster.stranger(to: "f")].ask("CF.RESERVE f 100 ERROR 0.0001 EXPANSION 1") == "+OK|")
    for item in 0..<600 {
      #expect(clients[item % 3].ask("CF.ADD f \(item)") == ":1|", "\(item), NEXUS_SEED=\(seed)")
      if item % 40 == 0 { cluster.move(cluster.slot(of: "f"), to: (item / 40) % 3, telling: item % 80 == 0) }
    }
    let all = (["CF.MEXISTS", "f"] + (0..<600).map { "\($0)" }).joined(separator: " ")
    for client in clients {
      #expect(client.ask(all) == "*600|" + String(repeating: ":1|", count: 600), "NEXUS_SEED=\(seed)")
      #expect(client.ask("TYPE f", "GET f", "CF.INFO f CAPACITY").hasSuffix("*1|:600|"))
    }
    #expect(clients[0].ask("CF.DEL f 3", "CF.EXISTS f 3", "CF.DEL none x") == ":1|:0|-ERR not found|")
  }

  @Test("gets its room where it runs under its slot's lock, and adds every item once")
  func room() {
    // In a cluster a command runs under the locks of its keys, and again where it lacked room.
    let cluster = FakeCluster(2)
    let owner = cluster.nodes[cluster.owner(of: "f")]
    let store = owner.node.store
    store.maxMemoryBytes = 8 << 20
    let client = cluster.connect(to: cluster.owner(of: "f"))
    // Full of other things, which may be evicted.
    for number in 0..<2200 { client.ask("SET \(number) \(String(repeating: "x", count: 8000))") }
    client.ask("CF.RESERVE f 20000 ERROR 0.001 EXPANSION 8")
    for start in stride(from: 0, to: 60_000, by: 5000) {
      let items = (start..<start + 5000).map { "\($0)" }
      client.push(request(["CF.INSERT", "f", "ITEMS"] + items))
      cluster.settle()
      #expect(client.take() == "*5000|" + String(repeating: ":1|", count: 5000))
      for number in 0..<50 { client.ask("SET \(start + number) \(String(repeating: "y", count: 8000))") }
    }
    #expect(client.ask("CF.INFO f").contains("Number of items inserted|:60000|"))
    #expect(store.statistics(of: 0).evictions > 0, "there was no room without evicting")
  }
}
