import Foundation
import NexusTestSupport
import Testing

extension ClusterTests {
  /// Keys that many read through members that do not own them.
  @Suite struct HotKeys {
    @Test("a key that everybody reads is answered where it is read, and never with what changed more than a second ago")
    func staleness() throws {
      try ClusterOfProcesses.story(3, threads: 2) { cluster in
        let key = try cluster[0].ownKeys("hot", 1)[0]
        let owner = try cluster[0].client()
        // Each on a loop of its own, as it may be.
        let readers = try (0..<8).map { try cluster[1 + $0 % 2].client() }
        cluster.expect(try owner.ask("SET", key, "0") == .ok)
        let reads = Array(repeating: [Array("GET".utf8), Array(key.utf8)], count: 50)
        let isCopied = try eventually {
          for reader in readers { _ = try reader.pipeline(reads) }
          return try cluster[1].metric("nexuscache_hot_hits_total") > 500
            && cluster[2].metric("nexuscache_hot_hits_total") > 500
        }
        cluster.expect(isCopied, "no copy has answered")
        var (oldest, reread) = (0.0, 0)
        for number in 1...300 {
          let isThere = number % 3 == 0
          let writer = isThere ? readers[number % 8] : owner
          cluster.expect(try writer.ask("SET", key, "\(number)") == .ok)
          let written = MonotonicClock.seconds()
          if isThere { cluster.expect(try writer.ask("GET", key).string == "\(number)", "its own write is not read") }
          for reader in readers {
            let began = MonotonicClock.seconds()
            for reply in try reader.pipeline(reads) where reply.string != "\(number)" {
              oldest = max(oldest, began - written)
              reread += 1
            }
          }
        }
        // Reads that began later than the bound after the write saw it, all of them.
        cluster.expect(
          oldest < 1, "\(reread) reads, up to \(oldest) s after a write, were answered with what was before")
        cluster.expect(try cluster[1].metric("nexuscache_hot_invalidations_total") > 0, "nothing was told")
        print("older values: \(reread) of 120000 reads, the last \(oldest * 1000) ms after the write was answered")
      }
    }

    @Test("HTTP reads come from the copy, say who owns the key, and the copy goes with a write")
    func overHTTP() throws {
      try ClusterOfProcesses.story(2) { cluster in
        let key = try cluster[0].ownKeys("hot", 1)[0]
        let (owner, client) = (try cluster[0].client(), try cluster[1].client())
        cluster.expect(try owner.ask("SET", key, "one") == .ok)
        let reads = Array(repeating: [Array("GET".utf8), Array(key.utf8)], count: 200)
        func hits() throws -> Double { try cluster[1].metric("nexuscache_hot_hits_total") }
        let isAnswered = try eventually {
          _ = try client.pipeline(reads)
          let before = try hits()
          let reply = try cluster[1].http("GET", "/api/cache/\(key)")
          cluster.expect(reply.text == "one", reply.text)
          return try hits() > before
        }
        cluster.expect(isAnswered, "no copy has answered over HTTP")
        cluster.expect(try cluster[1].http("PUT", "/api/cache/\(key)", Array("two".utf8)).status < 300)
        cluster.expect(try cluster[1].http("GET", "/api/cache/\(key)").text == "two")
        cluster.expect(try cluster[1].http("DELETE", "/api/cache/\(key)").status == 200)
        cluster.expect(try cluster[1].http("GET", "/api/cache/\(key)").status == 404)
      }
    }
  }
}

extension ClusterOfProcesses.Node {
  /// The value of a metric without labels.
  func metric(_ name: String) throws -> Double {
    for line in try http("GET", "/metrics").text.split(whereSeparator: \.isNewline) where line.hasPrefix("\(name) ") {
      return Double(line.dropFirst(name.count + 1)) ?? 0
    }
    return 0
  }
}
