import Glibc
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Whoever does not belong to the cluster stays outside; whoever sends it nonsense does no harm.
  @Suite struct Strangers {
    private func isReady(_ node: ClusterOfProcesses.Node) -> Bool {
      // Without an answer it is not there yet, or no more.
      (try? node.http("GET", "/health/ready").status) == 200
    }

    @Test("another secret, another name, another way to place slots: kept out, and the log says so")
    func otherSettings() throws {
      try ClusterOfProcesses.story(2) { cluster in
        // What the stranger says, or whom it asked.
        let strangers = [
          ("--cluster-secret", "guessed", "does not know this cluster's secret"),
          ("--cluster-name", "elsewhere", "it belongs to the cluster 'elsewhere', this node to 'stories'"),
          ("--virtual-nodes", "10", "virtual-nodes 10, replicas 1) than this node"),
          ("--replicas", "2", "virtual-nodes 150, replicas 2) than this node"),
        ]
        for (flag, value, says) in strangers {
          let stranger = try cluster.addStranger("x" + value, [flag, value])
          let hasSaid = eventually { stranger.log.contains(says) || cluster[0].log.contains(says) }
          cluster.expect(hasSaid, "nobody says '\(says)':\n\(stranger.log)")
          cluster.expect(!isReady(stranger), "\(flag) \(value) is taken in")
          stranger.kill()
        }
        for node in cluster.nodes { cluster.expect(try node.state().members.count == 2, "another is a member") }
        try cluster.stillServes()
      }
    }

    @Test("two nodes with one id: the later one stops, and says why")
    func oneIdentity() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let second = try cluster.addStranger("n3", [])
        cluster.expect(second.process.waitForExit(seconds: 20) != nil, "both run:\n\(second.log)")
        cluster.expect(second.log.contains("another process is this member already"), second.log)
        try cluster.waitUntilWhole()
        try cluster.stillServes()
      }
    }

    @Test("a node that shall join itself, or a name that nobody has, says so")
    func nobodyThere() throws {
      try ClusterOfProcesses.story(1) { cluster in
        let node = cluster[0]
        let itself = try node.http("POST", "/v1/cluster/join", Array(#"{"address":"\#(node.peerAddress)"}"#.utf8))
        cluster.expect(itself.status == 409 && itself.text.contains("this node itself"), itself.text)
        let seed = "no-such-host.invalid:7946"
        let lonely = try cluster.add(1, join: [seed])[0]
        cluster.expect(eventually { lonely.log.contains("no-such-host.invalid") }, lonely.log)
        cluster.expect(lonely.isRunning && node.isRunning)
        // It has not begun a cluster of its own, and joins one as soon as it is told of one.
        cluster.expect(!isReady(lonely))
        let joined = try lonely.http("POST", "/v1/cluster/join", Array(#"{"address":"\#(node.peerAddress)"}"#.utf8))
        cluster.expect(joined.status == 200, joined.text)
        try cluster.waitUntilWhole()
      }
    }

    @Test("two clusters become one when a member of one is told of the other; each key is still there")
    func twoBecomeOne() throws {
      try ClusterOfProcesses.story(1) { cluster in
        let others = try cluster.add(1, join: [])
        cluster.expect(eventually { (try? others[0].state().slots) == 16384 })
        let (first, second) = (try cluster[0].client(), try others[0].client())
        for index in 0..<300 {
          try first.ask("SET", "first:\(index)", "\(index)")
          try second.ask("SET", "second:\(index)", "\(index)")
        }
        cluster.expect(try first.ask("DBSIZE") == .integer(300))
        let seed = Array(#"{"address":"\#(cluster[0].peerAddress)"}"#.utf8)
        cluster.expect(try others[0].http("POST", "/v1/cluster/join", seed).status == 200)
        try cluster.waitUntilWhole()
        for client in [first, second] {
          let count = try client.ask("DBSIZE")
          cluster.expect(count == .integer(600), "\(count)")
          for index in 0..<300 {
            cluster.expect(try client.ask("GET", "first:\(index)") == .text("\(index)"))
            cluster.expect(try client.ask("GET", "second:\(index)") == .text("\(index)"))
          }
        }
      }
    }

    @Test("garbage on the peer port, over TCP and UDP: counted or logged, and the cluster goes on")
    func garbage() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let port = cluster[0].peerPort
        var dice = Dice(seed: Dice.seed())
        let load = CountingLoad(clients: 2, cluster.nodes)
        let tls: [UInt8] = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xFC, 3, 3] + (0..<500).map { _ in UInt8(dice.below(256)) }
        let http2 = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        // SETTINGS, then a frame that says it is longer than any may be.
        let endless = http2 + [0, 0, 0, 4, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0, 1]
        let inputs: [[UInt8]] = [
          Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), tls, Array("*1\r\n$4\r\nPING\r\n".utf8),
          (0..<4096).map { _ in UInt8(dice.below(256)) }, http2 + tls,
        ]
        for input in inputs {
          let client = try RESPClient(.tcp(port: port), timeoutSeconds: 10)
          try? client.send(input)
          client.finishSending()
          _ = try? client.readToEnd()
        }
        let client = try RESPClient(.tcp(port: port), timeoutSeconds: 10)
        try client.send(endless)
        let block = [UInt8](repeating: 0, count: 1 << 20)
        // What is sent once the node has said goodbye is thrown away.
        for _ in 0..<32 { try? client.send(block) }
        client.finishSending()
        let farewell = String(decoding: (try? client.readToEnd()) ?? [], as: UTF8.self)
        cluster.expect(farewell.contains("too large frame size"), farewell)
        try Self.datagrams(2000, to: port, &dice)
        cluster.expect(load.goesOn(for: 300))
        try cluster.expectNothingFailed(load.stop())
        cluster.expect(cluster[0].log.contains("a datagram was dropped"), "nobody speaks of the datagrams")
        cluster.expect(cluster[0].log.split(separator: "\n").count < 200, "each of them is a line of its own")
        for node in cluster.nodes { cluster.expect(try node.state().alive == 2) }
        try cluster.stillServes()
      }
    }

    /// Random bytes, from none to more than the network takes in one piece.
    private static func datagrams(_ count: Int, to port: Int, _ dice: inout Dice) throws {
      let descriptor = socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
      defer { close(descriptor) }
      var address = sockaddr_in()
      address.sin_family = sa_family_t(AF_INET)
      address.sin_port = in_port_t(port).bigEndian
      address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
      for index in 0..<count {
        let length = index % 100 == 0 ? 60_000 : dice.below(1400)
        let byte = UInt8(dice.below(256))
        let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* $0) ^ byte }
        _ = withUnsafePointer(to: &address) {
          $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            sendto(descriptor, bytes, bytes.count, 0, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
          }
        }
      }
    }
  }
}

extension ClusterOfProcesses {
  /// Every member serves every member's keys.
  func stillServes(_ location: SourceLocation = #_sourceLocation) throws {
    let clients = try running.map { try $0.client() }
    for index in 0..<30 {
      let key = "still:\(index)"
      expect(try clients[index % clients.count].ask("SET", key, "\(index)") == .ok, key, location)
      for client in clients { expect(try client.ask("GET", key) == .text("\(index)"), key, location) }
    }
  }
}
