import Foundation
import Glibc
import NexusModel
import NexusTestSupport
import Testing

extension ClusterTests {
  /// What the stories show once, at length, and measured: `make chaos`. Each part adds its lines to a report.
  @Suite(.enabled(if: Environment["NEXUSCACHE_CHAOS"] != nil, "make chaos runs it"))
  struct Chaos {
    static func report(_ lines: String...) {
      let text = lines.joined(separator: "\n") + "\n"
      print(text)
      guard let path = Environment["NEXUSCACHE_CHAOS_REPORT"], let file = fopen(path, "a") else { return }
      fputs(text, file)
      fclose(file)
    }

    static func seconds(_ value: Double) -> String { String(format: "%.2f s", value) }

    static func summary(_ values: [Double]) -> String {
      let sorted = values.sorted()
      return "median \(seconds(sorted[sorted.count / 2])), worst \(seconds(sorted.last!))"
    }

    @Test("operations from every node of a healthy cluster, through the doors for Redis and HTTP", arguments: [3, 5])
    func healthy(_ count: Int) throws {
      let each = Environment.number("NEXUSCACHE_CHAOS_OPERATIONS", default: 1_000_000)
      try ClusterOfProcesses.story(count) { cluster in
        let start = MonotonicClock.seconds()
        let refused = Guarded<[String]>([])
        let ports = cluster.nodes.map(\.httpPort)
        let byHTTP = ports.indices.map { number in
          Background {
            for index in 0..<each / 100 {
              let (key, text) = ("http:\(number):\(index % 50)", "\(index)")
              let path = "/api/cache/\(key)"
              let put = try? HTTPExchange("PUT", path, Array(text.utf8), port: ports[number])
              let got = try? HTTPExchange("GET", path, port: ports[(number + index) % ports.count])
              if put.map({ $0.status < 300 }) != true || got?.text != text {
                refused.withLock { $0.append("\(path): \(put?.text ?? "no answer") \(got?.text ?? "no answer")") }
              }
            }
          }
        }
        let load = CountingLoad(clients: count, cluster.nodes, operationsEach: each)
        let tally = load.finish()
        for thread in byHTTP { thread.join() }
        let taken = MonotonicClock.seconds() - start
        try cluster.expectNothingFailed(tally)
        let wrong = refused.withLock { $0 }
        cluster.expect(wrong.isEmpty, "\(wrong.count) over HTTP: \(wrong.prefix(3))")
        Self.report(
          "| healthy, \(count) nodes | \(tally.operations) operations by Redis, \(2 * count * (each / 100)) by HTTP, "
            + "in \(Self.seconds(taken)) | \(tally.failures.count + wrong.count) failed, \(tally.wrong.count) wrong |")
      }
    }

    @Test("kill -9 at random moments: how long until nothing fails")
    func kills() throws {
      let count = Environment.number("NEXUSCACHE_CHAOS_KILLS", default: 20)
      let seed = Dice.seed()
      print("NEXUS_SEED=\(seed)")
      var dice = Dice(seed: seed)
      try ClusterOfProcesses.story(3) { cluster in
        var failing: [Double] = []
        var late: [Double] = []
        for round in 1...count {
          try cluster[0].client().ask("FLUSHALL")
          let load = CountingLoad(clients: 6, cluster.nodes, mayForget: true)
          cluster.expect(load.goesOn(for: 300))
          usleep(UInt32(dice.below(1_000_000)))
          let victim = cluster[dice.below(3)]
          let moment = MonotonicClock.seconds()
          victim.kill()
          usleep(5_000_000)
          let tally = load.stop()
          cluster.expect(tally.wrong.isEmpty, "\(tally.wrong.prefix(3))")
          failing.append(tally.failures.map { $0.at - moment }.max() ?? 0)
          late.append(tally.recovery(from: moment, to: .infinity))
          print("kill \(round): \(victim.id), \(failing.last!), \(late.last!); \(tally.reasons)")
          cluster.expect(late.last! < 4.5, "operations still fail or wait 4.5 s after kill \(round)")
          try cluster.restart(victim)
          try cluster.waitUntilWhole(seconds: 60)
        }
        Self.report(
          "| kill -9 of one of three, \(count) times | last operation that failed: \(Self.summary(failing)) "
            + "| last that failed or took over 0.25 s: \(Self.summary(late)) |")
      }
    }

    @Test("busy processors are no reason to take a member for dead")
    func busy() throws {
      let seconds = Environment.number("NEXUSCACHE_CHAOS_SECONDS", default: 600)
      let shell = try #require(Environment.find(program: "sh"))
      let directory = Environment.makeTemporaryDirectory()
      defer { rmdir(directory) }
      try ClusterOfProcesses.story(5, ["--log-level", "debug"]) { cluster in
        let spinning = try (0..<sysconf(Int32(_SC_NPROCESSORS_ONLN))).map { _ in
          try ChildProcess(shell, ["-c", "while :; do :; done"], output: "/dev/null")
        }
        defer { for process in spinning { process.stop(with: SIGKILL) } }
        let load = CountingLoad(clients: 3, cluster.nodes)
        let end = MonotonicClock.seconds() + Double(seconds)
        while MonotonicClock.seconds() < end {
          usleep(500_000)
          for node in cluster.nodes { cluster.expect(node.isRunning, "\(node.id) has ended") }
        }
        let tally = load.stop()
        try cluster.expectNothingFailed(tally)
        let logs = cluster.nodes.map(\.log)
        let deaths = cluster.deaths
        let suspicions = logs.reduce(0) { $0 + $1.components(separatedBy: "a member is suspect").count - 1 }
        cluster.expect(deaths == 0, "\(deaths) times a living member was taken for dead")
        Self.report(
          "| busy processors, 5 nodes, \(seconds) s, \(tally.operations) operations "
            + "| \(deaths) false deaths, \(suspicions) suspicions refuted | \(tally.failures.count) failed |")
      }
    }
  }
}
