import Glibc
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Programs that know clusters, unchanged.
  @Suite struct Clients {
    private func shell(_ cluster: ClusterOfProcesses, _ script: String) throws -> String {
      let bash = try #require(Environment.find(program: "bash"))
      let result = try ChildProcess.run(bash, ["-c", script])
      cluster.expect(result.status == 0, "\(script): \(result.output)")
      return result.output
    }

    private func python(_ cluster: ClusterOfProcesses, _ arguments: [Int]) throws -> String {
      let script = ClientTests.repository + "/Tests/Clients/redis_cluster.py"
      let result = try ChildProcess.run(
        ClientTests.python, [script] + arguments.map { "\($0)" }, environment: ["PYTHONDONTWRITEBYTECODE=1"])
      cluster.expect(result.status == 0, result.output)
      return result.output
    }

    @Test(
      "redis-py's RedisCluster, begun at a port that redirects and at one that forwards",
      .enabled(if: ClientTests.hasPython, "scripts/venv makes .venv with redis-py"))
    func redisPy() throws {
      try ClusterOfProcesses.story(3) { cluster in
        for port in [cluster[0].clusterPort, cluster[1].redisPort] {
          let output = try python(cluster, [port, cluster[2].redisPort])
          cluster.expect(output.split(separator: "\n").count { $0.hasPrefix("ok") } == 6, output)
        }
      }
    }

    @Test(
      "redis-py's RedisCluster counts on while a node joins and one leaves",
      .enabled(if: ClientTests.hasPython, "scripts/venv makes .venv with redis-py"))
    func redisPyGoesOn() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let script = ClientTests.repository + "/Tests/Clients/redis_cluster.py"
        let directory = Environment.makeTemporaryDirectory()
        defer {
          unlink(directory + "/output")
          rmdir(directory)
        }
        let counting = try ChildProcess(
          ClientTests.python, [script, "\(cluster[0].clusterPort)", "\(cluster[1].redisPort)", "6"],
          environment: ["PYTHONDONTWRITEBYTECODE=1"], output: directory + "/output")
        usleep(1_000_000)
        try cluster.add()
        try cluster.waitUntilWhole()
        cluster.expect(cluster[2].leave() == 0)
        try cluster.waitUntilWhole()
        cluster.expect(counting.waitForExit(seconds: 40) == 0, counting.output)
      }
    }

    @Test("redis-cli -c follows MOVED; redis-benchmark --cluster finds every node")
    func redisPrograms() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let own = try cluster.nodes.map { try $0.ownKeys("cli", 1)[0] }
        for node in cluster.nodes {
          let cli = "redis-cli -c -p \(node.clusterPort)"
          for (key, owner) in zip(own, cluster.nodes) {
            let value = "\(key) by \(node.id)"
            cluster.expect(try shell(cluster, "\(cli) SET '\(key)' '\(value)'") == "OK\n")
            cluster.expect(try shell(cluster, "redis-cli -p \(owner.clusterPort) GET '\(key)'") == "\(value)\n")
            let direct = try shell(cluster, "redis-cli -p \(node.clusterPort) GET '\(key)'")
            let moved = "MOVED \(key.keySlot) 127.0.0.1:\(owner.clusterPort)\n\n"
            cluster.expect(direct == (owner === node ? "\(value)\n" : moved), direct)
          }
        }
        let check = try shell(cluster, "redis-cli --cluster check 127.0.0.1:\(cluster[0].clusterPort) 2>&1 || true")
        cluster.expect(check.contains("All 16384 slots covered"), check)
        for port in [cluster[1].clusterPort, cluster[1].redisPort] {
          let benchmark = "redis-benchmark --cluster -p \(port) -q -t get,set -n 20000 -c 10"
          let output = try shell(cluster, benchmark + " 2>&1")
          cluster.expect(output.contains("SET: ") && output.contains("GET: ") && !output.contains("rror"), output)
        }
        for node in cluster.nodes {
          let info = InfoReply(try node.client().ask("INFO", "stats").string ?? "")
          cluster.expect((info.number("total_commands_processed") ?? 0) > 1000, "nothing came to \(node.id)")
        }
      }
    }
  }
}
