import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A command whose key lies elsewhere")
struct ForwardingTests {
  @Test("runs there, and is answered as if it had run here")
  func runs() {
    let cluster = FakeCluster(3)
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    #expect(
      client.ask("SET a 1", "INCR a", "GET a", "STRLEN a", "GET none", "TYPE a")
        == "+OK|:2|$1|2|:1|$-1|+string|")
    #expect(cluster.connect(to: cluster.owner(of: "a")).say("GET a") == "$1|2|")
    #expect(client.ask("INCR a b") == "-ERR wrong number of arguments for 'incr' command|")
    #expect(client.ask("APPEND a x", "INCR a") == ":2|-ERR value is not an integer or out of range|")
  }

  @Test("works on the database and in the protocol that its client has chosen")
  func session() {
    let cluster = FakeCluster(2)
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    #expect(client.ask("SELECT 3", "SET a three", "SELECT 0", "GET a") == "+OK|+OK|+OK|$-1|")
    #expect(client.ask("HELLO 3", "GET a", "HELLO 2", "GET a").hasSuffix("*0|$-1|"))
    #expect(client.ask("SELECT 3", "GET a") == "+OK|$5|three|")
  }

  @Test("is answered in its order, whichever reply comes first")
  func order() {
    let seed = Dice.seed()
    let cluster = FakeCluster(3, seed: seed)
    let client = cluster.connect(to: 0)
    var bytes: [UInt8] = []
    var expected = ""
    for number in 0..<500 {
      bytes += request("SET", "k\(number)", "v\(number)") + request("GET", "k\(number)")
      expected += "+OK|$\("v\(number)".count)|v\(number)|"
      if number % 7 == 0 {
        bytes += request("ECHO", "\(number)")
        expected += "$\("\(number)".count)|\(number)|"
      }
    }
    client.push(bytes)
    cluster.settle()
    #expect(client.take() == expected, "seed \(seed)")
    #expect(cluster.delivered > 500)
  }

  @Test("never runs on a member that does not own its slot")
  func moved() {
    let cluster = FakeCluster(3)
    let client = cluster.connect(to: 0)
    for number in 0..<50 { _ = client.ask("SET k\(number) \(number)") }
    for number in 0..<50 { cluster.move(cluster.slot(of: "k\(number)"), to: number % 3, telling: false) }
    for number in 0..<50 { client.push(request("INCR", "k\(number)")) }
    cluster.settle()
    #expect(client.take() == (1...50).map { ":\($0)|" }.joined())
    #expect(cluster.redirections > 0)
  }

  @Test("waits for a key that its owner has to fetch first, and runs once")
  func fetched() {
    let cluster = FakeCluster(2)
    let client = cluster.connect(to: 0)
    _ = client.ask("SET a 5", "SET {a}b 1")
    let slot = cluster.slot(of: "a")
    cluster.moveLazily(slot, to: 1 - cluster.owner(of: "a"))
    for index in 0..<2 {
      #expect(
        cluster.connect(to: index).ask("INCR a", "SETNX {a}b 9", "EXISTS a {a}b {a}c")
          == (index == 0 ? ":6|:0|:2|" : ":7|:0|:2|"))
    }
  }

  @Test("is answered with an error that says what is known when nobody answers")
  func failures() {
    let cluster = FakeCluster(2)
    let owner = cluster.owner(of: "a")
    let client = cluster.connect(to: 1 - owner)
    let id = MemberID("n\(owner)")!
    let cases: [(OperationFailure, String)] = [
      (.noOwner(Slot(index: 7)), "-CLUSTERDOWN no live member serves slot 7 now; nothing was done, try again|"),
      (.overloaded(id), "-TRYAGAIN too much waits for member \(id) already; nothing was done, try again|"),
      (.timedOut(id, milliseconds: 2000), "-TIMEOUT member \(id) did not answer within 2000 ms|"),
      (
        .outcomeUnknown(id, milliseconds: 2000),
        "-UNKNOWN the outcome is unknown: member \(id) was sent this write and did not answer within 2000 ms|"
      ),
      (.refused(id, "no"), "-ERR member \(id) refused: no|"),
    ]
    for (failure, text) in cases {
      cluster.failure = { _ in failure }
      #expect(client.ask("SET a 1") == text)
    }
  }
}

@Suite("A connection with replies under way")
struct PendingReplyTests {
  private func pair() -> (FakeCluster, FakeClient, String) {
    let cluster = FakeCluster(2)
    return (cluster, cluster.connect(to: cluster.stranger(to: "a")), "a")
  }

  @Test("holds back what it has written since")
  func holdsBack() {
    let (cluster, client, _) = pair()
    client.push(request("PING") + request("GET", "a") + request("PING") + request("ECHO", "x"))
    #expect(client.take() == "+PONG|")
    client.push(request("PING"))
    #expect(client.take() == "")
    cluster.settle()
    #expect(client.take() == "$-1|+PONG|$1|x|+PONG|")
  }

  @Test("ends after the last reply that it is owed")
  func quit() {
    let (cluster, client, _) = pair()
    client.push(request("SET", "a", "1") + request("QUIT") + request("SET", "a", "2"))
    #expect(!client.isClosed)
    cluster.settle()
    #expect(client.take() == "+OK|+OK|")
    #expect(client.isClosed)
    let broken = cluster.connect(to: cluster.stranger(to: "a"))
    broken.push(request("GET", "a") + Array("*1\r\n#4\r\n".utf8))
    cluster.settle()
    #expect(broken.take() == "$1|1|-ERR Protocol error: expected '$', got '#'|")
    #expect(broken.isClosed)
  }

  @Test("may go away: late replies are dropped")
  func goesAway() {
    let (cluster, client, _) = pair()
    client.push(request("SET", "a", "1") + request("GET", "a"))
    client.close(.byPeer)
    cluster.settle()
    let engine = cluster.nodes[cluster.stranger(to: "a")].loops[0].engine!
    #expect(engine.forwarder.table.underWay == 0)
    #expect(cluster.connect(to: 0).ask("GET a") == "$1|1|")
  }

  @Test("is not answered where it wanted no reply")
  func silent() {
    let (cluster, client, _) = pair()
    #expect(client.ask("CLIENT REPLY SKIP", "SET a 1", "GET a") == "$1|1|")
    #expect(client.ask("CLIENT REPLY OFF", "SET a 2", "GET a", "PING") == "")
    #expect(client.ask("CLIENT REPLY ON", "GET a") == "+OK|$1|2|")
    client.push(request("GET", "a") + request("CLIENT", "REPLY", "SKIP") + request("PING") + request("ECHO", "x"))
    cluster.settle()
    #expect(client.take() == "$1|2|$1|x|")
  }

  @Test("reads no further when too much is under way, and goes on")
  func bounded() {
    let (cluster, client, _) = pair()
    for _ in 0..<5000 { client.push(request("INCR", "a")) }
    #expect(client.isSuspended)
    #expect(cluster.underWay.count <= Forwarder.operationsMost)
    cluster.settle()
    #expect(client.take() == (1...5000).map { ":\($0)|" }.joined())
    #expect(!client.isSuspended)
  }

  @Test("gets messages of others behind its replies, and RESET and CLIENT LIST in their place")
  func others() {
    let (cluster, client, _) = pair()
    let other = cluster.connect(to: cluster.stranger(to: "a"))
    _ = client.ask("HELLO 3", "SUBSCRIBE c")
    client.push(request("GET", "a"))
    other.push(request("PUBLISH", "c", "m"))
    #expect(client.take() == "")
    cluster.settle()
    #expect(other.take() == ":1|")
    #expect(client.take() == "_|>3|$7|message|$1|c|$1|m|")
    client.push(request("GET", "a") + request("RESET") + request("GET", "a") + request("CLIENT", "LIST"))
    cluster.settle()
    let replies = client.take()
    #expect(replies.hasPrefix("_|+RESET|$-1|$"))
    #expect(replies.contains("cmd=client|list"))
  }

  @Test("owns nothing more once they have come")
  func memory() {
    let (cluster, client, _) = pair()
    let gauge = cluster.nodes[cluster.stranger(to: "a")].node.store.configuration.outside
    _ = client.ask("GET a")
    let before = gauge.bytes
    for _ in 0..<500 { client.push(request("GET", "a") + request("ECHO", String(repeating: "x", count: 1000))) }
    #expect(gauge.bytes > before + 100_000)
    cluster.settle()
    #expect(gauge.bytes <= before + 512 * MemoryLayout<AwaitedReply>.stride * 4)
  }
}

@Suite("A command with keys of several members")
struct ScatterTests {
  @Test("is divided, and answered as one")
  func divided() {
    let cluster = FakeCluster(3)
    let client = cluster.connect(to: 1)
    let keys = (0..<20).map { "k\($0)" }
    #expect(client.ask("MSET " + keys.map { "\($0) v\($0)" }.joined(separator: " ")) == "+OK|")
    let all = keys.joined(separator: " ")
    #expect(client.ask("MGET \(all) none") == "*21|" + keys.map { "$\($0.count + 1)|v\($0)|" }.joined() + "$-1|")
    #expect(client.ask("EXISTS k0 \(all) none", "TOUCH \(all)") == ":21|:20|")
    #expect(client.ask("DEL k1 k2 k3 none", "UNLINK \(all)") == ":3|:17|")
    #expect(client.ask("MSET a 1 b") == "-ERR wrong number of arguments for 'mset' command|")
  }

  @Test("says which of its keys failed and why, and never OK for a part")
  func partial() {
    let cluster = FakeCluster(3)
    let keys = (0..<9).map { "k\($0)" }
    let client = cluster.connect(to: 0)
    cluster.failure = { $0.slot.index >= 10_923 ? .timedOut(MemberID("n2")!, milliseconds: 2000) : nil }
    let reply = client.ask("MSET " + keys.map { "\($0) v" }.joined(separator: " "))
    let lost = keys.filter { cluster.owner(of: $0) == 2 }
    #expect(!lost.isEmpty)
    let reasons = lost.map { "\($0) (member n2 did not answer within 2000 ms)" }.joined(separator: ", ")
    #expect(reply == "-PARTIAL \(lost.count) of 9 keys failed: \(reasons)|")
    #expect(client.ask("MGET " + keys.joined(separator: " ")).hasPrefix("-PARTIAL"))
  }

  @Test("is refused where it needs one owner for keys of different slots")
  func crossSlot() {
    let cluster = FakeCluster(2)
    let client = cluster.connect(to: 0)
    let error = "-CROSSSLOT Keys in request don't hash to the same slot|"
    #expect(client.ask("MSETNX a 1 b 2", "RENAME a b", "BITOP NOT a b") == error + error + error)
    #expect(client.ask("MSETNX {x}a 1 {x}b 2", "RENAME {x}a {x}c", "GET {x}c") == ":1|+OK|$1|1|")
    #expect(FakeCluster(1).connect(to: 0).ask("MSET a 1 c 3", "RENAME a b", "MGET b c") == "+OK|+OK|*2|$1|1|$1|3|")
  }

  @Test("is divided anew where slots have moved meanwhile")
  func movedParts() {
    let cluster = FakeCluster(3)
    let client = cluster.connect(to: 0)
    let keys = (0..<30).map { "k\($0)" }
    _ = client.ask("MSET " + keys.map { "\($0) v" }.joined(separator: " "))
    for (number, key) in keys.enumerated() { cluster.move(cluster.slot(of: key), to: number % 3, telling: false) }
    #expect(client.ask("EXISTS " + keys.joined(separator: " ")) == ":30|")
    #expect(cluster.redirections > 0)
  }
}
