import NexusModel
import Testing

@testable import NexusRedisDoor

@Suite("A transaction")
struct TransactionTests {
  @Test("runs what was queued, as one, and answers one array")
  func runs() {
    let client = FakeNode().connect()
    #expect(
      client.say("MULTI", "SET a 1", "INCR a", "GET a", "EXEC") == "+OK|+QUEUED|+QUEUED|+QUEUED|*3|+OK|:2|$1|2|")
    #expect(client.say("EXEC") == "-ERR EXEC without MULTI|")
  }

  @Test("runs on when a command in it fails")
  func failureInside() {
    let client = FakeNode().connect()
    #expect(
      client.say("SET a x", "MULTI", "INCR a", "SET b 1", "EXEC", "GET b")
        == "+OK|+OK|+QUEUED|+QUEUED|*2|-ERR value is not an integer or out of range|+OK|$1|1|")
  }

  @Test("is given up when a command could not be queued")
  func abort() {
    let client = FakeNode().connect()
    #expect(
      client.say("MULTI", "SET a 1", "GET", "EXEC", "GET a")
        == "+OK|+QUEUED|-ERR wrong number of arguments for 'get' command|"
        + "-EXECABORT Transaction discarded because of previous errors.|$-1|")
    #expect(
      client.say("MULTI", "EXEC now", "EXEC")
        == "+OK|-EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command|"
        + "-ERR EXEC without MULTI|")
  }

  @Test("can be discarded, and cannot be nested")
  func discard() {
    let client = FakeNode().connect()
    #expect(
      client.say("MULTI", "MULTI", "SET a 1", "DISCARD", "GET a", "DISCARD")
        == "+OK|-ERR MULTI calls can not be nested|+QUEUED|+OK|$-1|-ERR DISCARD without MULTI|")
  }

  @Test("may change the database halfway")
  func selectInside() {
    let client = FakeNode().connect()
    #expect(
      client.say("MULTI", "SET a 0", "SELECT 2", "SET a 2", "EXEC", "GET a", "SELECT 0", "GET a")
        == "+OK|+QUEUED|+QUEUED|+QUEUED|*3|+OK|+OK|+OK|$1|2|+OK|$1|0|")
  }

  @Test("gives the memory of its queue back")
  func memory() {
    let node = FakeNode()
    let client = node.connect()
    let gauge = node.node.store.configuration.outside
    let before = gauge.bytes
    _ = client.say("MULTI", "SET a " + String(repeating: "x", count: 10_000))
    #expect(gauge.bytes > before + 10_000)
    _ = client.say("EXEC")
    #expect(gauge.bytes == before)
    _ = client.say("MULTI", "SET a b")
    client.close(.byPeer)
    #expect(gauge.bytes == before)
  }
}

@Suite("WATCH")
struct WatchTests {
  @Test("lets EXEC run while nobody touched the key, and not after somebody on another loop did")
  func touched() {
    let node = FakeNode(loops: 2)
    let client = node.connect(loop: 0)
    let other = node.connect(loop: 1)
    #expect(client.say("WATCH a", "MULTI", "SET a 1", "EXEC") == "+OK|+OK|+QUEUED|*1|+OK|")
    _ = client.say("WATCH a")
    _ = other.say("SET b 1")
    #expect(client.say("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|*1|$1|1|")
    _ = client.say("WATCH a")
    _ = other.say("SET a 2")
    #expect(client.say("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|*-1|")
    #expect(client.say("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|*1|$1|2|", "EXEC ends the watching")
    #expect(node.door.watches.count == 0)
  }

  @Test("sees the client's own change before MULTI")
  func ownChange() {
    let client = FakeNode().connect()
    #expect(client.say("WATCH a", "SET a 1", "MULTI", "EXEC") == "+OK|+OK|+OK|*-1|")
  }

  @Test("is forgotten by UNWATCH and DISCARD and with the connection")
  func unwatch() {
    let node = FakeNode()
    let client = node.connect()
    #expect(client.say("WATCH a b", "UNWATCH", "SET a 1", "MULTI", "EXEC") == "+OK|+OK|+OK|+OK|*0|")
    #expect(client.say("WATCH a", "MULTI", "DISCARD", "SET a 2", "MULTI", "EXEC") == "+OK|+OK|+OK|+OK|+OK|*0|")
    _ = client.say("WATCH a")
    client.close(.byPeer)
    #expect(node.door.watches.count == 0)
  }

  @Test("cannot be called inside a transaction, which goes on")
  func insideMulti() {
    let client = FakeNode().connect()
    #expect(client.say("MULTI", "WATCH a", "EXEC") == "+OK|-ERR WATCH inside MULTI is not allowed|*0|")
  }

  @Test("sees a key expire")
  func expiry() {
    let node = FakeNode()
    let client = node.connect()
    _ = client.say("SET a 1 PX 100", "WATCH a")
    node.advance(milliseconds: 200)
    #expect(client.say("MULTI", "PING", "EXEC") == "+OK|+QUEUED|*-1|")
    // What had expired before is simply not there.
    #expect(client.say("WATCH a", "MULTI", "PING", "EXEC") == "+OK|+OK|+QUEUED|*1|+PONG|")
  }

  @Test("sees a flush only where the key was there")
  func flush() {
    let node = FakeNode()
    let client = node.connect()
    let other = node.connect()
    _ = client.say("WATCH a")
    _ = other.say("FLUSHALL")
    #expect(client.say("MULTI", "EXEC") == "+OK|*0|")
    _ = client.say("SET a 1", "WATCH a")
    _ = other.say("FLUSHDB")
    #expect(client.say("MULTI", "EXEC") == "+OK|*-1|")
  }

  @Test("sees databases exchanged, and goes on in the database of the same number")
  func swap() {
    let node = FakeNode()
    let client = node.connect()
    let other = node.connect()
    _ = other.say("SELECT 1", "SET a one")
    _ = client.say("WATCH a")
    _ = other.say("SWAPDB 0 1")
    #expect(client.say("MULTI", "GET a", "EXEC") == "+OK|+QUEUED|*-1|")
    #expect(client.say("GET a") == "$3|one|")
    _ = client.say("WATCH nothing")
    _ = other.say("SWAPDB 0 1", "SELECT 0", "SET nothing 1")
    #expect(client.say("MULTI", "EXEC") == "+OK|*-1|")
    #expect(client.say("UNWATCH") == "+OK|")
    #expect(node.door.watches.count == 0)
  }
}
