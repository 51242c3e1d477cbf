import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

/// A real Redis server, and servers that only pretend to be one.
@Suite struct RedisOriginTests {
  private func server() async throws -> (RedisServer, port: Int) {
    var last: any Error = ServerFailure.doesNotAnswer("")
    for _ in 0..<5 {
      // Another test may take the port meanwhile.
      let port = NexusServer.freePorts(1)[0]
      do {
        return (try await onThread { try RedisServer(["--bind", "127.0.0.1", "--port", "\(port)"]) }, port)
      } catch {
        last = error
      }
    }
    throw last
  }

  private func origin(_ url: String) throws -> any Origin {
    try Origins.make(OriginConfiguration(url + (url.contains("?") ? "&" : "?") + "backoff=0"))
  }

  @Test func valuesComeWithTheTimeTheyHaveLeft() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    _ = try client.ask("SET", "Tom", "630")
    _ = try client.ask("SET", "short", "1", "PX", "100000")
    _ = try client.ask("SET", "empty", "")
    _ = try client.ask("RPUSH", "list", "a")
    let origin = try origin("redis://127.0.0.1:\(port)")
    #expect(await origin.load("Tom") == .value("630"))
    #expect(await origin.load("empty") == .value(""))
    #expect(await origin.load("none") == .absent(.unspecified))
    #expect(await origin.load("list").cause?.isWrongType == true)
    guard case .value(let value) = await origin.load("short") else {
      Issue.record("no value")
      return
    }
    #expect((1...100_000).contains(value.freshness.timeToLiveMilliseconds ?? 0))
    #expect(origin.name == "redis://127.0.0.1:\(port)/0")
    origin.stop()
  }

  @Test func aSocketADatabaseAndAPassword() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    _ = try client.ask("SELECT", "3")
    _ = try client.ask("SET", "Tom", "in three")
    _ = try client.ask("CONFIG", "SET", "requirepass", "s%cret")
    guard case .unix(let path) = server.endpoint else { return }
    for url in [
      "redis://:s%25cret@127.0.0.1:\(port)/3", "redis://default:s%25cret@127.0.0.1:\(port)/3",
      "redis://:s%25cret@/3?socket=\(path)",
    ] {
      let origin = try origin(url)
      #expect(await origin.load("Tom").text == "in three", "\(url)")
      #expect(!origin.name.contains("cret"))
      origin.stop()
    }
    for (url, words) in [
      ("redis://127.0.0.1:\(port)/3", "NOAUTH"), ("redis://:wrong@127.0.0.1:\(port)/3", "WRONGPASS"),
      ("redis://:s%25cret@127.0.0.1:\(port)/99", "DB index is out of range"),
    ] {
      let origin = try origin(url)
      guard case .rejected(let said) = await origin.load("Tom").cause else {
        Issue.record("\(url) was not refused")
        continue
      }
      #expect(said.contains(words), "\(said)")
      origin.stop()
    }
  }

  @Test func noKeyIsAnythingButAKey() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    _ = try client.ask("SET", "Tom", "630")
    let origin = try origin("redis://127.0.0.1:\(port)?write=set")
    let keys = hostileKeys + [[]]
    for key in keys { #expect(await origin.load(key).isAbsent, "\(key)") }
    for (index, key) in keys.enumerated() {
      let write = OriginWrite(key: key, value: Array("\(index)".utf8), deadlineMilliseconds: 20_000)
      #expect(await origin.store(write).succeeded)
    }
    for (index, key) in keys.enumerated() { #expect(await origin.load(key).text == "\(index)", "\(key)") }
    #expect(await origin.load("Tom").text == "630")
    #expect(try client.ask("DBSIZE") == .integer(Int64(keys.count + 1)))
    origin.stop()
  }

  @Test func writesAreSetAndDel() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    let origin = try origin("redis://127.0.0.1:\(port)?write=set")
    #expect(await origin.store("a", "1", timeToLiveMilliseconds: 100_000).succeeded)
    #expect(try client.ask("GET", "a").string == "1")
    #expect(try client.ask("TTL", "a") != .integer(-1))
    #expect(await origin.store("a", "2").succeeded)
    #expect(try client.ask("TTL", "a") == .integer(-1))
    #expect(await origin.store("a", nil).succeeded)
    #expect(await origin.store("a", nil).succeeded)
    #expect(try client.ask("EXISTS", "a") == .integer(0))
    let results = await withCheckedContinuation { continuation in
      (origin as? any BatchOrigin)?.store(
        (0..<500).map { OriginWrite(key: [UInt8($0 / 256), UInt8($0 % 256)], value: [1], deadlineMilliseconds: 0) },
        within: 20_000
      ) { continuation.resume(returning: $0) }
    }
    #expect(results.count == 500 && results.allSatisfy(\.succeeded))
    #expect(try client.ask("DBSIZE") == .integer(500))
    _ = try client.ask("CONFIG", "SET", "min-replicas-to-write", "1")
    #expect(await origin.store("a", "1").cause?.isRejection == true)
    #expect(try self.origin("redis://127.0.0.1:\(port)").canStore == false)
    origin.stop()
  }

  @Test func aConnectionThatBrokeIsMadeAnew() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    _ = try client.ask("SET", "Tom", "630")
    let origin = try origin("redis://127.0.0.1:\(port)?retries=1&connections=1")
    #expect(await origin.load("Tom").text == "630")
    _ = try client.ask("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    #expect(await origin.load("Tom").text == "630")
    try await onThread { _ = server.process.stop() }
    #expect(await origin.load("Tom").cause?.isUnreachable == true)
    origin.stop()
  }

  @Test func aValueOverTheLimitIsAFailureAndTheConnectionGoesOn() async throws {
    let (server, port) = try await server()
    let client = try server.connect()
    _ = try client.ask("SET", "at", String(repeating: "x", count: 1000))
    _ = try client.ask("SET", "over", String(repeating: "x", count: 1001))
    _ = try client.ask("SET", "far", String(repeating: "x", count: 5_000_000))
    let origin = try origin("redis://127.0.0.1:\(port)?value-limit=1000&connections=1")
    for _ in 0..<3 {
      #expect(await origin.load("at").text?.count == 1000)
      #expect(await origin.load("over").cause == .tooLarge(limitBytes: 1000))
      #expect(await origin.load("far").cause == .tooLarge(limitBytes: 1000))
    }
    origin.stop()
  }

  @Test(arguments: [
    ("HTTP/1.1 400 Bad Request\r\n\r\n", "garbage"), ("\0\0\0\0\0\0\0\0\r\n", "garbage"),
    ("*2147483647\r\n", "garbage"), ("*1\r\n$1\r\na\r\n", "garbage"), ("$-5\r\n", "garbage"),
    (":5\r\n:5\r\n", "garbage"), ("+OK\r\n+OK\r\n", "garbage"), ("$3\r\nTom\r\n$3\r\nTom\r\n", "garbage"),
    ("$3\r\nTo", "unreachable"), ("", "unreachable"),
    ("-LOADING Redis is loading the dataset in memory\r\n-LOADING\r\n", "unreachable"),
    ("-MOVED 3999 127.0.0.1:6381\r\n-MOVED\r\n", "rejected"), ("-ERR no\r\n-ERR no\r\n", "rejected"),
    ("-WRONGTYPE no\r\n-WRONGTYPE no\r\n", "wrongType"),
  ])
  func whatIsNoRedisIsAFailure(_ answer: String, _ kind: String) async throws {
    let server = try FakeServer { peer in
      _ = peer.receive()
      peer.send(answer)
    }
    let origin = try origin("redis://127.0.0.1:\(server.port)?retries=0")
    let cause = await origin.load("Tom").cause
    switch kind {
    case "garbage": #expect(cause?.isGarbage == true, "\(String(describing: cause))")
    case "unreachable": #expect(cause?.isUnreachable == true, "\(String(describing: cause))")
    case "wrongType": #expect(cause?.isWrongType == true, "\(String(describing: cause))")
    default: #expect(cause?.isRejection == true, "\(String(describing: cause))")
    }
    origin.stop()
  }

  @Test func aServerThatHangsIsLeftAtTheDeadlineAndItsLateAnswerIsNobodys() async throws {
    let gate = Gate()
    let connections = Guarded(0)
    let server = try FakeServer { peer in
      let isFirst = connections.withLock { count in
        count += 1
        return count == 1
      }
      while peer.receive() != nil {
        if isFirst { gate.pass() }
        peer.send(isFirst ? "$4\r\nlate\r\n:-1\r\n" : "$3\r\n630\r\n:-1\r\n")
      }
    }
    let url = "redis://127.0.0.1:\(server.port)?retries=0&connections=1&timeout=1h&breaker-failures=0"
    let origin = try origin(url)
    // On a busy machine the time may be over before there is a connection.
    let hasHung = await eventually {
      #expect(await origin.load("a", milliseconds: 40).text == nil)
      return server.accepted > 0
    }
    #expect(hasHung)
    gate.open()
    #expect(await origin.load("b").text == "630")
    origin.stop()
  }

  @Test func aServerThatNeverStopsSendingIsLeft() async throws {
    let server = try FakeServer { peer in
      _ = peer.receive()
      peer.send("$500000000\r\n")
      while peer.send(String(repeating: "x", count: 10_000)) {}
    }
    let origin = try origin("redis://127.0.0.1:\(server.port)?value-limit=100kb")
    #expect(await origin.load("a").cause == .tooLarge(limitBytes: 102_400))
    #expect(await eventually { server.open == 0 })
    origin.stop()
  }
}
