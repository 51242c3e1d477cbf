import NexusModel
import Testing

@testable import NexusRedisDoor

@Suite("CLIENT")
struct ClientTests {
  @Test("LIST shows the clients of every loop, and the asker waits for them")
  func list() {
    let node = FakeNode(loops: 3)
    let client = node.connect(loop: 0)
    _ = node.connect(loop: 1).say("CLIENT SETNAME far")
    _ = node.connect(loop: 2).say("SUBSCRIBE a b")
    client.push(request("CLIENT", "LIST") + request("PING"))
    #expect(client.take() == "", "nothing before the other loops have answered")
    node.settle()
    let reply = client.take()
    #expect(reply.hasSuffix("|+PONG|"))
    #expect(reply.contains("id=2 addr=127.0.0.1:50001 laddr=127.0.0.1:6379 fd=9 name=far age=0 idle=0 flags=N "))
    #expect(reply.contains(" flags=P db=0 sub=2 psub=0 "))
    #expect(client.say("CLIENT LIST ID 3 1").split(separator: "\n").count == 3)
    #expect(client.say("CLIENT LIST TYPE pubsub").contains("id=3 "))
    #expect(client.say("CLIENT LIST TYPE what") == "-ERR Unknown client type 'what'|")
  }

  @Test("LIST works in a transaction, for which the clients are gathered beforehand")
  func listInTransaction() {
    let node = FakeNode(loops: 2)
    _ = node.connect(loop: 1).say("CLIENT SETNAME far")
    let client = node.connect(loop: 0)
    let reply = client.say("MULTI", "SET a 1", "CLIENT LIST", "EXEC", "GET a")
    #expect(reply.hasPrefix("+OK|+QUEUED|+QUEUED|*2|+OK|$"))
    #expect(reply.contains("name=far"))
    #expect(reply.hasSuffix("|$1|1|"))
  }

  @Test("KILL ends the connections that fit, on any loop")
  func kill() {
    let node = FakeNode(loops: 2)
    let client = node.connect(loop: 0)
    let second = node.connect(loop: 1)
    let third = node.connect(loop: 1)
    #expect(client.say("CLIENT KILL ID 2") == ":1|")
    #expect(second.isClosed)
    #expect(client.say("CLIENT KILL 127.0.0.1:50002") == "+OK|")
    #expect(third.isClosed)
    #expect(client.say("CLIENT KILL 127.0.0.1:50002") == "-ERR No such client|")
    #expect(client.say("CLIENT KILL TYPE normal") == ":0|", "not the asker")
    #expect(
      client.say("CLIENT KILL TYPE normal SKIPME no", "PING") == ":1|", "the reply is still sent, the rest is not read")
    #expect(client.isClosed)
  }

  @Test("PAUSE holds commands back, in their order, until its time is over")
  func pause() {
    let node = FakeNode(loops: 2)
    let client = node.connect(loop: 0)
    let other = node.connect(loop: 1)
    #expect(client.say("CLIENT PAUSE 100") == "+OK|")
    other.push(request("SET", "a", "1") + request("GET", "a"))
    #expect(other.take() == "")
    node.advance(milliseconds: 50)
    #expect(other.take() == "")
    node.advance(milliseconds: 60)
    #expect(other.take() == "+OK|$1|1|")
    #expect(node.door.obstacles.load(ordering: .relaxed) == 0)
  }

  @Test("PAUSE WRITE lets reads through, and UNPAUSE ends it")
  func pauseWrites() {
    let node = FakeNode()
    let client = node.connect()
    let other = node.connect()
    #expect(client.say("SET a 1", "CLIENT PAUSE 100000 WRITE", "GET a") == "+OK|+OK|$1|1|")
    other.push(request("GET", "a") + request("SET", "a", "2") + request("GET", "a"))
    #expect(other.take() == "$1|1|")
    #expect(client.say("CLIENT UNPAUSE") == "+OK|")
    #expect(other.take() == "+OK|$1|2|")
  }

  @Test("PAUSE never becomes shorter or weaker by another")
  func pauseTwice() {
    let node = FakeNode()
    let client = node.connect()
    let other = node.connect()
    _ = client.say("CLIENT PAUSE 100 WRITE", "CLIENT PAUSE 50 WRITE")
    other.push(request("SET", "a", "1"))
    node.advance(milliseconds: 70)
    #expect(other.take() == "")
    node.advance(milliseconds: 70)
    #expect(other.take() == "+OK|")
  }

  @Test("SETNAME, SETINFO and NO-TOUCH are shown by INFO")
  func info() {
    let client = FakeNode().connect()
    #expect(client.say("CLIENT SETNAME a\\ b", "CLIENT SETNAME app").hasSuffix("+OK|"))
    #expect(client.say("CLIENT SETINFO LIB-NAME redis-py", "CLIENT SETINFO lib-ver 5.0") == "+OK|+OK|")
    _ = client.say("CLIENT NO-TOUCH on", "CLIENT NO-EVICT on", "MULTI")
    #expect(client.say("DISCARD", "CLIENT INFO").contains(" name=app "))
    let info = client.say("CLIENT INFO")
    #expect(info.contains(" flags=eT "))
    #expect(info.contains(" cmd=client|info user=default redir=-1 resp=2 lib-name=redis-py lib-ver=5.0"))
  }
}
