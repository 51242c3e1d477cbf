import Glibc
import NexusTestSupport
import Testing

/// What someone sees who starts, stops and misconfigures a node.
@Suite struct OperatorTests {
  private func run(_ arguments: String..., environment: [String] = []) throws -> (status: Int?, output: String) {
    try ChildProcess.run(NexusServer.executable, arguments, environment: environment, seconds: 20)
  }

  @Test func helpNamesEveryCommandAndVersionTheVersion() throws {
    let help = try run("--help")
    #expect(help.status == 0)
    for command in ["serve", "config check", "config show", "bench", "version"] {
      #expect(help.output.contains(command))
    }
    #expect(try run("--version").output.hasPrefix("NexusCache 0."))
    let serve = try run("serve", "--help")
    #expect(serve.status == 0 && serve.output.contains("--max-memory SIZE"))
  }

  @Test(arguments: [
    (["serve", "--max-memory", "64zb"], 1, "nexuscache: --max-memory cannot be '64zb': give a size"),
    (["serve", "--max-memroy", "1gb"], 2, "nexuscache: there is no flag --max-memroy; did you mean --max-memory?"),
    (["serve", "--threads"], 2, "nexuscache: --threads needs a value: give a whole number"),
    (["serve", "fast"], 2, "nexuscache: 'fast' is not expected after 'serve'"),
    (["sevre"], 2, "nexuscache: there is no command 'sevre'; did you mean 'nexuscache serve'?"),
    (["serve", "--redis-port", "0", "--http-port", "0"], 1, "nexuscache: redis-port and http-port are 0"),
    (["serve", "--bind", "300.1.2.3", "--http-port", "0"], 1, "nexuscache: bind cannot be '300.1.2.3'"),
    (["serve", "--config", "/nonexistent"], 1, "nexuscache: config file '/nonexistent' cannot be read"),
    (["config", "check", "--eviction", "fifo"], 1, "nexuscache: --eviction cannot be 'fifo': give s3fifo, lru"),
  ])
  func mistakesStopTheStartWithOneLine(_ arguments: [String], _ status: Int, _ beginning: String) throws {
    let result = try ChildProcess.run(NexusServer.executable, arguments, seconds: 20)
    #expect(result.status == status)
    #expect(result.output.hasPrefix(beginning), "\(result.output)")
    #expect(result.output.split(separator: "\n").count == 1, "\(result.output)")
  }

  @Test func configCheckSaysWhereAValueComesFromAndShowCanBeReadBack() throws {
    let check = try run("config", "check", "--threads", "3", environment: ["NEXUSCACHE_MAX_CLIENTS=55"])
    #expect(check.status == 0 && check.output.hasSuffix("ok\n"))
    let lines = check.output.split(separator: "\n").map { $0.split(separator: " ").map(String.init) }
    #expect(lines.contains(["threads", "3", "flag"]))
    #expect(lines.contains(["max-clients", "55", "NEXUSCACHE_MAX_CLIENTS"]))
    #expect(lines.contains(["eviction", "s3fifo", "default"]))
    let shown = try run("config", "show", "--threads", "3", "--password", "x\"y #z")
    #expect(!shown.output.contains("x\"y"), "a password is not shown")
    let directory = Environment.makeTemporaryDirectory()
    let path = directory + "/a.conf"
    defer {
      unlink(path)
      rmdir(directory)
    }
    let file = try #require(fopen(path, "w"))
    fputs(shown.output, file)
    fclose(file)
    let again = try run("config", "show", "--config", path)
    #expect(again.output.contains("threads = 3\n"))
  }

  @Test func aTakenPortIsNamed() throws {
    let server = try NexusServer()
    for flag in ["--redis-port", "--http-port"] {
      let other = flag == "--redis-port" ? "--http-port" : "--redis-port"
      let port = flag == "--redis-port" ? server.redisPort : server.httpPort
      let result = try run("serve", flag, "\(port)", other, "0")
      #expect(result.status == 1)
      #expect(result.output.hasPrefix("nexuscache: cannot listen on 127.0.0.1:\(port)"), "\(result.output)")
    }
  }

  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalStopsANodeInTimeWithStatusZero(_ signal: Int32) throws {
    let server = try NexusServer()
    let client = try server.connect()
    #expect(try client.ask("SET", "k", "v") == .simple(Array("OK".utf8)))
    server.process.signal(signal)
    #expect(server.process.waitForExit(seconds: 8) == 0, "\(server.process.output)")
    #expect(access(server.unixPath, F_OK) != 0, "its socket is gone")
  }

  @Test func shutdownStopsANodeToo() throws {
    let server = try NexusServer()
    let client = try server.connect()
    _ = try? client.ask("SHUTDOWN", "NOSAVE")
    #expect(server.process.waitForExit(seconds: 8) == 0)
  }

  @Test func theBannerSaysWhereToKnockAndTheLogIsJSONOnRequest() throws {
    let server = try NexusServer(["--log-level", "info", "--log-format", "json"])
    // It answers a moment before it has said so.
    #expect(eventually { server.process.output.contains("Stop: Ctrl-C") })
    let output = server.process.output
    #expect(output.contains("Redis  127.0.0.1:\(server.redisPort)\n"))
    #expect(output.contains("HTTP   http://127.0.0.1:\(server.httpPort)\n"))
    #expect(output.contains("redis-cli -p \(server.redisPort) set greeting hello"))
    #expect(eventually { server.process.output.contains(#""level":"info","message":"listening","door":"redis""#) })
  }

  @Test func aPasswordHoldsAtEveryDoor() throws {
    // The harness asks INFO to know its server, which a password forbids: it is set afterwards.
    let server = try NexusServer()
    let first = try server.connect()
    #expect(try first.ask("CONFIG", "SET", "requirepass", "s3cret") == .simple(Array("OK".utf8)))
    let client = try server.connect()
    #expect(try client.ask("GET", "k") == .error(Array("NOAUTH Authentication required.".utf8)))
    #expect(try client.ask("AUTH", "s3cret") == .simple(Array("OK".utf8)))
    #expect(try client.ask("SET", "k", "v") == .simple(Array("OK".utf8)))
    let curl = try #require(Environment.find(program: "curl"))
    let url = "http://127.0.0.1:\(server.httpPort)/api/cache/k"
    #expect(try ChildProcess.run(curl, ["-s", url]).output.contains(#""code":"unauthorized""#))
    #expect(try ChildProcess.run(curl, ["-s", "-u", "any:s3cret", url]).output.contains(#""value":"v""#))
  }

  @Test func settingsChangeWhileItRuns() throws {
    let server = try NexusServer(["--max-memory", "64mb"])
    let client = try server.connect()
    #expect(try client.ask("CONFIG", "SET", "maxmemory", "32mb", "maxmemory-policy", "allkeys-lru").string == "OK")
    let info = InfoReply(try client.ask("INFO", "memory").string ?? "")
    #expect(info.number("maxmemory") == 32 << 20 && info["maxmemory_policy"] == "allkeys-lru")
    #expect(try client.ask("CONFIG", "SET", "maxclients", "1").string == "OK")
    let refused = try? server.connect()
    #expect((try? refused?.ask("PING"))?.string != "PONG")
  }

  @Test func settingsChangeInsideATransactionThatHoldsKeys() throws {
    let server = try NexusServer()
    let clients = try (0..<4).map { _ in try server.connect() }
    for round in 0..<20 {
      for (index, client) in clients.enumerated() {
        for command in [
          ["MULTI"], ["SET", "k\(index)", "\(round)"], ["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"],
          ["CONFIG", "SET", "maxmemory", "\(64 + round)mb"], ["EXEC"],
        ] { try client.send(RESPClient.encode(command.map { Array($0.utf8) })) }
      }
      for client in clients {
        for _ in 0..<4 { #expect(try client.read().isError == false) }
        guard case .array(let replies) = try client.read() else {
          Issue.record("EXEC has a reply for each command")
          return
        }
        #expect(replies.count == 3 && !replies.contains { $0.isError })
      }
    }
  }

  @Test func whatOneDoorWritesTheOtherReads() throws {
    let server = try NexusServer()
    let curl = try #require(Environment.find(program: "curl"))
    let client = try server.connect()
    #expect(try client.ask("SET", "shared", "from redis") == .simple(Array("OK".utf8)))
    let url = "http://127.0.0.1:\(server.httpPort)/api/cache/shared"
    #expect(try ChildProcess.run(curl, ["-s", url]).output.contains(#""value":"from redis""#))
    _ = try ChildProcess.run(
      curl, ["-s", "-X", "PUT", "-H", "Content-Type: application/octet-stream", "-d", "from curl", url])
    #expect(try client.ask("GET", "shared").string == "from curl")
  }
}
