import NexusCache

/// Stands for the database that is slow and must not be asked twice.
actor Database {
  private let scores = ["Tom": "630", "Jack": "589", "Sam": "567"]
  private(set) var calls = 0

  func lookup(_ name: String) async throws -> String? {
    calls += 1
    try await Task.sleep(for: .milliseconds(20))
    return scores[name]
  }
}

/// A program that embeds a cache: `swift run Scores`.
///
/// It starts two nodes, as two programs of one service would each start one, and shows that a value is loaded once for
/// both of them. The nodes find each other at two ports: `swift run Scores 17946 17947`.
@main struct Scores {
  static func main() async throws {
    let ports = CommandLine.arguments.dropFirst().compactMap { Int($0) } + [17946, 17947]
    let first = try await startNode(port: ports[0], seeds: [])
    let second = try await startNode(port: ports[1], seeds: ["127.0.0.1:\(ports[0])"])
    print("two nodes are a cluster")
    try await share(first, second)
    try await fail(first, second)
    await second.stop()
    await first.stop()
    print("stopped")
  }

  /// What each program of the service does at its start.
  static func startNode(port: Int, seeds: [String]) async throws -> NexusCache {
    var configuration = NexusCache.Configuration()
    configuration.maxMemoryBytes = 64 << 20
    configuration.cluster = .init(name: "scores", secret: "a secret of these two", peerPort: port, seeds: seeds)
    return try await NexusCache.start(configuration)
  }

  static func share(_ first: NexusCache, _ second: NexusCache) async throws {
    let database = Database()
    var options = NamespaceOptions()
    options.timeToLive = .seconds(60)
    options.jitter = 0.1
    // Every node declares the namespace, with the loader that fills it: the owner of a key calls its own.
    let here = try first.namespace("scores", options) { name, _ in try await database.lookup(name) }
    let there = try second.namespace("scores", options) { name, _ in try await database.lookup(name) }

    // A thousand tasks on both nodes ask for one key that nobody has: it is loaded once.
    var answers: Set<String?> = []
    try await withThrowingTaskGroup(of: String?.self) { group in
      for index in 0..<1000 {
        group.addTask { try await (index.isMultiple(of: 2) ? here : there).get("Tom") }
      }
      for try await answer in group { answers.insert(answer) }
    }
    print("Tom = \(answers.map { $0 ?? "nothing" }.sorted().joined(separator: ", "))")
    print("calls of the database: \(await database.calls)")

    // What the database does not have is nothing, and remembered as such.
    print("Nobody = \(try await here.get("Nobody") ?? "nothing")")

    // Who writes to the database tells the cache, on whatever node.
    try await there.set("Tom", to: "700")
    print("Tom = \(try await here.get("Tom") ?? "nothing") after a write")
  }

  /// What a loader throws goes to everybody who waits for it, in words.
  static func fail(_ first: NexusCache, _ second: NexusCache) async throws {
    struct OnFire: Error, CustomStringConvertible { let description = "the database is on fire" }
    let here = try first.namespace("broken") { (_, _) async throws -> String? in throw OnFire() }
    _ = try second.namespace("broken") { (_, _) async throws -> String? in throw OnFire() }
    do { _ = try await here.get("Tom") } catch { print(error) }
  }
}
