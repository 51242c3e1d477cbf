import Glibc
import NexusTestSupport
import Testing

/// Programs that people have already, doing with a node what they do with Redis.
@Suite struct RealClientTests {
  private static let root = String(
    #filePath.prefix(while: { _ in true }).split(separator: "/").dropLast(3).map { "/" + $0 }.joined())
  private static var python: String { root + "/.venv/bin/python" }
  private static var hasPython: Bool { access(python, X_OK) == 0 }

  @Test(.enabled(if: hasPython, "scripts/venv makes the Python environment"), arguments: [2, 3])
  func redisPySpeaksToUsInBothProtocols(_ version: Int) throws {
    let server = try NexusServer()
    let (status, output) = try ChildProcess.run(
      Self.python, [Self.root + "/Tests/RealClientTests/redis_py.py", "\(server.redisPort)", "\(version)"])
    #expect(status == 0, "\(output)")
  }

  @Test func redisCLISetsAndGets() throws {
    let server = try NexusServer()
    let cli = try #require(Environment.find(program: "redis-cli"))
    func ask(_ words: String...) throws -> String {
      try ChildProcess.run(cli, ["-p", "\(server.redisPort)"] + words).output
    }
    #expect(try ask("ping") == "PONG\n")
    #expect(try ask("set", "greeting", "hello") == "OK\n")
    #expect(try ask("get", "greeting") == "hello\n")
    #expect(try ask("-3", "hello").contains("proto 3") || ask("-3", "hello").contains("proto"))
    #expect(try ask("info", "server").contains("redis_version:"))
    #expect(try ask("--no-raw", "get", "nothing") == "(nil)\n")
    #expect(try ask("--scan", "--pattern", "gree*") == "greeting\n")
    #expect(
      try ChildProcess.run(cli, ["-s", server.unixPath, "get", "greeting"]).output == "hello\n", "over the Unix socket")
  }

  @Test func redisBenchmarkRunsThrough() throws {
    let server = try NexusServer()
    let benchmark = try #require(Environment.find(program: "redis-benchmark"))
    let (status, output) = try ChildProcess.run(
      benchmark, ["-p", "\(server.redisPort)", "-n", "2000", "-P", "16", "-q", "-t", "ping,set,get,incr,mset"])
    #expect(status == 0, "\(output)")
    for test in ["PING_INLINE", "PING_MBULK", "SET", "GET", "INCR", "MSET"] { #expect(output.contains(test)) }
    #expect(!output.contains("Error"), "\(output)")
  }

  @Test func curlPutsAndGets() throws {
    let server = try NexusServer()
    let curl = try #require(Environment.find(program: "curl"))
    let base = "http://127.0.0.1:\(server.httpPort)"
    func ask(_ words: String...) throws -> String { try ChildProcess.run(curl, ["-s"] + words).output }
    let json = "Content-Type: application/json"
    #expect(
      try ask("-X", "PUT", "-H", json, "-d", #"{"value":"hello","ttl":60}"#, base + "/api/cache/greeting")
        .contains(#""success":true"#))
    #expect(try ask(base + "/api/cache/greeting").contains(#""value":"hello""#))
    #expect(try ask("-H", "Accept: application/octet-stream", base + "/api/cache/greeting") == "hello")
    #expect(try ask("-X", "DELETE", base + "/api/cache/greeting").contains(#""success":true"#))
    #expect(try ask("-o", "/dev/null", "-w", "%{http_code}", base + "/api/cache/greeting") == "404")
    #expect(try ask("-o", "/dev/null", "-w", "%{http_code}", base + "/health") == "200")
    #expect(try ask(base + "/metrics").contains("# TYPE"))
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
