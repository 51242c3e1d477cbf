import Glibc
import NexusTestSupport
import Testing

/// What a client may do wrong costs it its own connection at worst.
@Suite("Bad input", .serialized)
struct BadInputTests {
  /// Requests that break the protocol, or nearly do. Redis says what each is worth.
  ///
  /// Not here, because ours is meant to differ: more than 1,048,576 arguments are refused as they are announced (Redis
  /// takes two thousand million), and a NUL byte does not hide the end of an inline request.
  static let requests: [String] = [
    "*1\r\n:5\r\n", "*1\r\n*1\r\n$4\r\nPING\r\n", "*abc\r\n", "*-1\r\n", "*-5\r\nPING\r\n", "*0\r\nPING\r\n",
    "*2147483648\r\n", "*99999999999999999999\r\n", "*1\r\n$-5\r\n", "*1\r\n$-1\r\n", "*1\r\n$abc\r\n",
    "*1\r\n$536870913\r\n", "*1\r\n$99999999999999999999\r\n", "*1\r\n$4\r\nPINGxx*1\r\n$4\r\nPING\r\n",
    "*1\r\n$+4\r\nPING\r\n", "*+1\r\n$4\r\nPING\r\n", "*1\r\n$04\r\nPING\r\n", "*1\n$4\nPING\n", "\r\n\r\nPING\r\n",
    "PING\n", "GET \"unbalanced\r\n", "ECHO \"a\\x41\\n\"\r\n", "ECHO 'it\\'s'\r\n", "ECHO \"a\"b\r\n",
    "   \r\nPING\r\n",
    "*1\r\n$0\r\n\r\n", "*2\r\n$4\r\nECHO\r\n$0\r\n\r\n", "$4\r\nPING\r\n", ":1\r\n", "+OK\r\n",
    "POST / HTTP/1.1\r\nHost: x\r\n\r\n", "Host: evil\r\nPING\r\n", "\0\0\0\0\r\n", "ping\tpong\r\n",
    String(repeating: "x", count: 70_000), "*" + String(repeating: "1", count: 70_000),
    "*1\r\n$" + String(repeating: "1", count: 70_000), "*3\r\n$3\r\nSET\r\n$1\r\n",
  ]

  @Test("a broken request is answered as Redis answers it, and ends the connection where Redis ends it")
  func brokenRequests() throws {
    for request in Self.requests {
      var answers: [[UInt8]] = []
      for server in [try Shared.redis.get() as any RedisSpeaker, try Shared.nexus.get()] {
        let client = try server.connect(timeoutSeconds: 5)
        try? client.send(request)
        client.finishSending()
        answers.append(try client.readToEnd())
      }
      #expect(answers[0] == answers[1], "\(quoted(Array(request.utf8))): \(quoted(answers[0])) \(quoted(answers[1]))")
    }
    #expect(try Shared.nexus.get().connect().ask("PING") == .simple(Array("PONG".utf8)))
  }

  @Test("lengths that are declared and never arrive cost no memory")
  func lengthsThatNeverArrive() throws {
    let server = try NexusServer()
    let witness = try server.connect()
    try witness.ask("PING")
    let before = server.process.residentBytes
    let liars = try (0..<100).map { _ in try server.connect() }
    for liar in liars { try liar.send("*2\r\n$3\r\nGET\r\n$500000000\r\nonly this much") }
    for liar in liars { try liar.send("and a little more") }
    #expect(try witness.ask("PING") == .simple(Array("PONG".utf8)))
    let growth = server.process.residentBytes - before
    #expect(growth < 32 << 20, "grew by \(growth) bytes")
  }

  @Test("a sender of single bytes is understood")
  func byteAtATime() throws {
    let client = try Shared.nexus.get().connect()
    let request = RESPClient.encode([Array("SET".utf8), Array("slow{1}".utf8), [0, 13, 10, 255]])
    for byte in request + RESPClient.encode([Array("GET".utf8), Array("slow{1}".utf8)]) + Array("PING\r\n".utf8) {
      try client.send([byte])
    }
    #expect(try client.read() == .ok)
    #expect(try client.read() == .bulk([0, 13, 10, 255]))
    #expect(try client.read() == .simple(Array("PONG".utf8)))
  }

  @Test("a client that has closed its sending side still gets its replies")
  func halfClosed() throws {
    let client = try Shared.nexus.get().connect()
    try client.send(String(repeating: "PING\r\n", count: 1000))
    client.finishSending()
    #expect(try client.readToEnd() == Array(String(repeating: "+PONG\r\n", count: 1000).utf8))
  }

  @Test("100,000 commands in one go are all answered, in order")
  func hugePipeline() throws {
    let client = try Shared.nexus.get().connect()
    let count = 100_000
    var requests: [UInt8] = []
    for number in 0..<count { requests += Array("*2\r\n$4\r\nECHO\r\n$6\r\n\(100_000 + number)\r\n".utf8) }
    let descriptor = client.descriptor
    let writer = Background { [requests] in sendAll(requests, to: descriptor) }
    for number in 0..<count {
      let reply = try client.read()
      guard reply == .text("\(100_000 + number)") else {
        Issue.record("reply \(number) is \(reply)")
        break
      }
    }
    writer.join()
  }

  @Test("10,000 idle connections live side by side")
  func manyIdleConnections() throws {
    let limit = raiseDescriptorLimit()
    let wanted = min(10_000, limit - 500)
    let server = try NexusServer(["--max-clients", "12000"])
    let witness = try server.connect()
    let before = server.process.residentBytes
    let idle = try (0..<wanted).map { _ in try server.connect() }
    #expect(try eventually { try witness.info("clients").number("connected_clients") == wanted + 1 })
    print("\(wanted) idle connections: \((server.process.residentBytes - before) / wanted) bytes each")
    for client in stride(from: 0, to: wanted, by: 97).map({ idle[$0] }) {
      #expect(try client.ask("PING") == .simple(Array("PONG".utf8)))
    }
    for client in idle { client.close() }
    #expect(try eventually { try witness.info("clients").number("connected_clients") == 1 })
  }

  @Test("clients beyond max-clients are told so")
  func tooManyClients() throws {
    let server = try NexusServer(["--max-clients", "3"], threads: 1)
    var witness: RESPClient?
    // The connections that looked whether the server is up may not have ended yet.
    #expect(
      eventually {
        guard let client = try? server.connect(), let info = try? client.info("clients") else { return false }
        witness = client
        return info.number("connected_clients") == 1
      })
    let others = try (0..<2).map { _ in try server.connect() }
    for client in others { #expect(try client.ask("PING") == .simple(Array("PONG".utf8))) }
    let refused = try server.connect()
    let farewell = String(decoding: try refused.readToEnd(), as: UTF8.self)
    #expect(farewell == "-ERR max number of clients reached\r\n")
    #expect(try witness?.info("stats").number("rejected_connections") ?? 0 >= 1)
    others[0].close()
    #expect(eventually { (try? server.connect().ask("PING")) == .simple(Array("PONG".utf8)) })
  }

  @Test("a client that asks for more than it reads waits, in bounded memory, and gets every reply when it reads")
  func slowReader() throws {
    let server = try NexusServer(["--output-buffer-limit", "8mb"])
    let witness = try server.connect()
    let value = [UInt8](repeating: 120, count: 1 << 20)
    try witness.ask([Array("SET".utf8), Array("big".utf8), value])
    let before = server.process.residentBytes
    let slow = try server.connect()
    try slow.send(String(repeating: "GET big\r\n", count: 200))
    for _ in 0..<100 { #expect(try witness.ask("GET", "nothing") == .nullBulk) }
    let growth = server.process.residentBytes - before
    #expect(growth < 64 << 20, "grew by \(growth) bytes")
    for _ in 0..<200 { #expect(try slow.read() == .bulk(value)) }
  }

  @Test("a subscriber that does not read is dropped at its limit, others notice nothing")
  func subscriberThatDoesNotRead() throws {
    let server = try NexusServer(["--output-buffer-limit", "8mb"])
    let witness = try server.connect()
    let reader = try server.connect()
    let deaf = try server.connect()
    for client in [reader, deaf] { #expect(try client.ask("SUBSCRIBE", "news")[0]?.string == "subscribe") }
    let before = server.process.residentBytes
    let message = [UInt8](repeating: 120, count: 1 << 20)
    for _ in 0..<64 {
      try witness.ask([Array("PUBLISH".utf8), Array("news".utf8), message])
      #expect(try reader.read()[2]?.bytes?.count == message.count)
    }
    let info = try witness.info("stats")
    #expect(info.number("client_output_buffer_limit_disconnections") == 1)
    #expect(server.process.residentBytes - before < 64 << 20)
    #expect(try witness.ask("PUBSUB", "NUMSUB", "news")[1]?.number == 1)
  }

  @Test("random bytes end their connection at worst")
  func randomBytes() throws {
    let server = try Shared.nexus.get()
    var dice = Dice(seed: Dice.seed())
    for _ in 0..<200 {
      let client = try server.connect(timeoutSeconds: 5)
      let start: [UInt8] = dice.pick([[], Array("*2\r\n$3\r\n".utf8), Array("*".utf8), Array("*1\r\n$".utf8)])
      try? client.send(start + dice.bytes(count: dice.within(1...300)))
      client.finishSending()
      _ = try? client.readToEnd()
    }
    #expect(try server.connect().ask("PING") == .simple(Array("PONG".utf8)))
  }
}

/// A thread that runs some work once.
final class Background {
  private var thread = pthread_t()

  init(_ work: @escaping @Sendable () -> Void) {
    let box = Unmanaged.passRetained(Box(work)).toOpaque()
    pthread_create(
      &thread, nil,
      { argument in
        Unmanaged<Box>.fromOpaque(argument!).takeRetainedValue().work()
        return nil
      }, box)
  }

  func join() { pthread_join(thread, nil) }

  private final class Box {
    let work: @Sendable () -> Void
    init(_ work: @escaping @Sendable () -> Void) { self.work = work }
  }
}

func sendAll(_ bytes: [UInt8], to descriptor: Int32) {
  var sent = 0
  while sent < bytes.count {
    let count = bytes.withUnsafeBytes {
      send(descriptor, $0.baseAddress! + sent, bytes.count - sent, Int32(MSG_NOSIGNAL))
    }
    if count < 0 && errno != EINTR { return }
    sent += max(0, count)
  }
}

/// Lets this process, and what it starts, open as many files as the system allows; how many that is.
func raiseDescriptorLimit() -> Int {
  var limit = rlimit()
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  limit.rlim_cur = limit.rlim_max
  setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
  return Int(min(limit.rlim_cur, 1 << 20))
}
