import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

extension FakeNode {
  /// Makes a namespace as the setting would.
  func declare(_ name: String, _ change: (inout NamespaceSettings) -> Void = { _ in }) {
    var settings = NamespaceSettings(name: name)
    change(&settings)
    node.store.configure(NamespaceName.number(of: name), settings, as: 99)
  }
}

@Suite("A namespace")
struct NamespaceTests {
  @Test("is chosen by SELECT NAME, and keeps its keys apart from the databases' and other namespaces'")
  func select() {
    let node = FakeNode()
    node.declare("scores")
    node.declare("users")
    let client = node.connect()
    #expect(client.say("SET a zero", "SELECT scores", "GET a", "SET a s", "DBSIZE") == "+OK|+OK|$-1|+OK|:1|")
    #expect(
      client.say("SELECT users", "GET a", "SELECT 0", "GET a", "SELECT default", "GET a").hasPrefix("+OK|$-1|+OK|"))
    #expect(client.say("SELECT db3", "SET a three", "SELECT 3", "GET a") == "+OK|+OK|+OK|$5|three|")
    #expect(
      node.connect().say("SELECT scores", "GET a", "KEYS *", "SCAN 0", "RANDOMKEY")
        == "+OK|$1|s|*1|$1|a|*2|$1|0|*1|$1|a|$1|a|")
  }

  @Test("is seen by the requests behind its SELECT in a pipeline, and left by RESET")
  func pipeline() {
    let node = FakeNode()
    node.declare("scores")
    let client = node.connect()
    client.push(
      request("SET", "k", "zero") + request("SELECT", "scores") + request("GET", "k") + request("SET", "k", "s")
        + request("GET", "k") + request("SELECT", "0") + request("GET", "k") + request("SELECT", "scores")
        + request("RESET") + request("GET", "k"))
    #expect(client.take() == "+OK|+OK|$-1|+OK|$1|s|+OK|$4|zero|+OK|+RESET|$4|zero|")
  }

  @Test("is refused by name where there is none, with those that there are")
  func unknown() {
    let node = FakeNode()
    let client = node.connect()
    #expect(
      client.say("SELECT score")
        == "-ERR unknown namespace 'score': there are the databases 0 to 15, and no namespaces; declare one with the "
        + "setting namespace|")
    node.declare("scores")
    node.declare("users")
    #expect(
      client.say("SELECT score")
        == "-ERR unknown namespace 'score': there are the databases 0 to 15, and the namespaces scores, users|")
    #expect(client.say("SELECT db16").hasPrefix("-ERR unknown namespace 'db16'"))
    let long = String(repeating: "n", count: 65)
    #expect(
      client.say("SELECT \(long)") == "-ERR no namespace has such a name: a name has 1 to 64 of A-Z a-z 0-9 . _ -|")
    client.push(request("SELECT", "") + request("SELECT", "a b") + request("SELECT", "x\r\ny"))
    #expect(!client.take().contains("+OK"))
    #expect(client.say("SELECT 16", "SELECT -1") == "-ERR DB index is out of range|-ERR DB index is out of range|")
    #expect(client.say("SELECT 99999999999999999999") == "-ERR value is not an integer or out of range|")
    #expect(client.say("SET a 1", "SELECT 0", "GET a") == "+OK|+OK|$1|1|", "a SELECT that fails changes nothing")
    for index in 0..<30 { node.declare("n\(index)") }
    #expect(client.say("SELECT score").contains("and 32 namespaces, such as scores, users, n0, "))
  }

  @Test("is its own user: AUTH and HELLO choose it, with the node's password")
  func users() {
    let node = FakeNode(password: "secret")
    node.declare("scores")
    let client = node.connect()
    #expect(client.say("AUTH scores wrong", "GET a").hasPrefix("-WRONGPASS"))
    #expect(client.say("AUTH nobody secret").hasPrefix("-WRONGPASS"))
    #expect(client.say("AUTH scores secret", "SET a s", "ACL WHOAMI") == "+OK|+OK|$6|scores|")
    #expect(client.say("AUTH secret", "GET a") == "+OK|$1|s|", "nobody in particular: it stays")
    #expect(client.say("AUTH default secret", "GET a", "ACL WHOAMI") == "+OK|$-1|$7|default|")
    #expect(client.say("SELECT 3", "AUTH default secret", "SET a three", "SELECT 3", "GET a").hasSuffix("$5|three|"))
    let other = node.connect()
    #expect(other.say("HELLO 2 AUTH scores secret").contains("proto"))
    #expect(other.say("GET a", "AUTH db3 secret", "GET a") == "$1|s|+OK|$5|three|")
    #expect(client.say("ACL USERS") == "*2|$7|default|$6|scores|")
    #expect(client.say("ACL GETUSER scores").hasPrefix("*12|") && client.say("ACL GETUSER x") == "$-1|")
    let open = FakeNode()
    open.declare("scores")
    #expect(open.connect().say("AUTH scores any", "CLIENT INFO").contains("user=scores"))
  }

  @Test("stands in CLIENT LIST as a number and a user, in INFO by name, and CLIENT KILL finds its clients")
  func administration() {
    let node = FakeNode()
    node.declare("scores")
    let number = NamespaceName.number(of: "scores")
    let client = node.connect()
    let other = node.connect()
    _ = other.say("SELECT scores", "SET a 1 EX 100", "SET b 1")
    #expect(client.say("CLIENT LIST").contains(" db=\(number) "))
    #expect(client.say("CLIENT LIST").contains(" user=scores "))
    _ = client.say("SET c 1")
    #expect(client.say("INFO keyspace").hasSuffix("# Keyspace|db0:keys=1,expires=0|ns_scores:keys=2,expires=1||"))
    #expect(client.say("CLIENT KILL USER nobody") == "-ERR No such user 'nobody'|")
    #expect(client.say("CLIENT KILL USER scores") == ":1|" && other.isClosed)
  }

  @Test("is emptied by FLUSHDB alone or by FLUSHALL with all others")
  func flushing() {
    let node = FakeNode()
    node.declare("scores")
    let client = node.connect()
    _ = client.say("SET a 1", "SELECT scores", "SET a 1")
    #expect(client.say("FLUSHDB", "DBSIZE", "SELECT 0", "DBSIZE") == "+OK|:0|+OK|:1|")
    _ = client.say("SELECT scores", "SET a 1", "SELECT 7", "SET a 1")
    #expect(
      client.say("FLUSHALL", "DBSIZE", "SELECT scores", "DBSIZE", "SELECT 0", "DBSIZE") == "+OK|:0|+OK|:0|+OK|:0|")
  }

  @Test("has transactions and watches of its own")
  func transactions() {
    let node = FakeNode()
    node.declare("scores")
    let client = node.connect()
    let other = node.connect()
    #expect(
      client.say("MULTI", "SET a 0", "SELECT scores", "SET a s", "EXEC", "GET a", "SELECT 0", "GET a")
        == "+OK|+QUEUED|+QUEUED|+QUEUED|*3|+OK|+OK|+OK|$1|s|+OK|$1|0|")
    _ = client.say("SELECT scores", "WATCH a", "MULTI", "INCR n")
    _ = other.say("SET a x")
    #expect(client.say("EXEC") == "*1|:1|", "that was another a")
    _ = client.say("WATCH a", "MULTI", "INCR n")
    _ = other.say("SELECT scores", "SET a x")
    #expect(client.say("EXEC") == "*-1|")
    _ = client.say("WATCH a", "MULTI", "INCR n")
    _ = other.say("FLUSHDB")
    #expect(client.say("EXEC") == "*-1|")
  }

  @Test("does not take part in what exchanges databases or moves keys between them")
  func databasesOnly() {
    let node = FakeNode()
    node.declare("scores")
    let client = node.connect()
    _ = client.say("SET a 1")
    #expect(
      client.say("SWAPDB 0 scores") == "-ERR SWAPDB exchanges two of the databases 0 to 15; 'scores' is a namespace|")
    #expect(client.say("SWAPDB 0 nothing") == "-ERR invalid second DB index|")
    let refusal = "-ERR keys are moved and copied between the databases 0 to 15; "
    #expect(client.say("MOVE a scores") == refusal + "'scores' is a namespace|")
    #expect(client.say("COPY a b DB scores") == refusal + "'scores' is a namespace|")
    #expect(
      client.say("SELECT scores", "SET a s", "MOVE a 0")
        == "+OK|+OK|" + refusal + "this connection is in the namespace 'scores'|")
    #expect(client.say("COPY a b DB 0") == refusal + "this connection is in the namespace 'scores'|")
    #expect(client.say("COPY a b", "RENAME b c", "GET c") == ":1|+OK|$1|s|")
    #expect(client.say("SWAPDB 0 1", "GET a", "SELECT 1", "GET a") == "+OK|$1|s|+OK|$1|1|")
  }

  @Test("has limits of its own, and its writes fail alone")
  func limits() {
    let node = FakeNode()
    node.declare("few") {
      $0.limitEntries = 2
      $0.eviction = .none
    }
    node.declare("brief") { $0.defaultTTLMilliseconds = 5000 }
    let client = node.connect()
    #expect(client.say("SELECT few", "SET a 1", "SET b 1").hasSuffix("+OK|+OK|"))
    #expect(client.say("SET c 1").hasPrefix("-OOM"))
    #expect(client.say("GET a", "SELECT 0", "SET c 1") == "$1|1|+OK|+OK|")
    #expect(client.say("SELECT brief", "SET a 1", "TTL a", "SELECT 0", "TTL c") == "+OK|+OK|:5|+OK|:-1|")
    client.push(request("SELECT", "few") + request("SET", "d", "1") + request("SET", "e", "1"))
    #expect(client.take().components(of: "-OOM") == 2)
  }

  @Test("is shown by MONITOR as a number, which clients read; channels are everybody's")
  func monitorAndChannels() {
    let node = FakeNode()
    node.declare("scores")
    let number = NamespaceName.number(of: "scores")
    let client = node.connect()
    let monitor = node.connect()
    _ = monitor.say("MONITOR")
    _ = client.say("SELECT scores", "GET a")
    #expect(monitor.take().contains(" [\(number) 127.0.0.1:50000] \"GET\" \"a\"|"))
    let subscriber = node.connect()
    _ = subscriber.say("SUBSCRIBE news")
    #expect(client.say("PUBLISH news x") == ":1|")
    #expect(subscriber.take().contains("$4|news|$1|x|"))
  }
}

extension String {
  fileprivate func components(of part: String) -> Int {
    var (count, rest) = (0, self[...])
    while let range = rest.firstRange(of: part) {
      count += 1
      rest = rest[range.upperBound...]
    }
    return count
  }
}
