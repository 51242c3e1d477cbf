import NexusBench
import NexusCache

/// What a program that embeds the cache pays: for a hit on one thread and on two, by each way of asking, and for a miss
/// whose loader answers at once. One line of JSON each.
@main struct EmbeddedBench {
  static let keyCount = 1000
  static let valueBytes = 32
  static let rounds = 5

  /// Asks for each key in turn, beginning at this one, so many times in all.
  typealias Walk = @Sendable (_ keys: [String], _ first: Int, _ count: Int) async throws -> Void

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
    // The loops are written out: a closure for each call would cost more than the call.
    try await measure("hit_borrowed", keys, count) { keys, first, count in
      var index = first
      var sum = 0
      for _ in 0..<count {
        sum += try await bytes.withValue(of: keys[index]) { $0.count } ?? 0
        index = index + 1 == keys.count ? 0 : index + 1
      }
      precondition(sum == count * valueBytes)
    }
    try await measure("hit_bytes", keys, count) { keys, first, count in
      var index = first
      var sum = 0
      for _ in 0..<count {
        sum += try await bytes.get(keys[index])?.count ?? 0
        index = index + 1 == keys.count ? 0 : index + 1
      }
      precondition(sum == count * valueBytes)
    }
    try await measure("hit_string", keys, count) { keys, first, count in
      var index = first
      var sum = 0
      for _ in 0..<count {
        sum += try await texts.get(keys[index])?.utf8.count ?? 0
        index = index + 1 == keys.count ? 0 : index + 1
      }
      precondition(sum == count * valueBytes)
    }
  }

  /// The best of some rounds, of one thread and of two in turn: others use this machine too.
  static func measure(_ name: String, _ keys: [String], _ count: Int, _ walk: @escaping Walk) async throws {
    var one = Cost()
    var two = Cost()
    for _ in 0..<rounds {
      one.keepBest(try await cost(1, keys, count, walk))
      two.keepBest(try await cost(2, keys, count, walk))
    }
    tell(
      name,
      [
        ("one_thread_ns", one.wall), ("two_threads_ns", two.wall), ("two_threads_rate", 2 * one.wall / two.wall),
        ("one_thread_cpu_ns", one.cpu), ("two_threads_cpu_ns", two.cpu),
      ])
  }

  /// Nanoseconds for a hit: as the clock on the wall has it, and of its thread's own processor time, which others that
  /// are busy on the machine do not make longer.
  struct Cost {
    var wall = Double.infinity
    var cpu = Double.infinity

    mutating func keepBest(_ other: Cost) {
      wall = min(wall, other.wall)
      cpu = min(cpu, other.cpu)
    }
  }

  /// Of `count` hits that every one of so many tasks has at once.
  static func cost(
    _ threads: Int, _ keys: [String], _ count: Int, _ walk: @escaping Walk
  ) async throws -> Cost {
    let startedAt = Clock.monotonic()
    var cpu = 0.0
    try await withThrowingTaskGroup(of: UInt64.self) { group in
      for thread in 0..<threads {
        group.addTask {
          // Hits never suspend: a walk stays on its thread.
          let begunAt = Clock.threadCPU()
          try await walk(keys, thread * keys.count / threads, count)
          return Clock.threadCPU() - begunAt
        }
      }
      for try await time in group { cpu += Double(time) / Double(count * threads) }
    }
    return Cost(wall: Double(Clock.monotonic() - startedAt) / Double(count), cpu: cpu)
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
