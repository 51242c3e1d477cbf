import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A write whose namespace asks for copies")
struct CopiesTests {
  /// Nodes whose database 0 asks for a quorum.
  private func cluster(_ count: Int, _ level: Acknowledgement = .quorum) -> FakeCluster {
    let cluster = FakeCluster(count, isReplicated: true)
    for node in cluster.nodes {
      var settings = node.node.store.settings(of: 0)!
      settings.acknowledgement = level
      node.node.store.configure(0, settings, as: 9)
    }
    return cluster
  }

  private static let shortfall =
    "-NOREPLICAS the write is done on its owner, and confirmed by 1 of 3 copies where 2 were asked for: it may or may "
    + "not survive the loss of a member|"

  @Test("is answered once there are so many, and so is what comes behind it")
  func held() {
    let cluster = cluster(1)
    let client = cluster.connect(to: 0)
    #expect(client.ask("GET a", "SET a 1", "GET a", "APPEND a 2", "PING") == "$-1|")
    #expect(cluster.replicator(0).waiting.map(\.level) == [.quorum, .quorum])
    cluster.replicator(0).end()
    #expect(client.take() == "+OK|$1|1|:2|+PONG|")
    #expect(client.ask("GET a") == "$2|12|")
    let ask = cluster.connect(to: 0)
    #expect(ask.ask("SELECT 1", "SET a 1") == "+OK|+OK|", "another database asks for none")
  }

  @Test("is done all the same where it gets too few, and its client is told")
  func tooFew() {
    let cluster = cluster(1)
    let client = cluster.connect(to: 0)
    #expect(client.ask("SET a 1", "GET a", "INCR a") == "")
    cluster.replicator(0).end(confirmed: 1)
    #expect(client.take() == Self.shortfall + "$1|1|" + Self.shortfall)
    #expect(client.ask("GET a") == "$1|2|")
  }

  @Test("is refused before anything is done where too few members live")
  func refused() {
    let cluster = cluster(2)
    for index in 0..<2 { cluster.replicator(index).live = 1 }
    for node in 0..<2 {
      let client = cluster.connect(to: node)
      let refusal = "-NOREPLICAS Not enough good replicas to write.|"
      #expect(client.ask("SET a 1", "INCR a", "GET a") == refusal + refusal + "$-1|")
      #expect(
        client.ask("MULTI", "SET a 1", "GET a", "EXEC")
          == "+OK|+QUEUED|+QUEUED|-EXECABORT Transaction discarded because of: NOREPLICAS Not enough good replicas to "
          + "write.|")
      #expect(client.ask("GET a") == "$-1|")
    }
  }

  @Test("waits on its owner, whoever was asked")
  func distant() {
    let cluster = cluster(2)
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    #expect(client.ask("SET a 1", "GET a") == "")
    let owner = cluster.replicator(cluster.owner(of: "a"))
    #expect(owner.waiting.count == 1)
    owner.end()
    #expect(cluster.settled(client) == "+OK|$1|1|")
    #expect(client.ask("INCR a") == "")
    owner.end(confirmed: 1)
    #expect(cluster.settled(client) == Self.shortfall)
    #expect(client.ask("GET a") == "$1|2|")
  }

  @Test("may be a whole transaction")
  func transaction() {
    for isOwner in [true, false] {
      let cluster = cluster(2)
      let owner = cluster.owner(of: "a")
      let client = cluster.connect(to: isOwner ? owner : 1 - owner)
      #expect(client.ask("MULTI", "SET a 1", "INCR a", "EXEC", "PING") == "+OK|+QUEUED|+QUEUED|")
      #expect(cluster.replicator(owner).waiting.count == 1)
      cluster.replicator(owner).end()
      #expect(cluster.settled(client) == "*2|+OK|:2|+PONG|")
      #expect(client.ask("MULTI", "INCR a", "EXEC") == "+OK|+QUEUED|")
      cluster.replicator(owner).end(confirmed: 1)
      #expect(cluster.settled(client) == Self.shortfall)
      #expect(client.ask("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|*1|$1|3|")
    }
  }

  @Test("of several owners is one error that names the keys without copies")
  func scattered() {
    let cluster = cluster(2)
    let names = (0..<20).map { "k\($0)" }
    let (here, there) = (names.first { cluster.owner(of: $0) == 0 }!, names.first { cluster.owner(of: $0) == 1 }!)
    let client = cluster.connect(to: 0)
    #expect(client.ask("MSET \(here) 1 \(there) 2", "MGET \(here) \(there)") == "")
    for index in 0..<2 { cluster.replicator(index).end() }
    #expect(cluster.settled(client) == "+OK|*2|$1|1|$1|2|")
    #expect(client.ask("DEL \(here) \(there)") == "")
    cluster.replicator(1).end()
    cluster.replicator(0).end(confirmed: 1)
    let reply = cluster.settled(client)
    #expect(reply.hasPrefix("-PARTIAL 1 of 2 keys failed: \(here) (the write is done on its owner"), "\(reply)")
  }

  @Test("holds nothing back where no reply is wanted, and nobody where its client is gone")
  func nobodyWaits() {
    let cluster = cluster(1)
    let client = cluster.connect(to: 0)
    #expect(client.ask("CLIENT REPLY OFF", "SET a 1", "INCR a", "CLIENT REPLY ON", "GET a") == "+OK|$1|2|")
    #expect(cluster.replicator(0).waiting.isEmpty)
    _ = client.ask("SET b 1", "GET b")
    client.close(.byPeer)
    cluster.replicator(0).end()
    #expect(cluster.nodes[0].loops[0].engine.forwarder.table.underWay == 0)
    let closing = cluster.connect(to: 0)
    #expect(closing.ask("SET b 2", "QUIT") == "" && !closing.isClosed)
    cluster.replicator(0).end()
    #expect(closing.take() == "+OK|+OK|" && closing.isClosed)
  }

  @Test("keeps a client from having any number of them under way")
  func bounded() {
    let cluster = cluster(1)
    let client = cluster.connect(to: 0)
    var requests: [UInt8] = []
    for _ in 0..<3000 { requests += request("SET", "a", "1") }
    client.push(requests)
    #expect(client.isSuspended)
    #expect(cluster.replicator(0).waiting.count < 1024 + Engine.batchLimit)
    var replies = 0
    for _ in 0..<10 {
      cluster.replicator(0).end()
      replies += client.take().split(separator: "|").count
    }
    #expect(replies == 3000)
  }

  @Test("WAIT says how many have what this connection has written, the fewest of all who executed it")
  func wait() {
    let cluster = cluster(3, .one)
    let owner = cluster.owner(of: "a")
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    #expect(client.ask("WAIT 1 10", "PING") == "")
    let here = cluster.replicator(cluster.stranger(to: "a"))
    #expect(here.counts.map(\.record.isEmpty) == [true])
    here.end()
    #expect(cluster.settled(client) == ":2|+PONG|")
    #expect(client.ask("SET a 1", "WAIT 2 100") == "+OK|")
    #expect(here.counts.isEmpty, "nothing was written here")
    #expect(cluster.replicator(owner).counts.map(\.enough) == [2])
    cluster.replicator(owner).copies = 1
    cluster.replicator(owner).end()
    #expect(cluster.settled(client) == ":1|")
    // A connection to a member that was lost: what it had of these writes is known to nobody.
    cluster.losses += 1
    #expect(client.ask("WAIT 1 100") == ":0|")
    #expect(client.ask("SET a 2", "WAIT 1 100") == "+OK|")
    cluster.replicator(owner).end()
    #expect(cluster.settled(client) == ":1|")
    #expect(client.ask("WAIT 1 -1") == "-ERR timeout is negative|")
  }

  @Test("replies that have come and have not left yet leave before anything else")
  func sameTurn() {
    let cluster = FakeCluster(2)
    let client = cluster.connect(to: cluster.stranger(to: "a"))
    client.push(request("SET", "a", "1"))
    cluster.answersWithoutEnd = true
    cluster.settle()
    #expect(client.take() == "")
    client.push(request("PING") + request("GET", "a"))
    cluster.answersWithoutEnd = false
    cluster.settle()
    #expect(client.take() == "+OK|+PONG|$1|1|")
  }
}
