import NexusStore
import Testing

@testable import NexusRedisDoor

/// A store reserves gigabytes of addresses, of which a sanitizer has few.
@Suite("What a test has used is let go")
struct LettingGoTests {
  @Test("a node with everything that clients can leave behind: nothing of it outlives its last holder")
  func node() {
    weak var store: Store?
    weak var door: RedisDoor?
    weak var loop: FakeLoop?
    do {
      let clients = {
        let node = FakeNode(loops: 2)
        (store, door, loop) = (node.node.store, node.door, node.loops[1])
        return (0..<8).map { node.connect(loop: $0 % 2) }
      }()
      clients[0].say("WATCH k", "MULTI", "SET k 1")
      clients[1].say("SUBSCRIBE a", "PSUBSCRIBE b*", "SSUBSCRIBE c")
      clients[2].say("HELLO 3", "CLIENT SETNAME three")
      clients[3].say("MONITOR")
      clients[4].push(request("SET", "unfinished", "value").dropLast(4))
      clients[5].say("DEBUG SLEEP 1000")
      // Posted to the other loop, and never read there.
      clients[6].push(Array("CLIENT LIST\r\n".utf8))
      clients[7].say("CLIENT PAUSE 100000 ALL", "SET held back")
      #expect(store?.count(in: 0) == 0)
      #expect(!clients[3].isClosed)
    }
    #expect(store == nil)
    #expect(door == nil)
    #expect(loop == nil)
  }

  @Test("a cluster, with an operation on its way")
  func cluster() {
    weak var store: Store?
    weak var door: RedisDoor?
    do {
      let cluster = FakeCluster(3, loops: 2)
      (store, door) = (cluster.nodes[2].node.store, cluster.nodes[2].door)
      let client = cluster.connect(to: cluster.stranger(to: "k"), loop: 1)
      client.say("SET k 1")
      client.push(request("GET", "k"))
      #expect(!cluster.underWay.isEmpty)
    }
    #expect(store == nil)
    #expect(door == nil)
  }

  @Test("a console")
  func console() {
    weak var store: Store?
    do {
      let console = CommandConsole()
      store = console.node.store
      #expect(console.type("SET a 1") == "+OK")
    }
    #expect(store == nil)
  }
}
