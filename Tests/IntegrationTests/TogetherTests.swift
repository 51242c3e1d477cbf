import NexusModel
import NexusTestSupport
import Synchronization
import Testing

/// Everything at once, on every loop: for what only shows between threads. Under a sanitizer its report also makes the
/// server's exit status differ from 0.
@Suite("Many clients at once", .serialized)
struct TogetherTests {
  /// What the clients of one test share. A client that meets something wrong says so and leaves.
  final class Team: Sendable {
    let server: NexusServer
    let rounds = Environment.number("NEXUS_ROUNDS", default: 200)
    let wrong = Guarded<[String]>([])
    let increments = Atomic<Int>(0)

    init(_ server: NexusServer) { self.server = server }

    func client(_ name: String, _ work: @escaping @Sendable (Team, RESPClient) throws -> Void) -> Background {
      Background { [self] in
        do {
          try work(self, server.connect(timeoutSeconds: 60))
        } catch {
          expect(false, "\(name): \(error)")
        }
      }
    }

    func expect(_ holds: Bool, _ otherwise: @autoclosure () -> String) {
      if !holds { wrong.withLock { $0.append(otherwise()) } }
    }

    /// Waits for all of them; the server must still be whole, and end as it should.
    func finish(_ clients: [Background]) {
      for client in clients { client.join() }
      let found = wrong.withLock { $0 }
      #expect(found.isEmpty, "\(found.prefix(5))")
      #expect((try? server.connect().ask("PING")) == .simple(Array("PONG".utf8)))
      #expect(server.process.stop() == 0, "\(server.process.output)")
    }
  }

  @Test("each finds what it wrote, no increment is lost, messages keep their order, and reports are answered")
  func everybody() throws {
    let team = Team(try NexusServer(["--max-memory", "256mb"], threads: 4))
    var clients = (0..<3).map { number in team.client("owner \(number)") { try Self.own($0, $1, number, evicts: false) }
    }
    clients += (0..<3).map { _ in team.client("incrementer", Self.increment) }
    clients += [
      team.client("messages", Self.messages), team.client("reports", Self.reports),
      team.client("administration", Self.administration), team.client("HTTP", Self.http),
    ]
    for client in clients { client.join() }
    let total = try team.server.connect().ask("GET", "counter").number
    #expect(total == Int64(team.increments.load(ordering: .relaxed)))
    team.finish([])
  }

  @Test("where memory is short, each finds what it wrote or nothing", arguments: ["s3fifo", "lru", "size-aware"])
  func shortMemory(_ policy: String) throws {
    let team = Team(try NexusServer(["--max-memory", "8mb", "--eviction", policy], threads: 4))
    var clients = (0..<4).map { number in team.client("owner \(number)") { try Self.own($0, $1, number, evicts: true) }
    }
    clients.append(team.client("reports", Self.reports))
    team.finish(clients)
  }

  private static func own(_ team: Team, _ client: RESPClient, _ number: Int, evicts: Bool) throws {
    var dice = Dice(seed: UInt64(number))
    var written: [String: [UInt8]] = [:]
    for round in 0..<team.rounds {
      let batch = (0..<16).map { _ in
        (
          key: "own:\(number):\(dice.below(400))",
          value: [UInt8](repeating: UInt8(round & 255), count: dice.below(3000))
        )
      }
      let replies = try client.pipeline(batch.map { [Array("SET".utf8), Array($0.key.utf8), $0.value] })
      for (entry, reply) in zip(batch, replies) {
        team.expect(reply == .ok, "SET answered \(reply)")
        written[entry.key] = entry.value
      }
      let keys = (0..<16).map { _ in "own:\(number):\(dice.below(400))" }
      let found = try client.pipeline(keys.map { [Array("GET".utf8), Array($0.utf8)] })
      for (key, reply) in zip(keys, found) {
        let isRight = reply == written[key].map { .bulk($0) } ?? .nullBulk || evicts && reply == .nullBulk
        team.expect(isRight, "\(key) is not what was written, round \(round)")
      }
      let gone = "own:\(number):\(dice.below(400))"
      try client.ask("DEL", gone)
      written[gone] = nil
      try client.ask("SET", "short:\(number)", "x", "PX", "\(dice.within(1...20))")
    }
  }

  /// Optimistically: what WATCH saw is what EXEC changes.
  private static func increment(_ team: Team, _ client: RESPClient) throws {
    for _ in 0..<team.rounds {
      try client.ask("WATCH", "counter")
      let next = (try client.ask("GET", "counter").number ?? 0) + 1
      try client.ask("MULTI")
      try client.ask("SET", "counter", "\(next)")
      if try client.ask("EXEC").elements != nil { team.increments.wrappingAdd(1, ordering: .relaxed) }
    }
  }

  private static func messages(_ team: Team, _ client: RESPClient) throws {
    let listeners = try (0..<4).map { _ in try team.server.connect(timeoutSeconds: 60) }
    for listener in listeners { try listener.ask("PSUBSCRIBE", "news*") }
    for number in 0..<team.rounds {
      let heard = try client.ask("PUBLISH", "news:\(number % 3)", "\(number)").number
      team.expect(heard == 4, "PUBLISH reached \(heard ?? -1) of 4")
    }
    for listener in listeners {
      for number in 0..<team.rounds {
        let message = try listener.read()[3]?.number
        team.expect(message == Int64(number), "message \(message ?? -1) instead of \(number)")
      }
    }
  }

  private static func reports(_ team: Team, _ client: RESPClient) throws {
    let questions = [
      "INFO everything", "CLIENT LIST", "SLOWLOG GET", "LATENCY HISTOGRAM", "LATENCY LATEST", "CONFIG GET *",
      "MEMORY STATS", "SCAN 0 COUNT 50", "RANDOMKEY", "DBSIZE", "PUBSUB CHANNELS", "COMMAND COUNT",
    ]
    for round in 0..<team.rounds {
      let reply = try client.ask(questions[round % questions.count].split(separator: " ").map { Array($0.utf8) })
      team.expect(!reply.isError, "\(questions[round % questions.count]): \(reply)")
    }
  }

  private static func administration(_ team: Team, _ client: RESPClient) throws {
    for round in 0..<team.rounds / 4 {
      for line in [
        "CONFIG SET slowlog-log-slower-than \(round % 3)", "CONFIG SET latency-monitor-threshold \(round % 2)",
        "CONFIG SET maxmemory-policy \(round % 2 == 0 ? "allkeys-lru" : "allkeys-random")", "CONFIG RESETSTAT",
        "SELECT 3", "SET a b", "SWAPDB 3 4", "FLUSHDB", "CLIENT PAUSE 1 WRITE", "SLOWLOG RESET",
      ] {
        let reply = try client.ask(line.split(separator: " ").map { Array($0.utf8) })
        team.expect(!reply.isError, "\(line): \(reply)")
      }
    }
  }

  private static func http(_ team: Team, _ client: RESPClient) throws {
    for round in 0..<team.rounds / 4 {
      for request in ["GET /metrics", "GET /health", "PUT /api/cache/web:\(round)", "GET /api/cache/web:\(round)"] {
        let connection = try RESPClient(.tcp(port: team.server.httpPort), timeoutSeconds: 60)
        let body = request.hasPrefix("PUT") ? "value" : ""
        try connection.send(
          "\(request) HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n"
            + "Content-Length: \(body.utf8.count)\r\n\r\n\(body)")
        let status = String(decoding: try connection.readToEnd().prefix(12), as: UTF8.self)
        team.expect(status == "HTTP/1.1 200", "\(request): \(status)")
      }
    }
  }
}
