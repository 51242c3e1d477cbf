import Glibc
import NexusTestSupport
import Testing

/// Programs that people use, against a real server.
@Suite("Real clients", .serialized)
struct ClientTests {
  static let repository = #filePath.split(separator: "/").dropLast(3).reduce(into: "") { $0 += "/" + $1 }
  static let python = repository + "/.venv/bin/python"
  static let hasPython = access(python, X_OK) == 0

  private func run(_ program: String, _ arguments: String...) throws -> String {
    guard let path = Environment.find(program: program) else { throw ServerFailure.notInstalled(program) }
    let result = try ChildProcess.run(path, arguments)
    #expect(result.status == 0, "\(program) \(arguments): \(result.output)")
    return result.output
  }

  private func shell(_ script: String) throws -> String { try run("bash", "-c", script) }

  @Test(
    "redis-py: strings, keys, transactions, locks, publish/subscribe, administration, over RESP2 and RESP3",
    .enabled(if: hasPython, "scripts/venv makes .venv with redis-py"))
  func redisPy() throws {
    let server = try NexusServer()
    let result = try ChildProcess.run(
      Self.python, [Self.repository + "/Tests/Clients/redis_py.py", "\(server.redisPort)", server.unixPath],
      environment: ["PYTHONDONTWRITEBYTECODE=1"], seconds: 120)
    #expect(result.status == 0, "\(result.output)")
    #expect(!result.output.contains("FAIL"))
  }

  @Test("redis-cli: commands, RESP3, --scan, --stat, --bigkeys, --pipe")
  func redisCLI() throws {
    let server = try NexusServer()
    let cli = "redis-cli -p \(server.redisPort)"
    #expect(try shell("\(cli) SET greeting 'hello world'") == "OK\n")
    #expect(try shell("\(cli) GET greeting") == "hello world\n")
    #expect(try shell("\(cli) -u redis://127.0.0.1:\(server.redisPort)/3 DBSIZE") == "0\n")
    #expect(try shell("\(cli) -3 --json CONFIG GET maxclients").contains("\"maxclients\":\"10000\""))
    #expect(try shell("\(cli) -3 HELLO").contains("proto"))
    #expect(try shell("redis-cli -s \(server.unixPath) PING") == "PONG\n")
    _ = try shell("for i in $(seq 500); do echo SET key:$i value$i; done | \(cli) > /dev/null")
    #expect(try shell("\(cli) --scan --pattern 'key:*' | sort -u | wc -l") == "500\n")
    let pipe = "for i in $(seq 1000); do printf 'SET piped:%s x\\r\\n' $i; done | \(cli) --pipe"
    #expect(try shell(pipe).contains("errors: 0, replies: 1000"))
    let stat = try shell("timeout 1 stdbuf -oL \(cli) -i 0.2 --stat || true")
    #expect(stat.contains("keys") && stat.contains("1501") && !stat.contains("92233720368"), "\(stat)")
    #expect(try shell("\(cli) --bigkeys").contains("Biggest string found"))
    #expect(try shell("\(cli) --memkeys").contains("Sampled 1501 keys"))
    #expect(try shell("\(cli) --eval /dev/null 2>&1 || true").contains("ERR"))
    #expect(try shell("\(cli) COMMAND DOCS get").contains("summary"))
    #expect(try shell("\(cli) LOLWUT").contains("NexusCache"))
  }

  @Test("redis-cli MONITOR prints what other clients do")
  func redisCLIMonitor() throws {
    let server = try NexusServer()
    let directory = Environment.makeTemporaryDirectory()
    let program = try #require(Environment.find(program: "redis-cli"))
    let monitor = try ChildProcess(program, ["-p", "\(server.redisPort)", "MONITOR"], output: directory + "/out")
    #expect(eventually { monitor.output.contains("OK") })
    try server.connect().ask("SET", "watched", "by monitor")
    #expect(eventually { monitor.output.contains("\"SET\" \"watched\" \"by monitor\"") }, "\(monitor.output)")
    monitor.stop(with: SIGKILL)
  }

  @Test("redis-benchmark runs its usual commands")
  func redisBenchmark() throws {
    let server = try NexusServer()
    let commands = "ping,set,get,incr,mset"
    for options in ["-P 1 -c 20", "-P 16 -c 20 -r 1000"] {
      let output = try shell("redis-benchmark -p \(server.redisPort) -n 5000 -q -t \(commands) \(options) 2>&1")
      #expect(!output.contains("rror"), "\(output)")
      for name in ["PING_INLINE", "SET", "GET", "INCR", "MSET"] {
        #expect(output.contains("\(name)"), "\(output)")
      }
    }
    #expect(try server.connect().info("stats").number("total_error_replies") == 0)
  }

  @Test("curl: the HTTP door shows what the Redis door wrote")
  func curl() throws {
    let server = try NexusServer()
    let base = "http://127.0.0.1:\(server.httpPort)"
    try server.connect().ask("SET", "from-redis", "value")
    let raw = "-H 'Accept: application/octet-stream'"
    #expect(try shell("curl -sf \(raw) \(base)/api/cache/from-redis") == "value")
    _ = try shell(
      "curl -sf -X PUT -H 'Content-Type: application/octet-stream' --data-binary 'from curl' \(base)/api/cache/page")
    #expect(try server.connect().ask("GET", "page") == .text("from curl"))
    #expect(try shell("curl -s -o /dev/null -w '%{http_code}' \(base)/api/cache/missing") == "404")
    #expect(try shell("curl -sf \(base)/health").contains("{"))
    #expect(try shell("curl -sf \(base)/metrics").contains("# TYPE"))
  }
}
