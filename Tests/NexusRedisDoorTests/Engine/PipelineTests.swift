import NexusModel
import NexusService
import Testing

@testable import NexusRedisDoor

@Suite("A connection's requests")
struct PipelineTests {
  @Test("are answered in their order, plain ones and others mixed")
  func order() {
    let client = FakeNode().connect()
    var bytes: [UInt8] = []
    var expected = ""
    for number in 0..<300 {
      bytes += request("SET", "k\(number)", "v\(number)")
      expected += "+OK|"
      bytes += request("get", "k\(number)")
      expected += "$\("v\(number)".count)|v\(number)|"
      if number % 7 == 0 {
        bytes += request("ECHO", "e\(number)")
        expected += "$\("e\(number)".count)|e\(number)|"
      }
      if number % 50 == 0 {
        bytes += Array("ping\r\n".utf8)
        expected += "+PONG|"
      }
    }
    client.push(bytes)
    #expect(client.take() == expected)
  }

  @Test("are answered alike wherever the stream is cut in two")
  func everyCut() {
    let bytes =
      request("SET", "key", "value") + request("GET", "key") + Array("PING 'a b'\r\n".utf8)
      + request("MULTI") + request("INCR", "n") + request("EXEC") + Array("\r\n*0\r\n".utf8) + request("GET", "none")
    let whole = FakeNode().connect()
    whole.push(bytes)
    let expected = whole.take()
    #expect(expected == "+OK|$5|value|$3|a b|+OK|+QUEUED|*1|:1|$-1|")
    for cut in 0...bytes.count {
      let client = FakeNode().connect()
      client.push(Array(bytes[..<cut]))
      client.push(Array(bytes[cut...]))
      #expect(client.take() == expected, "cut at \(cut)")
    }
  }

  @Test("are answered alike byte by byte")
  func byteByByte() {
    let client = FakeNode().connect()
    for byte in request("SET", "key", "value") + request("GET", "key") { client.push([byte]) }
    #expect(client.take() == "+OK|$5|value|")
  }

  @Test("see the database that a SELECT before them in the pipeline chose")
  func selectInPipeline() {
    let client = FakeNode().connect()
    client.push(
      request("SET", "k", "zero") + request("SELECT", "3") + request("GET", "k") + request("SET", "k", "three")
        + request("GET", "k") + request("SELECT", "0") + request("GET", "k"))
    #expect(client.take() == "+OK|+OK|$-1|+OK|$5|three|+OK|$4|zero|")
  }

  @Test("speak the protocol that a HELLO before them in the pipeline chose")
  func helloInPipeline() {
    let client = FakeNode().connect()
    client.push(request("GET", "none") + request("HELLO", "3") + request("GET", "none"))
    let replies = client.take()
    #expect(replies.hasPrefix("$-1|%7|"))
    #expect(replies.hasSuffix("*0|_|"))
  }

  @Test("that cannot be read end the connection after the answers to those before them")
  func malformed() {
    let client = FakeNode().connect()
    client.push(request("SET", "k", "v") + Array("*1\r\n#4\r\nPING\r\n".utf8) + request("GET", "k"))
    #expect(client.take() == "+OK|-ERR Protocol error: expected '$', got '#'|")
    #expect(client.isClosed)
  }

  @Test("make room for others after much output, and are all answered")
  func yields() {
    let client = FakeNode().connect()
    let value = String(repeating: "x", count: 100_000)
    client.push(request("SET", "k", value))
    _ = client.take()
    var bytes: [UInt8] = []
    for _ in 0..<50 { bytes += request("GET", "k") }
    let offered = client.offeredBytes
    client.push(bytes)
    #expect(client.received.count == 50 * (100_000 + 11))
    #expect(client.offeredBytes > offered + bytes.count, "the rest was offered again")
  }

  @Test("after QUIT are not answered")
  func quit() {
    let client = FakeNode().connect()
    client.push(request("QUIT") + request("PING"))
    #expect(client.take() == "+OK|")
    #expect(client.isClosed)
  }

  @Test("count as commands, hits and misses")
  func counts() {
    let node = FakeNode()
    let client = node.connect()
    client.push(request("SET", "k", "v") + request("GET", "k") + request("GET", "none") + request("PING"))
    let statistics = node.node.statistics
    #expect(statistics.pointee.commands.value == 4)
    #expect(statistics.pointee.keyspaceHits.value == 1)
    #expect(statistics.pointee.keyspaceMisses.value == 1)
    #expect(statistics.pointee.sets.value == 1)
    let table = node.door.commands
    let get = "get".utf8.withContiguousStorageIfAvailable { table.index(of: UnsafeRawBufferPointer($0)) }!!
    #expect(node.door.diagnostics.totals(ofCommand: get).calls == 2)
  }

  @Test("that a client does not want to see answered are not")
  func replyModes() {
    let client = FakeNode().connect()
    #expect(client.say("CLIENT REPLY OFF", "PING", "SET a b", "GET a", "CLIENT REPLY ON", "PING") == "+OK|+PONG|")
    #expect(client.say("CLIENT REPLY SKIP", "PING", "PING x") == "$1|x|")
    #expect(client.say("CLIENT REPLY SKIP", "CLIENT REPLY SKIP", "PING a", "PING b") == "$1|b|")
  }
}

@Suite("A session")
struct SessionTests {
  @Test("is small while idle")
  func size() {
    let session = Session(
      id: 1, connection: ConnectionID(slot: 0, generation: 0),
      peer: PeerAddress(remote: "127.0.0.1:50000", local: "127.0.0.1:6379", descriptor: 1, isUnixSocket: false))
    let idle = session.memoryBytes
    // The object and its two addresses, as the allocator has them.
    #expect(150...350 ~= idle)
    #expect(session.extras == nil)
    session.more.name = String(repeating: "n", count: 1000)
    session.more.channels.insert([UInt8](repeating: 1, count: 5000))
    #expect(idle + 6000...idle + 6500 ~= session.memoryBytes)
  }

  @Test("asks for the password before anything else, and limits what a stranger may send")
  func password() {
    let node = FakeNode(password: "secret")
    let client = node.connect()
    #expect(client.say("GET a") == "-NOAUTH Authentication required.|")
    #expect(client.say("AUTH wrong") == "-WRONGPASS invalid username-password pair or user is disabled.|")
    #expect(client.say("HELLO 3").hasPrefix("-NOAUTH HELLO must be called"))
    // In one pipeline: what comes after AUTH is already trusted.
    client.push(request("AUTH", "secret") + request(["DEL"] + (0..<20).map { "k\($0)" }))
    #expect(client.take() == "+OK|:0|")
    let stranger = node.connect()
    stranger.push(request(["DEL"] + (0..<20).map { "k\($0)" }))
    #expect(stranger.take() == "-ERR Protocol error: unauthenticated multibulk length|")
    #expect(stranger.isClosed)
    let other = node.connect()
    other.push(request("ECHO", String(repeating: "x", count: 20_000)))
    #expect(other.take() == "-ERR Protocol error: unauthenticated bulk length|")
  }

  @Test("is as new after RESET")
  func reset() {
    let node = FakeNode()
    let client = node.connect()
    _ = client.say("HELLO 3", "CLIENT SETNAME me", "SELECT 5", "SUBSCRIBE c", "MULTI")
    #expect(client.say("RESET", "CLIENT GETNAME", "EXEC") == "+RESET|$-1|-ERR EXEC without MULTI|")
    #expect(node.connect().say("PUBLISH c m") == ":0|")
    #expect(client.say("CLIENT INFO").contains(" db=0 sub=0 psub=0 ssub=0 multi=-1 "))
  }
}

func request(_ words: [String]) -> [UInt8] { request(words.map { Array($0.utf8) }) }
