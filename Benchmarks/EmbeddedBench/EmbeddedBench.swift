import NexusBench
import NexusCache

/// What a program that embeds the cache pays: for a hit on one thread and on two, by each way of asking, and for a miss
/// whose loader answers at once. One line of JSON each.
@main struct EmbeddedBench {
  static let keyCount = 10_000
  static let valueBytes = 32
  static let rounds = 5

  static func main() async throws {
    let counts = CommandLine.arguments.dropFirst().compactMap { Int($0) }
    let hits = counts.first ?? 10_000_000
    let misses = counts.dropFirst().first ?? 100_000
    let cache = try await NexusCache.start()
    try await measureHits(cache, hits)
    try await measureMisses(cache, misses)
    await cache.stop()
  }

  static func measureHits(_ cache: NexusCache, _ count: Int) async throws {
    let keys = (0..<keyCount).map { "user:\($0)" }
    let bytes = try cache.namespace("bytes") { _, _ in [UInt8](repeating: 118, count: valueBytes) }
    let texts = try cache.namespace("texts") { _, _ in String(repeating: "v", count: valueBytes) }
    for key in keys {
      _ = try await bytes.get(key)
      _ = try await texts.get(key)
    }
    try await measure("hit_borrowed", keys, count) { _ = try await bytes.withValue(of: $0) { $0.count } }
    try await measure("hit_bytes", keys, count) { _ = try await bytes.get($0) }
    try await measure("hit_string", keys, count) { _ = try await texts.get($0) }
  }

  /// The best of some rounds, of one thread and of two in turn: others use this machine too.
  static func measure(
    _ name: String, _ keys: [String], _ count: Int, _ call: @escaping @Sendable (String) async throws -> Void
  ) async throws {
    var one = Double.infinity
    var two = Double.infinity
    for _ in 0..<rounds {
      one = min(one, try await nanoseconds(1, keys, count, call))
      two = min(two, try await nanoseconds(2, keys, count, call))
    }
    tell(name, [("one_thread_ns", one), ("two_threads_ns", two), ("two_threads_rate", 2 * one / two)])
  }

  /// For each of `count` calls that every one of so many tasks makes at once.
  static func nanoseconds(
    _ threads: Int, _ keys: [String], _ count: Int, _ call: @escaping @Sendable (String) async throws -> Void
  ) async throws -> Double {
    let startedAt = Clock.monotonic()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for thread in 0..<threads {
        group.addTask {
          var index = thread * keys.count / threads
          for _ in 0..<count {
            try await call(keys[index])
            index = index + 1 == keys.count ? 0 : index + 1
          }
        }
      }
      try await group.waitForAll()
    }
    return Double(Clock.monotonic() - startedAt) / Double(count)
  }

  static func measureMisses(_ cache: NexusCache, _ count: Int) async throws {
    let cold = try cache.namespace("cold") { _, _ in [UInt8](repeating: 118, count: valueBytes) }
    let startedAt = Clock.monotonic()
    for index in 0..<count { _ = try await cold.get("cold:\(index)") }
    tell("miss", [("one_task_ns", Double(Clock.monotonic() - startedAt) / Double(count))])
  }

  static func tell(_ name: String, _ fields: [(String, Double)]) {
    let text = fields.map { "\"\($0.0)\":\(($0.1 * 100).rounded() / 100)" }.joined(separator: ",")
    print("{\"name\":\"\(name)\",\(text)}")
  }
}
