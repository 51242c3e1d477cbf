import Foundation
import NexusTestSupport
import Testing

/// `/api/get` and `/api/set` of real processes, with an origin behind them.
@Suite(.serialized) struct FormStories {
  private func figure(_ name: String, _ page: String) -> Double {
    page.split(separator: "\n").filter { $0.hasPrefix(name) && !$0.hasPrefix(name + "_") }
      .reduce(0) { $0 + (Double($1.split(separator: " ").last!) ?? 0) }
  }

  @Test("Callers that wait for one key share its load, and the metrics say so")
  func sharedLoads() throws {
    let origin = try NexusServer()
    let port = NexusServer.freePorts(1)[0]
    let server = try NexusServer([
      "--form-port", "\(port)", "--form-group", "scores", "--namespace",
      "scores:max-entries=50;origin=redis://127.0.0.1:\(origin.redisPort)/0?timeout=60s",
    ])
    let curl = try #require(Environment.find(program: "curl"))
    let door = "http://127.0.0.1:\(port)"
    #expect(try origin.connect().ask("SET", "slow", "630").string == "OK")
    // It listens, and answers nobody.
    origin.process.signal(SIGSTOP)
    let directory = Environment.makeTemporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let callers = try (0..<6).map { number in
      try ChildProcess(curl, ["-s", "\(door)/api/get?key=slow"], output: "\(directory)/\(number)")
    }
    let isWaiting = try eventually(seconds: 30) {
      figure("nexuscache_singleflight_dedup_total", try self.page(curl, server)) == 5
    }
    origin.process.signal(SIGCONT)
    #expect(isWaiting)
    for caller in callers {
      #expect(caller.waitForExit(seconds: 30) == 0)
      #expect(caller.output == "value=630")
    }
    for number in 0..<80 {
      // The last one alone expires, so that however slow the day there is something to evict before.
      let form = "key=k\(number)&value=v&expire=\(number == 79 ? 1 : 0)"
      #expect(try ChildProcess.run(curl, ["-s", "\(door)/api/set", "-d", form]).output == "done")
    }
    #expect(
      try eventually(seconds: 30) { figure("nexuscache_cache_expirations_total", try self.page(curl, server)) > 0 })
    let page = try self.page(curl, server)
    #expect(figure("nexuscache_origin_loads_total", page) == 1)
    #expect(figure("nexuscache_cache_evictions_total", page) > 0)
    #expect(figure(#"nexuscache_requests_total{operation="set",status="ok"}"#, page) == 80)
    #expect(figure("nexuscache_request_duration_seconds_count", page) >= 86)
  }

  private func page(_ curl: String, _ server: NexusServer) throws -> String {
    try ChildProcess.run(curl, ["-s", "http://127.0.0.1:\(server.httpPort)/metrics"]).output
  }

  @Test("Keys that the origin does not have cost it next to nothing where its keys are listed, and new ones come")
  func absentKeys() throws {
    let directory = Environment.makeTemporaryDirectory()
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let path = directory + "/scores.db"
    let python = try #require(Environment.find(program: "python3"))
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2]); c.commit()"
    func sql(_ statement: String) throws {
      #expect(try ChildProcess.run(python, ["-c", script, path, statement]).status == 0)
    }
    try sql("CREATE TABLE scores(key TEXT PRIMARY KEY, value); INSERT INTO scores VALUES('Tom', 630)")
    let query = "query=SELECT%20value%20FROM%20scores%20WHERE%20key%20=%20?"
    let server = try NexusServer([
      "--origin", "sqlite:\(path)?\(query)&keys=SELECT%20key%20FROM%20scores&keys-every=500ms", "--absent-ttl", "1h",
    ])
    let client = try server.connect()
    #expect(try client.ask("GET", "Tom").string == "630")
    for _ in 0..<2 {
      for start in stride(from: 0, to: 20_000, by: 500) {
        let keys = (start..<(start + 500)).map { "nobody-\($0)" }
        for key in keys { try client.send(RESPClient.encode(["GET", key].map { Array($0.utf8) })) }
        for _ in keys { #expect(try client.read().string == nil) }
      }
    }
    let curl = try #require(Environment.find(program: "curl"))
    let page = try page(curl, server)
    // 0.1% of 20,000 is 20; 80 is thirteen standard deviations away.
    #expect(figure("nexuscache_origin_loads_total", page) <= 80)
    #expect(figure("nexuscache_guarded_answers_total", page) >= 39_000)
    try sql("INSERT INTO scores VALUES('Jack', 589)")
    #expect(try eventually(seconds: 30) { try client.ask("GET", "Jack").string == "589" })
  }

  @Test("An origin that cannot be reached is a clear error")
  func anOriginThatIsGone() throws {
    let port = NexusServer.freePorts(1)[0]
    let server = try NexusServer([
      "--form-port", "\(port)", "--origin", "redis://127.0.0.1:\(NexusServer.freePorts(1)[0])/0?timeout=1s&retries=0",
    ])
    defer { _ = server }
    let curl = try #require(Environment.find(program: "curl"))
    let reply = try ChildProcess.run(
      curl, ["-s", "-w", " %{http_code}", "http://127.0.0.1:\(port)/api/get?key=Tom"]
    ).output
    #expect(reply.hasPrefix("The origin redis://127.0.0.1") && reply.hasSuffix(" 502"), "\(reply)")
  }

  @Test(
    "A port that is another door's, and a group that there is not, are refused",
    arguments: [
      (["--form-port", "8080"], "nexuscache: form-port cannot be '8080': http-port is the same"),
      (["--form-group", "scores"], "nexuscache: form-group cannot be 'scores': declare this namespace with namespace"),
    ])
  func refusals(_ arguments: [String], _ beginning: String) throws {
    let result = try ChildProcess.run(NexusServer.executable, ["serve"] + arguments, seconds: 20)
    #expect(result.status == 1 && result.output.hasPrefix(beginning), "\(result.output)")
  }
}
