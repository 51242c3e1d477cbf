import Foundation
import NexusTestSupport
import Testing

/// `nexuscache demo`, as someone starts it in a terminal, and `nexuscache ctl` beside it.
@Suite(.serialized) struct ClusterStories {
  /// A demonstration that has formed, and where its nodes are.
  private final class Demo {
    struct Node {
      var name: String
      var redis: Int
      var http: Int
      var peer: Int
      var pid: pid_t
    }

    let process: ChildProcess
    let nodes: [Node]
    /// Where the nodes' logs are.
    let logs: String
    private let directory = Environment.makeTemporaryDirectory()

    init(_ arguments: String...) throws {
      process = try ChildProcess(NexusServer.executable, ["demo"] + arguments, output: directory + "/output")
      let process = process
      let hasFormed = eventually(seconds: 60) {
        process.output.contains("Stop: Ctrl-C") || process.exitStatus() != nil
      }
      let output = process.output
      guard hasFormed, process.exitStatus() == nil else { throw ServerFailure.doesNotAnswer(output) }
      nodes = output.split(separator: "\n").filter { $0.hasPrefix("node-") }.compactMap { line in
        let words = line.split(separator: " ").map(String.init)
        guard words.count == 5, let pid = pid_t(words[4]) else { return nil }
        let ports = words[1...3].compactMap { Int($0.split(separator: ":").last!) }
        return Node(name: words[0], redis: ports[0], http: ports[1], peer: ports[2], pid: pid)
      }
      logs =
        output.split(separator: "\n").compactMap { line -> String? in
          let parts = line.components(separatedBy: "their logs are in ")
          return parts.count == 2 ? parts[1] : nil
        }.first ?? ""
    }

    deinit {
      process.stop(with: SIGINT)
      if logs.contains("/nexuscache-demo-") { try? FileManager.default.removeItem(atPath: logs) }
      try? FileManager.default.removeItem(atPath: directory)
    }

    func ctl(_ arguments: String..., of node: Int = 0) throws -> (status: Int?, output: String) {
      try ChildProcess.run(
        NexusServer.executable, ["ctl"] + arguments + ["--http", "127.0.0.1:\(nodes[node].http)"], seconds: 60)
    }

    func curl(_ arguments: String...) throws -> String {
      let curl = try #require(Environment.find(program: "curl"))
      return try ChildProcess.run(curl, ["-s", "--noproxy", "*"] + arguments).output
    }
    func url(_ node: Int, _ path: String) -> String { "http://127.0.0.1:\(nodes[node].http)\(path)" }

    func isRunning(_ node: Int) -> Bool { kill(nodes[node].pid, 0) == 0 }
  }

  @Test func threeNodesAreOneCacheThroughEveryDoorUntilCtrlC() throws {
    let demo = try Demo("--threads", "1")
    #expect(demo.nodes.count == 3)
    let clients = try demo.nodes.map { try RESPClient(.tcp(port: $0.redis)) }
    for index in 0..<60 {
      #expect(try clients[index % 3].ask("SET", "k\(index)", "v\(index)").string == "OK")
    }
    for index in 0..<60 {
      #expect(try clients[(index + 1) % 3].ask("GET", "k\(index)").string == "v\(index)")
      let reply = try demo.curl(demo.url((index + 2) % 3, "/api/cache/k\(index)"))
      #expect(reply.contains(#""value":"v\#(index)""#), "\(reply)")
    }
    let stored = try demo.curl("-X", "PUT", "-d", #"{"value":"by HTTP"}"#, demo.url(0, "/api/cache/greeting"))
    #expect(stored.hasPrefix(#"{"success":true,"#), "\(stored)")
    for client in clients { #expect(try client.ask("GET", "greeting").string == "by HTTP") }

    let status = try demo.ctl("status", of: 1)
    #expect(status.status == 0 && status.output.contains("members   3 live of 3"), "\(status.output)")
    let members = try demo.ctl("members")
    for node in demo.nodes {
      #expect(members.output.contains("127.0.0.1:\(node.peer)") && members.output.contains(node.name))
    }
    let slots = try demo.ctl("slots", "--json")
    let json = try #require(JSONSerialization.jsonObject(with: Data(slots.output.utf8)) as? [String: Any])
    let ranges = try #require(json["slots"] as? [[String: Any]])
    #expect(ranges.reduce(0) { $0 + ($1["last"] as! Int) - ($1["first"] as! Int) + 1 } == 16384)
    #expect(try demo.ctl("rebalance").output.contains("No slot is on its way."))

    demo.process.signal(SIGINT)
    #expect(demo.process.waitForExit(seconds: 20) == 0, "\(demo.process.output)")
    for node in demo.nodes.indices { #expect(!demo.isRunning(node)) }
  }

  @Test("The Quick Start works word for word, and what it reads comes from a database")
  func quickStart() throws {
    let demo = try Demo("--threads", "1")
    let shown = try #require(demo.process.output.firstMatch(of: #/http://localhost:(\d+)/api/get\?key=Tom/#))
    let door = "http://localhost:\(shown.1)"
    let before = try figures(demo)
    #expect(try demo.curl("\(door)/api/get?key=Tom") == "value=630")
    #expect(
      try demo.curl("-X", "POST", "\(door)/api/set", "-d", "key=user1&value=Hemant&expire=5&hot=false") == "done")
    #expect(try demo.curl("\(door)/api/get?key=user1") == "value=Hemant")
    // Filled by whichever member executes the key, and read through the others' doors.
    for (name, score) in [("Tom", "630"), ("Jack", "589"), ("Sam", "567"), ("player-17", "352")] {
      #expect(try demo.curl("\(door)/api/get?key=\(name)") == "value=\(score)")
      for node in 0..<3 { #expect(try demo.curl(demo.url(node, "/api/get?key=\(name)")) == "value=\(score)") }
    }
    let client = try RESPClient(.tcp(port: demo.nodes[2].redis))
    #expect(try client.ask("SELECT", "scores").string == "OK")
    #expect(try client.ask("GET", "Tom").string == "630")
    #expect(try demo.curl("-w", " %{http_code}", "\(door)/api/get?key=Nobody") == "no such key 404")
    let met = try demo.curl("-X", "POST", "\(door)/setpeer", "-d", "peer=127.0.0.1:\(demo.nodes[1].peer)")
    #expect(met.contains("node-2"))
    #expect(try eventually(seconds: 20) { try demo.curl("\(door)/api/get?key=user1") == "no such key" })

    let upkeep = demo.url(1, "/v1/cache")
    #expect(try demo.curl("-X", "POST", "\(upkeep)/refresh?key=Tom&namespace=scores").contains(#""begun":1"#))
    #expect(
      try demo.curl("-X", "POST", "\(upkeep)/invalidate?prefix=player&namespace=scores").contains(#""removed":1"#))
    #expect(try demo.curl("\(door)/api/get?key=player-17") == "value=352")

    let after = try figures(demo)
    #expect(after["nexuscache_origin_refreshes_total"] == 1)
    for name in ["requests_total", "request_duration_seconds_count", "peer_requests_total"] {
      #expect(after["nexuscache_\(name)"]! > before["nexuscache_\(name)"]!, "\(name)")
    }
    #expect(after["nexuscache_peer_request_duration_seconds_count"]! > 0)
    #expect(after["nexuscache_cache_expirations_total"]! >= 1)
  }

  /// All samples of all nodes, added up by metric.
  private func figures(_ demo: Demo) throws -> [String: Double] {
    var sums: [String: Double] = [:]
    for node in demo.nodes.indices {
      for line in try demo.curl(demo.url(node, "/metrics")).split(separator: "\n") where !line.hasPrefix("#") {
        let words = line.split(separator: " ")
        sums[String(line.prefix { $0 != "{" && $0 != " " }), default: 0] += Double(words.last!) ?? 0
      }
    }
    return sums
  }

  @Test func aDemonstrationThatIsKilledLeavesNobodyBehind() throws {
    let demo = try Demo("--nodes", "2", "--threads", "1")
    demo.process.signal(SIGKILL)
    #expect(eventually(seconds: 20) { !demo.isRunning(0) && !demo.isRunning(1) })
  }

  @Test func aNodeThatLeavesHandsItsKeysOver() throws {
    let demo = try Demo("--threads", "1")
    let first = try RESPClient(.tcp(port: demo.nodes[0].redis))
    for index in 0..<500 { #expect(try first.ask("SET", "k\(index)", "v\(index)").string == "OK") }
    let left = try demo.ctl("leave", "--timeout", "50", of: 2)
    #expect(left.status == 0 && left.output.hasSuffix("node-3 has left demo\n"), "\(left.output)")
    for index in 0..<500 { #expect(try first.ask("GET", "k\(index)").string == "v\(index)") }
    #expect(
      try eventually(seconds: 20) { try demo.ctl("status").output.contains("members   2 live of 2") })
  }

  @Test func aMemberThatDiesIsSaidAndTheOthersGoOn() throws {
    let demo = try Demo("--threads", "1")
    kill(demo.nodes[2].pid, SIGKILL)
    #expect(eventually { demo.process.output.contains("node-3 (pid \(demo.nodes[2].pid)) was ended by signal 9") })
    #expect(try eventually(seconds: 20) { try demo.ctl("members").output.contains("dead") })
    #expect(demo.process.exitStatus() == nil)
  }

  @Test func nodesThatNobodyTookTogetherAreJoined() throws {
    let ports = NexusServer.freePorts(2)
    let nodes = try (0..<2).map { index in
      try NexusServer(["--peer-port", "\(ports[index])", "--node-id", "n\(index)", "--cluster-name", "joined"])
    }
    let http = "127.0.0.1:\(nodes[0].httpPort)"
    let itself = try ChildProcess.run(
      NexusServer.executable, ["ctl", "join", "127.0.0.1:\(ports[0])", "--http", http], seconds: 60)
    #expect(itself.status == 1 && itself.output.contains("this node itself"), "\(itself.output)")
    let joined = try ChildProcess.run(
      NexusServer.executable, ["ctl", "join", "127.0.0.1:\(ports[1])", "--http", http], seconds: 60)
    #expect(joined.status == 0 && joined.output == "n0 and n1 are one cluster\n", "\(joined.output)")
  }
}
