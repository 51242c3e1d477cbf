import NexusModel
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A namespace in a cluster")
struct NamespaceForwardingTests {
  private func cluster(_ names: String...) -> FakeCluster {
    let cluster = FakeCluster(3)
    for node in cluster.nodes {
      for name in names { node.declare(name) }
    }
    return cluster
  }

  @Test("is the same on every member, for each kind of command")
  func everyKind() {
    let cluster = cluster("scores")
    let keys = (0..<20).map { "k\($0)" }
    let client = cluster.connect(to: 0)
    _ = client.ask("SELECT scores")
    for key in keys { #expect(client.ask("SET \(key) s\(key)") == "+OK|") }
    let other = cluster.connect(to: 1)
    #expect(other.ask("DBSIZE", "SELECT scores", "DBSIZE") == ":0|+OK|:20|")
    for key in keys { #expect(other.ask("GET \(key)") == "$\(key.count + 1)|s\(key)|") }
    let words = keys.joined(separator: " ")
    #expect(other.ask("EXISTS \(words)") == ":20|")
    #expect(other.ask("MGET k1 k2 none") == "*3|$3|sk1|$3|sk2|$-1|")
    #expect(other.ask("KEYS *").hasPrefix("*20|"))
    #expect(other.ask("MULTI", "APPEND k3 x", "GET k3", "EXEC").hasSuffix("*2|:4|$4|sk3x|"))
    #expect(client.ask("SELECT 0", "EXISTS \(words)") == "+OK|:0|")
    #expect(
      client.ask("SET k1 zero", "SELECT scores", "FLUSHDB", "DBSIZE", "SELECT 0", "DBSIZE")
        == "+OK|+OK|+OK|:0|+OK|:1|")
  }

  @Test("is watched where its keys are")
  func watch() {
    let cluster = cluster("scores")
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    let other = cluster.connect(to: cluster.owner(of: "a"))
    _ = client.ask("SELECT scores", "WATCH a", "MULTI", "INCR a")
    _ = other.ask("SET a zero")
    #expect(client.ask("EXEC") == "*1|:1|")
    _ = client.ask("WATCH a", "MULTI", "INCR a")
    _ = other.ask("SELECT scores", "SET a 5")
    #expect(client.ask("EXEC") == "*-1|")
  }

  @Test("that the owner has not declared is refused there by its number; channels need none")
  func unknownThere() {
    let cluster = FakeCluster(2)
    let asking = cluster.stranger(to: "a")
    cluster.nodes[asking].declare("scores")
    let number = NamespaceName.number(of: "scores")
    let client = cluster.connect(to: asking)
    let refusal =
      "-ERR member \(cluster.nodes[cluster.owner(of: "a")].node.cluster!.myself.text) has no namespace of the number "
      + "\(number), which the client's has: declare it on every member (namespace)|"
    #expect(client.ask("SELECT scores", "GET a") == "+OK|" + refusal)
    for command in ["SET a 1", "SET a 1 EX 10", "DEL a", "WATCH a"] {
      #expect(client.ask(command) == refusal, "\(command)")
      _ = client.ask("UNWATCH")
    }
    #expect(client.ask("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|" + refusal)
    let owner = cluster.nodes[cluster.owner(of: "a")].node
    #expect(owner.store.configuredNumbers.count == 16 && owner.store.count(in: number) == 0)
    let subscriber = cluster.connect(to: cluster.owner(of: "a"))
    _ = subscriber.ask("SUBSCRIBE news")
    _ = client.ask("PUBLISH news x")
    #expect(subscriber.take().contains("$4|news|$1|x|"))
    cluster.nodes[cluster.owner(of: "a")].declare("scores")
    #expect(client.ask("SET a 1", "GET a") == "+OK|$1|1|")
  }
}
