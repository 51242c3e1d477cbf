import Foundation
import Glibc
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Slots that have copies on several members.
  @Suite struct Copies {
    @Test("a value that is written at one is in the stores of all; deletions and expiries follow")
    func everywhere() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        let keys = (0..<60).map { "copied:\($0)" }
        try cluster.waitForStreams(clients)
        for (index, key) in keys.enumerated() {
          let reply =
            index % 3 == 0
            ? try clients[0].ask("SET", key, "v\(index)", "PX", "1500") : try clients[0].ask("SET", key, "v\(index)")
          cluster.expect(reply == .ok, "\(reply)")
        }
        for (number, client) in clients.enumerated() {
          cluster.expect(
            try eventually { try keys.enumerated().allSatisfy { try client.copy($1) == "v\($0)" } },
            "not everything is at n\(number + 1)")
        }
        for key in keys where key.hasSuffix("1") { cluster.expect(try clients[1].ask("DEL", key).number == 1, key) }
        for (number, client) in clients.enumerated() {
          cluster.expect(
            try eventually { try keys.allSatisfy { try !$0.hasSuffix("1") || client.copy($0) == "deleted" } },
            "not everything is deleted at n\(number + 1)")
          cluster.expect(
            try eventually {
              try keys.enumerated().allSatisfy { try $0 % 3 != 0 || [nil, "deleted"].contains(client.copy($1)) }
            }, "not everything has expired at n\(number + 1)")
          let left = Int64(keys.indices.count { $0 % 3 != 0 && $0 % 10 != 1 } + cluster.streamKeys)
          let isLeft = try eventually { try client.ask("DBSIZE").number == left }
          let count = try client.ask("DBSIZE")
          cluster.expect(isLeft, "DBSIZE is \(count) instead of \(left)")
          cluster.expect(try client.ask("READONLY") == .ok)
          for (index, key) in keys.enumerated() where index % 3 != 0 && index % 10 != 1 {
            cluster.expect(try client.ask("GET", key).string == "v\(index)", key)
          }
        }
        cluster.expect(try clients[2].ask("FLUSHALL") == .ok)
        for client in clients { cluster.expect(try keys.allSatisfy { try client.copy($0) == nil }, "not flushed") }
      }
    }

    @Test("a quorum is answered while one of three stands still; all of them, with an error that says what is")
    func oneStandsStill() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        try cluster.waitForStreams(clients)
        let own = try cluster[0].ownKeys("quorum", 200)
        cluster[2].stand()
        for key in own { cluster.expect(try clients[0].ask("SET", key, "v") == .ok, key) }
        try clients[0].ask("CONFIG", "SET", "ack", "all", "ack-timeout", "200ms")
        // Until it is known to be dead the write is tried; then it is refused.
        let reply = try clients[0].ask("SET", own[0], "all").string ?? ""
        cluster.expect(
          reply.hasPrefix("NOREPLICAS Not enough good replicas to write.")
            || reply.hasPrefix("NOREPLICAS the write is done on its owner, and confirmed by 2 of 3 copies"), reply)
        cluster.expect(
          try eventually {
            try clients[0].ask("SET", own[1], "all").string == "NOREPLICAS Not enough good replicas to write."
          }, "writes are not refused although a member is dead")
        cluster.expect(try clients[0].ask("GET", own[1]).string != nil)
        cluster[2].goOn()
        try cluster.waitUntilWhole(seconds: 60)
        cluster.expect(
          try eventually { try clients[0].ask("SET", own[0], "again") == .ok }, "all of them are there again")
        let http = try cluster[0].http("PUT", "/api/cache/\(own[0])?ack=all", Array("h".utf8))
        cluster.expect(http.status == 200, http.text)
      }
    }

    @Test("copies answer while the owner of a key stands still, to whoever wants them and to everybody else")
    func readsGoOn() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        try cluster.waitForStreams(clients)
        let keys = try cluster[2].ownKeys("readable", 20)
        for key in keys { cluster.expect(try clients[0].ask("SET", key, "v-" + key) == .ok) }
        cluster.expect(try clients[0].ask("READONLY") == .ok)
        // A copy is read once it is known to be good: then nothing is asked of its owner.
        cluster.expect(
          try eventually {
            let before = try cluster[0].forwarded()
            for key in keys where try clients[0].ask("GET", key).string != "v-" + key { return false }
            return try cluster[0].forwarded() == before
          }, "n1 does not read its own copies")
        cluster[2].stand()
        for key in keys { cluster.expect(try clients[0].ask("GET", key).string == "v-" + key, key) }
        let start = MonotonicClock.seconds()
        for key in keys.prefix(5) { cluster.expect(try clients[1].ask("GET", key).string == "v-" + key, key) }
        print("reads of an owner that stands still: \(Int((MonotonicClock.seconds() - start) * 1000)) ms for five")
        cluster[2].goOn()
        try cluster.waitUntilWhole(seconds: 60)
      }
    }

    @Test("a write that a quorum has is seen by every read of a quorum, through whichever node")
    func quorumReads() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3", "--ack", "quorum", "--reads", "quorum"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        try cluster.waitForStreams(clients)
        let keys = try cluster[0].ownKeys("compared", 40)
        for key in keys { cluster.expect(try clients[0].ask("SET", key, "old") == .ok, key) }
        // One copy misses what follows: two of three have it.
        cluster[2].stand()
        for key in keys { cluster.expect(try clients[0].ask("SET", key, "new") == .ok, key) }
        for client in clients[..<2] {
          for key in keys { cluster.expect(try client.ask("GET", key).string == "new", key) }
          let all = try client.ask((["MGET"] + keys).map { Array($0.utf8) })
          cluster.expect(all.elements?.allSatisfy { $0.string == "new" } == true, "\(all)")
        }
        // It comes back, and its clients ask at once.
        cluster[2].goOn()
        for key in keys {
          let reply = try clients[2].ask("GET", key)
          cluster.expect(reply.string == "new" || reply.isError, "\(key): \(reply)")
        }
        let http = try cluster[2].http("GET", "/api/cache/\(keys[0])")
        cluster.expect(http.status != 200 || http.text.contains("new"), http.text)
        try cluster.waitUntilWhole(seconds: 60)
        cluster.expect(try eventually { try clients[2].ask("GET", keys[0]).string == "new" })
        cluster.expect(try cluster[2].http("GET", "/api/cache/\(keys[0])").text.contains("new"))
        // One of three is no quorum: an error, and no value that may be old.
        for node in cluster.nodes[1...] { node.kill() }
        cluster.expect(
          try eventually {
            try clients[0].ask("GET", keys[0]).string?.hasPrefix("NOREPLICAS only 1 of 3 copies could be compared")
              == true
          }, "a read is answered without a quorum")
        let alone = try cluster[0].http("GET", "/api/cache/\(keys[0])")
        cluster.expect(alone.status == 504 && alone.text.contains("too_few_copies"), alone.text)
      }
    }

    @Test("WAIT counts the members that have what was written, here and on others")
    func waitCounts() throws {
      try ClusterOfProcesses.story(3, ["--replicas", "3"]) { cluster in
        let clients = try cluster.nodes.map { try $0.client() }
        try cluster.waitForStreams(clients)
        let keys = try cluster.nodes[..<2].flatMap { try $0.ownKeys("wait", 5) }
        for key in keys { cluster.expect(try clients[0].ask("SET", key, "1") == .ok) }
        cluster.expect(try clients[0].ask("WAIT", "2", "5000").number == 2)
        cluster[2].stand()
        for key in keys { cluster.expect(try clients[0].ask("SET", key, "2") == .ok) }
        let (one, two) = (try clients[0].ask("WAIT", "1", "5000"), try clients[0].ask("WAIT", "2", "300"))
        cluster.expect(one.number == 1 && two.number == 1, "\(one), \(two)")
        let info = try clients[0].ask("INFO", "replication").string ?? ""
        cluster.expect(info.contains("role:master"), info)
        cluster[2].goOn()
        try cluster.waitUntilWhole(seconds: 60)
      }
    }
  }
}

extension ClusterOfProcesses {
  fileprivate var streamKeys: Int { 8 }

  /// All loops have their streams to all members: nothing has to be noted instead of being sent.
  fileprivate func waitForStreams(_ clients: [RESPClient]) throws {
    expect(
      try eventually {
        for client in clients {
          for round in 0..<streamKeys { try client.ask("SET", "stream:\(round)", "1") }
          if try client.ask("WAIT", "2", "1000").number != 2 { return false }
        }
        return true
      }, "writes do not reach all members")
  }
}

extension ClusterOfProcesses.Node {
  /// Operations that it has given to other members.
  fileprivate func forwarded() throws -> Int {
    let page = try http("GET", "/metrics").text
    let line = page.split(separator: "\n").first { $0.hasPrefix("nexuscache_peer_requests_total ") }
    return line.flatMap { Int($0.split(separator: " ")[1]) } ?? -1
  }
}
