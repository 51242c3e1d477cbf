import NexusModel
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Whatever is asked, and wherever: it is one cache.
  @Suite struct EveryDoor {
    @Test("every door of every node sees every key, and what is put, changed and deleted through another")
    func everyKeyEverywhere() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        for index in 0..<90 {
          let key = "k\(index)"
          let (node, next) = (cluster[index % 3], cluster[(index + 1) % 3])
          let isByHTTP = index % 2 == 0
          if isByHTTP {
            let status = try node.http("PUT", "/api/cache/\(key)", Array("v\(index)".utf8)).status
            cluster.expect(status == 200 || status == 201, "PUT at \(node.id): \(status)")
          } else {
            cluster.expect(try clients[index % 3].ask("SET", key, "v\(index)") == .ok)
          }
          for (client, other) in zip(clients, cluster.nodes) {
            cluster.expect(try client.ask("GET", key) == .text("v\(index)"), "GET \(key) at \(other.id)")
            let got = try other.http("GET", "/api/cache/\(key)")
            cluster.expect(got.status == 200 && got.text == "v\(index)", "\(key) at \(other.id): \(got.text)")
          }
          if index % 3 == 0 {
            cluster.expect(try next.http("DELETE", "/api/cache/\(key)").status < 300)
            cluster.expect(try clients[index % 3].ask("GET", key) == .nullBulk, "\(key) was deleted")
            cluster.expect(try node.http("GET", "/api/cache/\(key)").status == 404)
          }
        }
      }
    }

    @Test("a pipeline of keys of all nodes is answered in order, and each request sees those before it")
    func pipelines() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        for node in cluster.nodes {
          var requests: [[[UInt8]]] = []
          var expected: [RESPValue] = []
          for index in 0..<600 {
            let key = "p:\(node.id):\(index % 150)"
            let text = "\(index)"
            for words in [["SET", key, text], ["APPEND", key, "x"], ["GET", key], ["ECHO", text]] {
              requests.append(words.map { Array($0.utf8) })
            }
            expected += [.ok, .integer(Int64(text.utf8.count + 1)), .text(text + "x"), .text(text)]
          }
          let replies = try node.client().pipeline(requests)
          let wrong = zip(replies, expected).enumerated().filter { $0.element.0 != $0.element.1 }
          cluster.expect(wrong.isEmpty, "\(node.id): \(wrong.count) replies, \(wrong.prefix(3))")
        }
      }
    }

    @Test("MGET, MSET, DEL and EXISTS over all owners; keys that need one owner and have several are CROSSSLOT")
    func severalKeys() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let keys = (0..<60).map { "m\($0)" }
        let owners = try cluster[0].owners()
        cluster.expect(Set(keys.map { owners[$0.keySlot] }).count == 3)
        let clients = try cluster.nodes.map { try $0.client() }
        func ask(_ node: Int, _ words: [String]) throws -> RESPValue {
          try clients[node].ask(words.map { Array($0.utf8) })
        }
        cluster.expect(try ask(0, ["MSET"] + keys.flatMap { [$0, "v" + $0] }) == .ok)
        for node in 0..<3 {
          let values: [RESPValue] = keys.map { .text("v" + $0) } + [.nullBulk]
          cluster.expect(try ask(node, ["MGET"] + keys + ["none"]) == .array(values))
        }
        cluster.expect(try ask(1, ["EXISTS"] + keys + keys) == .integer(120))
        cluster.expect(try ask(1, ["DEL"] + keys[..<20] + ["none"]) == .integer(20))
        cluster.expect(try ask(2, ["UNLINK"] + keys[20..<40]) == .integer(20))
        cluster.expect(try ask(0, ["TOUCH"] + keys) == .integer(20))
        for words in [["MSETNX", "m1", "1", "m2", "2"], ["RENAME", "m41", "m42"], ["COPY", "m41", "m42"]] {
          let reply = try ask(2, words)
          cluster.expect(reply.string?.hasPrefix("CROSSSLOT") == true, "\(words): \(reply)")
        }
        cluster.expect(try ask(2, ["MSETNX", "{m}1", "1", "{m}2", "2"]) == .integer(1))
        cluster.expect(try ask(0, ["RENAME", "{m}1", "{m}3"]) == .ok)
        cluster.expect(try ask(1, ["MGET", "{m}1", "{m}2", "{m}3"]) == .array([.nullBulk, .text("2"), .text("1")]))
      }
    }

    @Test("a transaction runs on its slot's owner, wherever the client is; what another node writes ends a WATCH")
    func transactions() throws {
      try ClusterOfProcesses.story(3) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        for (index, node) in cluster.nodes.enumerated() {
          let key = try node.ownKeys("t", 1)[0]
          let (near, far, third) = (clients[index], clients[(index + 1) % 3], clients[(index + 2) % 3])
          for client in [far, near] {
            try client.ask("DEL", key)
            cluster.expect(try client.ask("MULTI") == .ok)
            for _ in 0..<3 { cluster.expect(try client.ask("INCR", key).string == "QUEUED") }
            cluster.expect(try third.ask("GET", key) == .nullBulk)
            cluster.expect(try client.ask("EXEC") == .array([.integer(1), .integer(2), .integer(3)]))

            cluster.expect(try client.ask("WATCH", key) == .ok)
            try third.ask("SET", key, "by another")
            try client.ask("MULTI")
            try client.ask("SET", key, "mine")
            cluster.expect(try client.ask("EXEC") == .nullArray, "watched \(key) of \(node.id)")
            cluster.expect(try client.ask("WATCH", key) == .ok)
            try client.ask("MULTI")
            try client.ask("SET", key, "mine")
            cluster.expect(try client.ask("EXEC") == .array([.ok]))
            cluster.expect(try third.ask("GET", key) == .text("mine"))

            try client.ask("MULTI")
            cluster.expect(try client.ask("INCR", key + "{x}").isError == false)
            cluster.expect(try client.ask("INCR", key + "{y}").string?.hasPrefix("CROSSSLOT") == true)
            cluster.expect(try client.ask("EXEC").string?.hasPrefix("EXECABORT") == true)
          }
        }
      }
    }

    @Test("SCAN, KEYS, DBSIZE, RANDOMKEY and FLUSHALL are about the whole cluster")
    func wholeKeyspace() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        let names = Set((0..<2000).map { "s\($0)" })
        _ = try clients[0].pipeline(names.map { ["SET", $0, "x"].map { Array($0.utf8) } })
        for client in clients {
          cluster.expect(try client.ask("DBSIZE") == .integer(2000))
          cluster.expect(Set(try client.ask("KEYS", "*").elements?.compactMap(\.string) ?? []) == names)
          cluster.expect(try client.ask("RANDOMKEY").string.map { names.contains($0) } == true)
        }
        // Each step asks another node.
        var (cursor, seen, steps) = ("0", [String](), 0)
        repeat {
          let reply = try clients[steps % 3].ask("SCAN", cursor, "COUNT", "70")
          cursor = reply[0]?.string ?? "0"
          seen += reply[1]?.elements?.compactMap(\.string) ?? []
          steps += 1
        } while cursor != "0" && steps < 10_000
        cluster.expect(Set(seen) == names && seen.count == 2000, "\(seen.count) in \(steps) steps")
        cluster.expect(try clients[1].ask("FLUSHALL") == .ok)
        for client in clients { cluster.expect(try client.ask("DBSIZE") == .integer(0)) }
      }
    }

    @Test("what is published on one node reaches subscribers of all, once and in order")
    func messages() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let subscribers = try cluster.nodes.map { try $0.client() }
        for subscriber in subscribers {
          try subscriber.ask("SUBSCRIBE", "news")
          try subscriber.ask("PSUBSCRIBE", "n?ws")
        }
        let publishers = try cluster.nodes.map { try $0.client() }
        for index in 0..<90 {
          let count = try publishers[index / 30].ask("PUBLISH", "news", "\(index)")
          cluster.expect(count == .integer(6), "PUBLISH answers \(count)")
        }
        for subscriber in subscribers {
          let messages = try (0..<180).map { _ in try subscriber.read() }
          for kind in ["message", "pmessage"] {
            let texts = messages.filter { $0[0]?.string == kind }.compactMap { $0.elements?.last?.string }
            cluster.expect(texts == (0..<90).map { "\($0)" }, "\(kind): \(texts)")
          }
        }
        cluster.expect(try publishers[0].ask("PUBSUB", "NUMSUB", "news")[1]?.number == 3)
      }
    }

    @Test("values of 1 byte to 20 MB travel both ways")
    func largeValues() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let key = try cluster[0].ownKeys("large", 1)[0]
        let (near, far) = (try cluster[0].client(), try cluster[1].client())
        for size in [1, 100, 16_383, 16_384, 65_536, 196_608, 1 << 20, 4 << 20, 20_000_000] {
          let (value, other) = (Self.bytes(size, of: 7), Self.bytes(size, of: 11))
          cluster.expect(try far.ask([Array("SET".utf8), Array(key.utf8), value]) == .ok, "SET of \(size) bytes")
          cluster.expect(try near.ask("STRLEN", key) == .integer(Int64(size)))
          cluster.expect(try near.ask("GET", key) == .bulk(value), "GET of \(size) bytes here")
          cluster.expect(try far.ask("GET", key) == .bulk(value), "GET of \(size) bytes there")
          let status = try cluster[1].http("PUT", "/api/cache/\(key)", other).status
          cluster.expect(status < 300, "PUT of \(size) bytes: \(status)")
          let exchange = try cluster[1].http("GET", "/api/cache/\(key)")
          cluster.expect(exchange.status == 200 && exchange.body == other, "\(size) bytes over HTTP")
        }
      }
    }

    /// So many, each block of 64 KB of its own.
    private static func bytes(_ count: Int, of factor: Int) -> [UInt8] {
      let block = (0..<65_536).map { UInt8(truncatingIfNeeded: $0 &* factor &+ $0 >> 8) }
      var bytes: [UInt8] = []
      bytes.reserveCapacity(count + block.count)
      while bytes.count < count {
        bytes += block
        bytes[bytes.count - block.count] = UInt8(truncatingIfNeeded: bytes.count >> 16 &* factor)
      }
      return Array(bytes[..<count])
    }
  }
}
