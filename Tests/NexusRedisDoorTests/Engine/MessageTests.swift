import NexusModel
import Testing

@testable import NexusRedisDoor

@Suite("Messages")
struct MessageTests {
  @Test("reach the subscribers of every loop, and PUBLISH counts them")
  func acrossLoops() {
    let node = FakeNode(loops: 2)
    let near = node.connect(loop: 0)
    let far = node.connect(loop: 1)
    let sender = node.connect(loop: 0)
    #expect(near.say("SUBSCRIBE news") == "*3|$9|subscribe|$4|news|:1|")
    #expect(far.say("PSUBSCRIBE n?ws *") == "*3|$10|psubscribe|$4|n?ws|:1|*3|$10|psubscribe|$1|*|:2|")
    #expect(sender.say("PUBLISH news hi") == ":3|")
    #expect(near.take() == "*3|$7|message|$4|news|$2|hi|")
    let got = far.take()
    #expect(got.contains("*4|$8|pmessage|$4|n?ws|$4|news|$2|hi|"))
    #expect(got.contains("*4|$8|pmessage|$1|*|$4|news|$2|hi|"))
    #expect(sender.say("PUBSUB NUMSUB news other", "PUBSUB NUMPAT") == "*4|$4|news|:1|$5|other|:0|:2|")
    #expect(sender.say("PUBSUB CHANNELS n*", "PUBSUB CHANNELS x*") == "*1|$4|news|*0|")
  }

  @Test("stop with the subscription and with the connection")
  func leaving() {
    let node = FakeNode(loops: 2)
    let client = node.connect(loop: 1)
    let sender = node.connect(loop: 0)
    _ = client.say("SUBSCRIBE a")
    #expect(client.say("UNSUBSCRIBE a") == "*3|$11|unsubscribe|$1|a|:0|")
    #expect(client.say("UNSUBSCRIBE") == "*3|$11|unsubscribe|$-1|:0|")
    #expect(sender.say("PUBLISH a m") == ":0|")
    _ = client.say("SUBSCRIBE a", "PSUBSCRIBE b*", "SSUBSCRIBE c")
    client.close(.byPeer)
    #expect(sender.say("PUBLISH a m", "PUBLISH bb m", "SPUBLISH c m") == ":0|:0|:0|")
    #expect(node.door.channels.names(.channel).isEmpty)
  }

  @Test("make a RESP2 connection hear only, a RESP3 connection goes on as before")
  func restrictions() {
    let node = FakeNode()
    let old = node.connect()
    _ = old.say("SUBSCRIBE a")
    #expect(
      old.say("GET x")
        == "-ERR Can't execute 'get': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in "
        + "this context|")
    #expect(old.say("PING", "PING x") == "*2|$4|pong|$0||*2|$4|pong|$1|x|")
    let new = node.connect()
    _ = new.say("HELLO 3")
    #expect(new.say("SUBSCRIBE a") == ">3|$9|subscribe|$1|a|:1|")
    #expect(new.say("GET x", "PING") == "_|+PONG|")
    #expect(new.say("PUBLISH a m") == ">3|$7|message|$1|a|$1|m|:2|", "its own message comes before the reply")
  }

  @Test("of shard channels are a world of their own")
  func shards() {
    let node = FakeNode()
    let client = node.connect()
    let sender = node.connect()
    #expect(client.say("SSUBSCRIBE s") == "*3|$10|ssubscribe|$1|s|:1|")
    #expect(sender.say("PUBLISH s m", "SPUBLISH s m") == ":0|:1|")
    #expect(client.take() == "*3|$8|smessage|$1|s|$1|m|")
    #expect(sender.say("PUBSUB SHARDNUMSUB s", "PUBSUB SHARDCHANNELS") == "*2|$1|s|:1|*1|$1|s|")
  }

  @Test("may be published and subscribed to in a transaction")
  func transaction() {
    let client = FakeNode().connect()
    #expect(
      client.say("MULTI", "SUBSCRIBE x", "GET a", "EXEC") == "+OK|+QUEUED|+QUEUED|*2|*3|$9|subscribe|$1|x|:1|$-1|")
  }
}

@Suite("MONITOR")
struct MonitorTests {
  @Test("shows what clients of every loop send, plain GET and SET too")
  func acrossLoops() {
    let node = FakeNode(loops: 2, now: 1_700_000_000_123)
    let monitor = node.connect(loop: 0)
    let other = node.connect(loop: 1)
    #expect(monitor.say("MONITOR") == "+OK|")
    other.push(request("SET", "k", "a\"\n\u{1}") + request("GET", "k"))
    _ = other.say("SELECT 2", "AUTH x", "CLIENT LIST")
    #expect(
      monitor.take() == "+1700000000.123000 [0 127.0.0.1:50001] \"SET\" \"k\" \"a\\\"\\n\\x01\"|"
        + "+1700000000.123000 [0 127.0.0.1:50001] \"GET\" \"k\"|"
        + "+1700000000.123000 [2 127.0.0.1:50001] \"SELECT\" \"2\"|")
    #expect(monitor.say("GET k") == "-ERR Replica can't interact with the keyspace|")
    monitor.close(.byPeer)
    #expect(other.say("PING") == "+PONG|")
    #expect(node.door.obstacles.load(ordering: .relaxed) == 0)
  }
}
