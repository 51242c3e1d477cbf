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
