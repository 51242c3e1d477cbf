import NexusTestSupport
import Testing

/// The one memory ceiling, seen from outside.
@Suite("Memory", .serialized)
struct MemoryTests {
  private func fill(_ client: RESPClient, megabytes: Int, prefix: String = "fill") throws -> [RESPValue] {
    let value = [UInt8](repeating: 120, count: 10_000)
    return try (0..<megabytes).flatMap { batch in
      try client.pipeline((0..<100).map { [Array("SET".utf8), "\(prefix):\(batch):\($0)".word, value] })
    }
  }

  @Test("past max-memory entries leave, memory stays under the ceiling, and INFO counts what left")
  func eviction() throws {
    let server = try NexusServer(["--max-memory", "32mb"])
    let client = try server.connect()
    #expect(try fill(client, megabytes: 128).allSatisfy { $0 == .ok })
    let info = try client.info("everything")
    #expect(try #require(info.number("evicted_keys")) > 5_000)
    #expect(try #require(info.number("used_memory")) <= 32 << 20)
    #expect(try #require(info.number("used_memory")) > 24 << 20)
    #expect(info.number("maxmemory") == 32 << 20)
    #expect(try #require(info.number("used_memory_peak")) >= info.number("used_memory") ?? 0)
    #expect(try client.ask("GET", "fill:127:99") != .nullBulk)
  }

  @Test("without eviction a full node refuses writes with Redis's error, and still reads and deletes")
  func refusal() throws {
    let server = try NexusServer(["--max-memory", "32mb", "--eviction", "none"])
    let client = try server.connect()
    let replies = try fill(client, megabytes: 64)
    #expect(replies.first == .ok)
    #expect(replies.last?.string == "OOM command not allowed when used memory > 'maxmemory'.")
    #expect(try client.info("errorstats")["errorstat_OOM"] != nil)
    #expect(try client.ask("GET", "fill:0:0").bytes?.count == 10_000)
    #expect(try client.ask("APPEND", "fill:0:0", "x").isError)
    #expect(try client.ask("DEL", "fill:0:0").number == 1)
    #expect(try client.ask("CONFIG", "SET", "maxmemory", "64mb") == .ok)
    #expect(try client.ask("SET", "one", "more") == .ok)
  }

  @Test("a flushed database returns its memory, and expired entries are counted")
  func flushAndExpiry() throws {
    let server = try NexusServer(["--max-memory", "64mb"])
    let client = try server.connect()
    _ = try fill(client, megabytes: 16)
    let full = try #require(try client.info("memory").number("used_memory"))
    try client.ask("FLUSHALL")
    let returned = try eventually { try client.info("memory").number("used_memory") ?? full < full - (12 << 20) }
    #expect(returned, "of \(full) bytes")
    for number in 0..<100 { try client.ask("SET", "short\(number)", "x", "PX", "20") }
    #expect(try eventually { try client.info("stats").number("expired_keys") == 100 })
    #expect(try client.info("keyspace")["db0"] == nil)
  }
}
