import NexusModel
import NexusService
import Testing

@testable import NexusCache

/// A node inside this very process, which listens on nothing.
@Suite("A cache that a program embeds") struct EmbeddedTests {
  @Test("gives what its loader brings, and calls it once") func once() async throws {
    try await withCache { cache in
      let calls = Counter()
      let scores = try cache.namespace("scores") { (key: String, context) -> String? in
        calls.add()
        #expect(context.namespace == "scores" && context.deadline > .now)
        return key == "Tom" ? "630" : nil
      }
      #expect(try await scores.get("Tom") == "630")
      #expect(try await scores.get("Tom") == "630")
      #expect(try scores.cached("Tom") == "630")
      #expect(try await scores.withValue(of: "Tom") { $0.count } == 3)
      #expect(calls.value == 1)
      #expect(try await scores.get("Nobody") == nil)
      #expect(try await scores.get("Nobody") == nil)
      #expect(calls.value == 2, "that there is nothing is remembered")
      #expect(try scores.cached("Nobody") == nil)
      let statistics = scores.statistics
      #expect(statistics.hits == 3 && statistics.loads == 2 && statistics.absentAnswers == 1)
      #expect(cache.doors.isEmpty)
    }
  }

  @Test("What is written is read, deleted, and loaded anew") func writing() async throws {
    try await withCache { cache in
      let version = Counter()
      let scores = try cache.namespace("scores") { (_, _) -> [UInt8]? in Array("v\(version.add())".utf8) }
      func text(_ key: String) async throws -> String? {
        try await scores.get(key).map { String(decoding: $0, as: UTF8.self) }
      }
      try await scores.set("k", to: Array("mine".utf8))
      #expect(try await text("k") == "mine")
      #expect(try await scores.delete("k"))
      #expect(try await !scores.delete("k"))
      #expect(try await text("k") == "v1")
      try await scores.refresh("k")
      for _ in 0..<500 where try await text("k") != "v2" { try await Task.sleep(for: .milliseconds(10)) }
      #expect(try await text("k") == "v2")
      try await scores.set("short", to: [1], timeToLive: .milliseconds(1))
      for _ in 0..<500 where try scores.cached("short") != nil { try await Task.sleep(for: .milliseconds(10)) }
      #expect(try await text("short") == "v3")
      // Longer than what is copied to the stack.
      let long = [UInt8](repeating: 7, count: 100_000)
      try await scores.set("long", to: long)
      #expect(try await scores.get("long") == long)
      #expect(try await scores.withValue(of: "long") { $0.count } == 100_000)
      try await scores.set("empty", to: [])
      #expect(try await scores.get("empty") == [])
    }
  }

  @Test("Ten thousand tasks that ask for one cold key call the loader exactly once") func stampede() async throws {
    try await withCache { cache in
      let calls = Counter()
      let gate = Gate()
      let scores = try cache.namespace("scores") { (_, _) -> String? in
        calls.add()
        await gate.wait()
        return "630"
      }
      let answers = try await withThrowingTaskGroup(of: String?.self) { group in
        for _ in 0..<10_000 { group.addTask { try await scores.get("Tom") } }
        for _ in 0..<3000 where scores.statistics.misses < 10_000 { try await Task.sleep(for: .milliseconds(10)) }
        gate.open()
        return try await group.reduce(into: [String?: Int]()) { $0[$1, default: 0] += 1 }
      }
      #expect(answers == ["630": 10_000])
      #expect(calls.value == 1)
    }
  }

  @Test("What a loader throws goes to everybody who waited, as one kind of error") func errors() async throws {
    struct Broken: Error, CustomStringConvertible { let description = "the disk is on fire" }
    try await withCache { cache in
      let calls = Counter()
      let gate = Gate()
      let scores = try cache.namespace("scores") { (_, _) async throws -> String? in
        calls.add()
        await gate.wait()
        throw Broken()
      }
      let errors = await withTaskGroup(of: CacheError?.self) { group in
        for _ in 0..<100 { group.addTask { await failure { try await scores.get("Tom") } } }
        for _ in 0..<3000 where scores.statistics.misses < 100 { try? await Task.sleep(for: .milliseconds(10)) }
        gate.open()
        return await group.reduce(into: [CacheError?: Int]()) { $0[$1, default: 0] += 1 }
      }
      #expect(errors.count == 1 && errors.values.first == 100)
      #expect(errors.keys.first??.reason == .loadFailed)
      #expect(errors.keys.first??.description == "the origin scores failed: the disk is on fire")
      #expect(calls.value == 1, "an error is shared, not repeated")
    }
  }

  @Test("A loader that never returns: everybody who waits is told when the time is over") func never() async throws {
    try await withCache { cache in
      var options = NamespaceOptions()
      options.loadTimeout = .milliseconds(200)
      let gate = Gate()
      let scores = try cache.namespace("scores", options) { (_, _) -> String? in
        await gate.wait()
        return nil
      }
      let reasons = await withTaskGroup(of: CacheError.Reason?.self) { group in
        for index in 0..<50 { group.addTask { await failure { try await scores.get("k\(index % 5)") }?.reason } }
        return await group.reduce(into: Set()) { $0.insert($1) }
      }
      #expect(reasons == [.loadTimedOut])
      gate.open()
    }
  }

  @Test("A task that is cancelled stops waiting at once; the load goes on for the others") func cancelling()
    async throws
  {
    try await withCache { cache in
      let gate = Gate()
      let wasCancelled = Counter()
      let scores = try cache.namespace("scores") { (_, _) -> String? in
        await gate.wait()
        if Task.isCancelled { wasCancelled.add() }
        return "630"
      }
      let other = Task { try await scores.get("Tom") }
      let impatient = Task { await failure { try await scores.get("Tom") } }
      for _ in 0..<3000 where scores.statistics.misses < 2 { try await Task.sleep(for: .milliseconds(10)) }
      impatient.cancel()
      #expect(await impatient.value?.reason == .cancelled)
      gate.open()
      #expect(try await other.value == "630")
      #expect(wasCancelled.value == 0)
      #expect(scores.statistics.loads == 1)
    }
  }

  @Test("A loader that asks for its own key gets an error instead of waiting for itself") func reentrance() async throws
  {
    try await withCache { cache in
      let own = Guarded<Namespace<String>?>(nil)
      let scores = try cache.namespace("scores") { (key: String, _) async throws -> String? in
        try await own.withLock { $0 }?.get(key)
      }
      own.withLock { $0 = scores }
      defer { own.withLock { $0 = nil } }
      let error = await failure { try await scores.get("Tom") }
      #expect(error?.reason == .loadFailed)
      #expect(error?.description.contains("asked the cache for that same key") == true, "\(error as Any)")
    }
  }

  @Test("Loaders that ask for each other's keys in a ring get an error; other keys they may ask for") func ring()
    async throws
  {
    try await withCache { cache in
      let own = Guarded<Namespace<String>?>(nil)
      let deadlocks = Counter()
      let next = ["a": "b", "b": "c", "c": "a", "x": "y", "y": "z"]
      let ring = try cache.namespace("ring") { (key: String, _) async throws -> String? in
        guard let further = next[key], let ring = own.withLock({ $0 }) else { return key }
        do throws(CacheError) { return try await ring.get(further).map { key + $0 } } catch {
          if error.reason == .deadlock { deadlocks.add() }
          throw error
        }
      }
      own.withLock { $0 = ring }
      defer { own.withLock { $0 = nil } }
      #expect(try await ring.get("x") == "xyz")
      let errors = await withTaskGroup(of: CacheError?.self) { group in
        for key in ["a", "b", "c"] { group.addTask { await failure { try await ring.get(key) } } }
        return await group.reduce(into: [CacheError?]()) { $0.append($1) }
      }
      #expect(errors.allSatisfy { $0?.reason == .loadFailed }, "\(errors)")
      #expect(deadlocks.value >= 1)
      #expect(errors.allSatisfy { $0?.description.contains("would wait for ever") == true }, "\(errors)")
    }
  }

  @Test("An old value answers while one load brings the new one") func staleWhileRevalidate() async throws {
    try await withCache { cache in
      var options = NamespaceOptions()
      options.timeToLive = .milliseconds(50)
      options.staleWhileRevalidate = .seconds(60)
      let calls = Counter()
      let gate = Gate()
      let scores = try cache.namespace("scores", options) { (_, _) -> String? in
        let number = calls.add()
        if number > 1 { await gate.wait() }
        return "\(number)"
      }
      #expect(try await scores.get("Tom") == "1")
      for _ in 0..<3000 where calls.value < 2 {
        #expect(try await scores.get("Tom") == "1")
        try await Task.sleep(for: .milliseconds(10))
      }
      for _ in 0..<1000 { #expect(try await scores.get("Tom") == "1") }
      #expect(calls.value == 2)
      gate.open()
      for _ in 0..<3000 where try await scores.get("Tom") == "1" { try await Task.sleep(for: .milliseconds(10)) }
      #expect(calls.value >= 2 && scores.statistics.staleAnswers >= 1000)
    }
  }

  @Test("Values of a type of one's own; what does not stand for one is an error") func ownType() async throws {
    struct Score: CacheValue, Equatable {
      var points: Int
      init(points: Int) { self.points = points }
      init?(cacheBytes: UnsafeRawBufferPointer) {
        guard let points = Int(String(decoding: cacheBytes, as: UTF8.self)) else { return nil }
        self.init(points: points)
      }
      func withCacheBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        Array("\(points)".utf8).withUnsafeBytes(body)
      }
    }
    try await withCache { cache in
      let scores = try cache.namespace("scores", of: Score.self)
      #expect(try await scores.get("Tom") == nil)
      try await scores.set("Tom", to: Score(points: 630))
      #expect(try await scores.get("Tom") == Score(points: 630))
      let texts = try cache.namespace("texts", of: String.self)
      #expect(texts.name == "texts")
      let again = await failure { try cache.namespace("texts", of: Score.self) }
      #expect(again?.reason == .configuration && again?.description.contains("'texts' is there already") == true)
    }
  }

  @Test("What cannot be is refused in a sentence") func refusals() async throws {
    try await withCache { cache in
      let name = await failure { try cache.namespace("a b", of: String.self) }
      #expect(name?.description.contains("'a b' cannot be a namespace's name") == true, "\(name as Any)")
      var options = NamespaceOptions()
      options.jitter = 2
      let jitter = await failure { try cache.namespace("jitter", of: String.self, options) }
      #expect(jitter?.description.contains("ttl-jitter cannot be '200%'") == true, "\(jitter as Any)")
      options.jitter = 0.5
      _ = try cache.namespace("jitter", of: String.self, options)
    }
    var configuration = NexusCache.Configuration()
    configuration.settings["nonsense"] = "1"
    let unknown = configuration
    let error = await failure { try await NexusCache.start(unknown) }
    #expect(error?.reason == .configuration && error?.description.contains("nonsense") == true)
  }

  @Test("After its stop a cache says so; who still waits is told; nothing of it runs on") func stopping() async throws {
    let cache = try await NexusCache.start(small)
    let gate = Gate()
    let scores = try cache.namespace("scores") { (_, _) -> String? in
      await gate.wait()
      return "630"
    }
    try await scores.set("Jack", to: "589")
    let waiting = Task { await failure { try await scores.get("Tom") } }
    for _ in 0..<3000 where scores.statistics.misses < 1 { try await Task.sleep(for: .milliseconds(10)) }
    await cache.stop()
    await cache.stop()
    #expect(await waiting.value?.reason == .stopped)
    #expect(await failure { try await scores.get("Jack") }?.reason == .stopped)
    #expect(await failure { try await scores.set("Jack", to: "1") }?.reason == .stopped)
    #expect(await failure { try cache.namespace("more", of: String.self) }?.reason == .stopped)
    gate.open()
  }

  @Test("A cache that was stopped and let go of leaves nothing behind") func lettingGo() async throws {
    weak var node: Node?
    do {
      let cache = try await NexusCache.start(small)
      let scores = try cache.namespace("scores") { (key: String, _) -> String? in key }
      node = scores.core.node
      #expect(try await scores.get("Tom") == "Tom")
      await cache.stop()
    }
    for _ in 0..<500 where node != nil { try await Task.sleep(for: .milliseconds(10)) }
    #expect(node == nil)
  }

  @Test("A cold namespace keeps to its limits") func limits() async throws {
    try await withCache { cache in
      var options = NamespaceOptions()
      options.maxEntries = 10
      options.eviction = .lru
      let scores = try cache.namespace("scores", options) { (key: String, _) -> String? in key }
      for index in 0..<100 { #expect(try await scores.get("k\(index)") == "k\(index)") }
      let held = try (0..<100).filter { try scores.cached("k\($0)") != nil }
      #expect(held.count <= 10 && held.contains(99))
    }
  }
}
