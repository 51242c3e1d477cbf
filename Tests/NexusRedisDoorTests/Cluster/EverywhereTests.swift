import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A command that concerns every member")
struct EverywhereTests {
  private let cluster = FakeCluster(3)

  private func fill(_ count: Int) -> Set<String> {
    let client = cluster.connect(to: 0)
    for number in 0..<count { client.push(request("SET", "k\(number)", "v")) }
    cluster.settle()
    return Set((0..<count).map { "k\($0)" })
  }

  /// The bulk strings of a reply, without their lengths.
  private func bulks(_ reply: String) -> [String] {
    let lines = reply.split(separator: "|").map(String.init)
    return lines.indices.filter { $0 > 0 && lines[$0 - 1].hasPrefix("$") }.map { lines[$0] }
  }

  @Test("counts, lists and chooses among the keys of all")
  func keys() {
    let all = fill(100)
    for index in 0..<3 {
      let client = cluster.connect(to: index)
      #expect(client.ask("DBSIZE") == ":100|")
      #expect(Set(bulks(client.ask("KEYS *"))) == all)
      #expect(Set((0..<100).flatMap { _ in bulks(client.ask("RANDOMKEY")) }).count > 20)
    }
    #expect(FakeCluster(2).connect(to: 0).ask("RANDOMKEY", "DBSIZE") == "$-1|:0|")
  }

  @Test("empties and exchanges databases everywhere, before anything that comes after it")
  func flush() {
    _ = fill(50)
    let client = cluster.connect(to: 1)
    client.push(request("FLUSHALL") + request("MSET", "a", "1", "b", "2", "c", "3") + request("DBSIZE"))
    cluster.settle()
    #expect(client.take() == "+OK|+OK|:3|")
    #expect(client.ask("SWAPDB 0 1", "DBSIZE", "SELECT 1", "MGET a b c") == "+OK|:0|+OK|*3|$1|1|$1|2|$1|3|")
    #expect(client.ask("FLUSHDB WRONG", "FLUSHDB", "DBSIZE") == "-ERR syntax error|+OK|:0|")
  }

  @Test("removes what carries a tag, wherever it is")
  func tags() {
    _ = fill(60)
    for number in 0..<60 {
      #expect(
        cluster.connect(to: number % 3).ask("FILL.TAG k\(number) \(number % 2 == 0 ? "even" : "odd") all") == ":1|")
    }
    #expect(
      cluster.connect(to: 1).ask("FILL.PURGETAG even", "DBSIZE", "FILL.PURGETAG all", "DBSIZE") == ":30|:30|:30|:0|")
  }

  @Test("says which members did not do it")
  func failure() {
    cluster.failure = { $0.to == 2 ? .timedOut(MemberID("n2")!, milliseconds: 2000) : nil }
    #expect(
      cluster.connect(to: 0).ask("FLUSHALL", "DBSIZE")
        == "-PARTIAL 1 of 3 members failed: n2 (member n2 did not answer within 2000 ms)|"
        + "-PARTIAL 1 of 3 members failed: n2 (member n2 did not answer within 2000 ms)|")
  }

  @Test("walks over all keys, each at least once, while slots move")
  func scan() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let all = fill(400)
    for options in ["", " COUNT 1", " COUNT 50", " MATCH k* COUNT 7"] {
      var seen: [String] = []
      var cursor = "0"
      var calls = 0
      repeat {
        let reply = bulks(cluster.connect(to: dice.below(3)).ask("SCAN \(cursor)\(options)"))
        cursor = reply[0]
        seen += reply.dropFirst()
        calls += 1
        cluster.move(dice.below(Slot.count), to: dice.below(3))
        cluster.move(cluster.slot(of: "k\(dice.below(400))"), to: dice.below(3))
      } while cursor != "0" && calls < 5000
      #expect(cursor == "0", "seed \(seed)")
      #expect(Set(seen) == all, "seed \(seed), options \(options)")
      #expect(seen.count < 500, "seed \(seed), options \(options)")
    }
    #expect(
      cluster.connect(to: 0).ask("SCAN x", "SCAN 0 COUNT 0", "SCAN 0 COUNT")
        == "-ERR invalid cursor|-ERR syntax error|-ERR syntax error|")
  }

  @Test("reaches subscribers on every member")
  func publish() {
    let listeners = (0..<3).map { cluster.connect(to: $0) }
    for listener in listeners { _ = listener.ask("SUBSCRIBE c") }
    _ = listeners[0].ask("PSUBSCRIBE c*")
    let client = cluster.connect(to: 1)
    #expect(
      client.ask("PUBLISH c m", "PUBSUB NUMSUB c d", "PUBSUB NUMPAT", "PUBSUB CHANNELS")
        == ":4|*4|$1|c|:3|$1|d|:0|:1|*1|$1|c|")
    for listener in listeners { #expect(listener.take().hasPrefix("*3|$7|message|$1|c|$1|m|")) }
    let foreign = cluster.connect(to: cluster.stranger(to: "a"))
    #expect(foreign.ask("MULTI", "SET a 1", "PUBLISH c n", "EXEC").hasPrefix("+OK|+QUEUED|+QUEUED|*2|+OK|:"))
    for listener in listeners { #expect(listener.take().hasPrefix("*3|$7|message|$1|c|$1|n|")) }
  }

  @Test("shows the slow commands of all, each with its member")
  func slowlog() {
    for node in cluster.nodes { try! node.node.settings.change([(id: .slowlogThreshold, text: "0")]) }
    for index in 0..<3 { _ = cluster.connect(to: index).ask("ECHO e\(index)") }
    let reply = cluster.connect(to: 0).ask("SLOWLOG GET -1")
    for index in 0..<3 {
      #expect(reply.contains("|e\(index)|"))
      #expect(reply.contains("@n\(index)|"))
    }
    #expect(cluster.connect(to: 0).ask("SLOWLOG RESET") == "+OK|")
  }
}

@Suite("A cluster client")
struct ClusterClientTests {
  private let cluster = FakeCluster(3)

  private func connect(to index: Int) -> FakeClient {
    let node = cluster.nodes[index]
    return node.connect(redirects: true)
  }

  @Test("is told where a key is, and served where it is right")
  func moved() {
    let owner = cluster.owner(of: "a")
    let slot = cluster.slot(of: "a")
    let stranger = connect(to: cluster.stranger(to: "a"))
    let moved = "-MOVED \(slot) 10.0.0.\(owner + 1):6380|"
    #expect(stranger.ask("SET a 1", "GET a", "MGET a a", "WATCH a") == moved + moved + moved + moved)
    #expect(
      stranger.ask("MULTI", "GET a", "EXEC")
        == "+OK|" + moved + "-EXECABORT Transaction discarded because of previous errors.|")
    #expect(stranger.ask("MGET a b").hasPrefix("-CROSSSLOT"))
    #expect(connect(to: owner).ask("READONLY", "ASKING", "SET a 1", "GET a") == "+OK|+OK|+OK|$1|1|")
    #expect(cluster.connect(to: cluster.stranger(to: "a")).ask("GET a") == "$1|1|", "a plain client never is")
  }

  @Test("learns the slots, the members and itself")
  func reports() {
    let client = connect(to: 1)
    let ids = (0..<3).map { MemberID("n\($0)")!.clusterID }
    #expect(Set(ids).count == 3 && ids.allSatisfy { $0.count == 40 })
    #expect(MemberID(String(repeating: "0a", count: 20))!.clusterID == String(repeating: "0a", count: 20))
    #expect(client.ask("CLUSTER MYID") == "$40|\(ids[1])|")
    #expect(client.ask("CLUSTER SLOTS").hasPrefix("*3|*3|:0|:5461|*4|$8|10.0.0.1|:6380|$40|\(ids[0])|*0|"))
    #expect(client.ask("CLUSTER SHARDS").hasPrefix("*3|*4|$5|slots|*2|:0|:5461|$5|nodes|*1|*14|"))
    let nodes = client.ask("CLUSTER NODES")
    #expect(nodes.contains("\(ids[1]) 10.0.0.2:6380@7946 myself,master - 0 0 1 connected 5462-10922\n"))
    #expect(client.ask("CLUSTER INFO").contains("cluster_state:ok|cluster_slots_assigned:16384|"))
    #expect(client.ask("INFO cluster").contains("cluster_enabled:1|"))
    #expect(client.ask("CLUSTER KEYSLOT {a}b", "CLUSTER LINKS") == ":15495|*0|")
    #expect(FakeNode().connect().say("CLUSTER SLOTS", "ASKING").hasPrefix("-ERR This instance has cluster support"))
  }

  @Test("counts and lists the keys of a slot")
  func slotKeys() {
    let client = connect(to: cluster.owner(of: "a"))
    let slot = cluster.slot(of: "a")
    #expect(client.ask("SET a 1", "SET {a}b 1", "CLUSTER COUNTKEYSINSLOT \(slot)") == "+OK|+OK|:2|")
    #expect(client.ask("CLUSTER GETKEYSINSLOT \(slot) 1").hasPrefix("*1|$"))
    #expect(
      client.ask("CLUSTER COUNTKEYSINSLOT 16384", "CLUSTER GETKEYSINSLOT 0 -1")
        == "-ERR Invalid slot|-ERR Invalid slot or number of keys|")
  }
}
