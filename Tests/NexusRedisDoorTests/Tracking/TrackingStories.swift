import NexusModel
import NexusService
import Testing

@testable import NexusRedisDoor

@Suite("CLIENT TRACKING")
struct TrackingStories {
  /// A client of RESP3 that tracks.
  private func tracker(_ node: FakeNode, loop: Int = 0, _ options: String = "") -> FakeClient {
    let client = node.connect(loop: loop)
    _ = client.say("HELLO 3")
    #expect(client.say("CLIENT TRACKING ON \(options)") == "+OK|")
    return client
  }

  private func invalidate(_ keys: String...) -> String {
    ">2|$10|invalidate|*\(keys.count)|" + keys.map { "$\($0.utf8.count)|\($0)|" }.joined()
  }

  @Test("tells of the next change of what was read, once, whichever loop the writer is on")
  func once() {
    let node = FakeNode(loops: 3)
    let client = tracker(node, loop: 0)
    let writers = (0..<3).map { node.connect(loop: $0) }
    for writer in writers {
      #expect(client.say("GET k", "STRLEN k").hasPrefix(writer.connection == writers[0].connection ? "_|" : "$1|"))
      #expect(writer.say("SET k 1") == "+OK|")
      #expect(client.take() == invalidate("k"))
      #expect(writer.say("SET k 2") == "+OK|")
      #expect(client.take() == "", "it has not read the key again")
    }
    #expect(node.node.interests.keyCount == 0)
  }

  @Test("a push never overtakes the reply to the reading that it is about")
  func order() {
    let node = FakeNode()
    let client = tracker(node)
    client.push(request("SET", "k", "1") + request("GET", "k") + request("SET", "k", "2") + request("GET", "k"))
    node.settle()
    #expect(client.take() == "+OK|$1|1|+OK|" + invalidate("k") + "$1|2|")
    #expect(client.say("MULTI", "GET k", "SET k 3", "GET k", "EXEC").hasSuffix("*3|$1|2|+OK|$1|3|" + invalidate("k")))
  }

  @Test("what anything writes is told: other doors, expiry, deletes of many, a counter")
  func writers() {
    let node = FakeNode(loops: 2)
    let client = tracker(node)
    let other = node.connect(loop: 1)
    _ = other.say("MSET a 1 b 1 c 1", "SET d 1 PX 50")
    #expect(client.say("MGET a b c", "GET d") == "*3|$1|1|$1|1|$1|1|$1|1|")
    #expect(other.say("DEL a b", "INCR c", "EXPIRE c 100") == ":2|:2|:1|")
    #expect(client.take() == invalidate("a") + invalidate("b") + invalidate("c"))
    node.advance(milliseconds: 100)
    #expect(other.say("GET d") == "$-1|")
    #expect(client.take() == invalidate("d"))
    _ = client.say("GET x")
    "x".withBytes { bytes in
      let store = node.node.store
      _ = store.set(store.key(bytes, in: 0), to: bytes, .none, touch: false, as: 9, now: 1_000_000)
    }
    node.settle()
    #expect(client.take() == invalidate("x"), "written by a thread that is no loop's")
  }

  @Test("FLUSHDB, FLUSHALL and SWAPDB say once that everything may have changed")
  func flushing() {
    let node = FakeNode(loops: 2)
    let client = tracker(node, loop: 1)
    let broad = tracker(node, loop: 1, "BCAST PREFIX q")
    let other = node.connect(loop: 0)
    _ = client.say("GET k")
    for command in ["FLUSHDB", "FLUSHALL", "SWAPDB 0 1"] {
      #expect(other.say(command) == "+OK|")
      #expect(client.take() == ">2|$10|invalidate|_|", "\(command)")
      #expect(broad.take() == ">2|$10|invalidate|_|", "\(command)")
    }
    #expect(other.say("SET k 1") == "+OK|")
    #expect(client.take() == "")
    #expect(client.say("FLUSHALL") == "+OK|>2|$10|invalidate|_|")
  }

  @Test("a key of another database is another key")
  func databases() {
    let node = FakeNode()
    let client = tracker(node)
    let other = node.connect()
    _ = client.say("GET k", "SELECT 3", "GET l")
    _ = other.say("SELECT 3", "SET k 1")
    #expect(client.take() == "")
    _ = other.say("SELECT 0", "SET k 1")
    #expect(client.take() == invalidate("k"))
    _ = other.say("SET l 1", "SELECT 3", "SET l 1")
    #expect(client.take() == invalidate("l"))
  }

  @Test("what happens in a namespace is told to those who have chosen it, and to nobody else")
  func namespaces() throws {
    let node = FakeNode()
    for name in ["red", "blue"] {
      let number = NamespaceName.number(of: name)
      node.node.store.configure(number, NamespaceSettings(name: name), as: 1)
    }
    let red = tracker(node, "BCAST")
    _ = red.say("SELECT red")
    let blue = tracker(node)
    _ = blue.say("SELECT blue", "GET k", "SELECT red", "GET k")
    let plain = tracker(node, "BCAST")
    let other = node.connect()
    _ = other.say("SELECT blue", "SET secret 1", "SET k 1")
    #expect(red.take() == "")
    #expect(blue.take() == invalidate("k"))
    #expect(plain.take() == "")
    _ = other.say("SELECT red", "SET k 1")
    #expect(red.take() == invalidate("k"))
    #expect(blue.take() == invalidate("k"))
    #expect(plain.take() == "")
    _ = other.say("SELECT blue", "FLUSHDB")
    #expect(red.take() == "")
    #expect(blue.take() == ">2|$10|invalidate|_|", "it may still have what it read there")
  }

  @Test("OPTIN remembers what is read behind CACHING YES only, OPTOUT all but that behind CACHING NO")
  func choosing() {
    let node = FakeNode()
    let other = node.connect()
    let optIn = tracker(node, "OPTIN")
    _ = optIn.say("GET a", "CLIENT CACHING YES", "CLIENT ID", "GET b", "GET c")
    _ = other.say("MSET a 1 b 1 c 1")
    #expect(optIn.take() == invalidate("b"))
    _ = optIn.say("CLIENT CACHING YES", "MULTI", "GET a", "GET b", "EXEC", "GET c")
    _ = other.say("MSET a 1 b 1 c 1")
    #expect(optIn.take() == invalidate("a") + invalidate("b"))
    #expect(
      optIn.say("CLIENT CACHING NO")
        == "-ERR CLIENT CACHING NO is only valid when tracking is enabled in OPTOUT mode.|")
    _ = optIn.say("CLIENT TRACKING OFF")

    let optOut = tracker(node, "OPTOUT")
    _ = optOut.say("GET a", "CLIENT CACHING NO", "GET b", "GET c")
    _ = other.say("MSET a 1 b 1 c 1")
    #expect(optOut.take() == invalidate("a") + invalidate("c"))
  }

  @Test("NOLOOP keeps a client's own changes from it, and no one else's")
  func noLoop() {
    let node = FakeNode(loops: 2)
    let other = node.connect(loop: 1)
    let client = tracker(node, "NOLOOP")
    #expect(client.say("GET k", "SET k 1", "GET k", "MULTI", "SET k 2", "EXEC").hasSuffix("*1|+OK|"))
    _ = client.say("GET k")
    _ = other.say("SET k 3")
    #expect(client.take() == invalidate("k"))
    let broad = tracker(node, loop: 1, "BCAST NOLOOP")
    #expect(broad.say("MSET a 1 b 1") == "+OK|")
    _ = other.say("SET a 1")
    #expect(broad.take() == invalidate("a"))
  }

  @Test("BCAST tells of every key with a prefix, each prefix's together at the end of the turn")
  func broadcasting() {
    let node = FakeNode(loops: 2)
    let client = tracker(node, loop: 1, "BCAST PREFIX user: PREFIX item:")
    let other = node.connect(loop: 0)
    other.push(request("MSET", "user:2", "1", "item:1", "1", "user:1", "1", "other", "1") + request("DEL", "user:2"))
    node.settle()
    #expect(client.take() == invalidate("item:1") + invalidate("user:1", "user:2"))
    _ = client.say("GET other")
    _ = other.say("SET other 2")
    #expect(client.take() == "")
    #expect(client.say("SET user:9 1") == "+OK|" + invalidate("user:9"))
    client.close(.byPeer)
    #expect(node.node.interests.prefixCount == 0)
    #expect(node.node.interests.clientCount == 0)
  }

  @Test("a client of RESP2 has another one hear in its stead, on whatever loop that is")
  func redirecting() {
    let node = FakeNode(loops: 2)
    let other = node.connect(loop: 0)
    let near = node.connect(loop: 0)
    let far = node.connect(loop: 1)
    let message = "*3|$7|message|$20|__redis__:invalidate|*1|$1|k|"
    for (listener, id) in [(near, 2), (far, 3)] {
      _ = listener.say("SUBSCRIBE __redis__:invalidate")
      let client = node.connect(loop: 0)
      client.push(request("CLIENT", "TRACKING", "ON", "REDIRECT", "\(id)") + request("GET", "k"))
      node.settle()
      #expect(client.take().hasPrefix("+OK|"))
      #expect(client.say("CLIENT GETREDIR") == ":\(id)|")
      _ = other.say("SET k 1")
      #expect(listener.take() == message)
      _ = other.say("FLUSHALL")
      #expect(listener.take() == "*3|$7|message|$20|__redis__:invalidate|$-1|")
      client.close(.byPeer)
    }
    let client = node.connect(loop: 0)
    let unknown = "-ERR The client ID you want redirect to does not exist|"
    #expect(client.say("CLIENT TRACKING ON REDIRECT 99") == unknown)
    #expect(client.say("MULTI", "CLIENT TRACKING ON REDIRECT 3", "EXEC").hasSuffix("*1|+OK|"))
    #expect(client.say("MULTI", "CLIENT TRACKING ON REDIRECT 99", "EXEC").hasSuffix("*1|" + unknown))
  }

  @Test("a client whose listener has gone is told that it hears nothing any more")
  func brokenRedirection() {
    let node = FakeNode(loops: 2)
    let other = node.connect(loop: 0)
    for loop in 0..<2 {
      let listener = node.connect(loop: loop)
      let client = tracker(node, "REDIRECT \(loop == 0 ? 2 : 4)")
      _ = client.say("GET k")
      listener.close(.byPeer)
      _ = other.say("SET k 1")
      #expect(client.take() == ">2|$21|tracking-redir-broken|:\(loop == 0 ? 2 : 4)|")
      #expect(client.say("CLIENT TRACKINGINFO").contains("broken_redirect"))
      #expect(client.say("CLIENT INFO").contains(" flags=tR "))
      #expect(client.say("CLIENT TRACKING ON", "CLIENT INFO").contains(" flags=t "))
    }
  }

  @Test("ends with OFF, RESET and the connection")
  func ending() {
    let node = FakeNode()
    let other = node.connect()
    let client = tracker(node)
    for command in ["CLIENT TRACKING OFF", "RESET"] {
      _ = client.say("HELLO 3", "CLIENT TRACKING ON", "GET k", command)
      _ = other.say("SET k 1")
      #expect(client.take() == "", "\(command)")
      #expect(node.node.interests.clientCount == 0)
    }
    _ = client.say("HELLO 3", "CLIENT TRACKING ON", "GET k")
    client.close(.byPeer)
    _ = other.say("SET k 1")
    #expect(node.node.interests.keyCount == 0)
    #expect(node.node.interests.clientCount == 0)
  }

  @Test("past tracking-table-max-keys some keys are told early")
  func limit() {
    let node = FakeNode()
    let client = tracker(node)
    #expect(client.say("CONFIG SET tracking-table-max-keys 10") == "+OK|")
    for number in 0..<50 { _ = client.say("GET key:\(number)") }
    #expect(node.node.interests.keyCount == 10)
    let other = node.connect()
    let figures = "tracking_total_keys:10|tracking_total_items:10|tracking_total_prefixes:0"
    #expect(other.say("INFO stats").contains(figures))
    #expect(other.say("INFO clients").contains("tracking_clients:1"))
  }

  @Test("replies that are turned off do not turn pushes off")
  func silence() {
    let node = FakeNode()
    let client = tracker(node)
    let replies = client.say("GET z", "CLIENT REPLY OFF", "SET z 1", "GET z", "SET z 1")
    #expect(replies == "_|" + invalidate("z") + invalidate("z"))
  }
}

extension String {
  fileprivate func withBytes(_ body: (UnsafeRawBufferPointer) -> Void) { Array(utf8).withUnsafeBytes(body) }
}
