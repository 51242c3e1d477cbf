import NexusModel
import NexusService
import NexusStore
import Testing

@Suite struct KeyspaceTests {
  let node: Node
  let keyspace: Keyspace
  let start: UnixMilliseconds = 1_700_000_000_000

  init() {
    node = Node(
      store: try! Store(StoreConfiguration()), loopCount: 1, log: SilentLog(), startedAt: start,
      runID: String(repeating: "a", count: 40))
    keyspace = Keyspace(node: node, loop: 0, seed: 1)
  }

  func bytes<Result>(_ text: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    Array(text.utf8).withUnsafeBytes(body)
  }
  func prepared(_ key: UnsafeRawBufferPointer) -> Key { node.store.key(key, in: 0) }
  func set(_ key: String, _ value: String, _ life: TimeToLive = .namespaceDefault) -> WriteOutcome {
    bytes(key) { key in bytes(value) { try! keyspace.set(prepared(key), to: $0, for: life, now: start) } }
  }
  func get(_ key: String, later milliseconds: Int64 = 0) -> String? {
    bytes(key) { key in
      try! keyspace.get(prepared(key), now: start + milliseconds) { _ in
        nil
      } _: { entry in
        if let entry { String(decoding: entry.value, as: UTF8.self) } else { nil }
      }
    }
  }

  @Test func aValueIsReadAsItWasWrittenUntilItIsDeleted() {
    #expect(set("k", "v") == .stored)
    #expect(get("k") == "v")
    #expect(bytes("k") { try! keyspace.delete(prepared($0), now: start) })
    #expect(get("k") == nil)
    #expect(!bytes("k") { try! keyspace.delete(prepared($0), now: start) })
  }

  @Test func everythingIsCounted() {
    _ = set("k", "v")
    _ = get("k")
    _ = get("k")
    _ = get("absent")
    _ = bytes("k") { try! keyspace.delete(prepared($0), now: start) }
    _ = bytes("k") { try! keyspace.delete(prepared($0), now: start) }
    let counted = LoopStatistics(sumOf: UnsafeBufferPointer(start: node.statistics, count: 1))
    #expect(counted.sets.value == 1)
    #expect(counted.getHits.value == 2)
    #expect(counted.getMisses.value == 1)
    #expect(counted.keyspaceHits.value == 2)
    #expect(counted.keyspaceMisses.value == 1)
    #expect(counted.deleteHits.value == 1)
    #expect(counted.deleteMisses.value == 1)
  }

  @Test func aValueLivesAsLongAsItsWriterSaid() {
    _ = set("k", "v", .milliseconds(1500))
    #expect(get("k", later: 1499) == "v")
    #expect(get("k", later: 1500) == nil)
  }

  @Test func aWriterWhoSaysNothingGetsTheNamespacesDefault() {
    var settings = node.store.settings(of: 0)!
    settings.defaultTTLMilliseconds = 1000
    node.store.configure(0, settings, as: 9)
    _ = set("default", "v")
    _ = set("forever", "v", .unlimited)
    #expect(get("default", later: 999) == "v")
    #expect(get("default", later: 1000) == nil)
    #expect(get("forever", later: 1_000_000) == "v")
  }

  @Test func jitterShortensTheDefaultWithinItsShareAndSpreads() {
    var seen: Set<Int64> = []
    for chance in stride(from: UInt64(0), to: .max - (1 << 58), by: 1 << 58) {
      let expiry = TimeToLive.namespaceDefault.expiry(
        defaultMilliseconds: 10_000, jitter: 0.1, now: start, chance: chance)
      guard case .at(let moment) = expiry else {
        Issue.record("a TTL must stay one")
        continue
      }
      #expect((9_000...10_000).contains(moment - start))
      seen.insert(moment)
    }
    #expect(seen.count > 32)
  }

  @Test func aTTLThatTheWriterGaveIsTakenAsItIs() {
    var settings = node.store.settings(of: 0)!
    settings.defaultTTLMilliseconds = 1000
    settings.ttlJitter = 1
    node.store.configure(0, settings, as: 9)
    for number in 0..<20 {
      _ = set("given\(number)", "v", .milliseconds(5000))
      #expect(get("given\(number)", later: 4999) == "v")
      #expect(get("given\(number)", later: 5000) == nil)
    }
  }

  @Test func aTTLNeverOverflowsNorVanishes() {
    let longest = TimeToLive.milliseconds(.max).expiry(defaultMilliseconds: 0, jitter: 0, now: start, chance: 0)
    guard case .at(let moment) = longest else { return #expect(Bool(false)) }
    #expect(moment == start + TimeToLive.longestMilliseconds)
    let shortest = TimeToLive.namespaceDefault.expiry(defaultMilliseconds: 1, jitter: 1, now: start, chance: .max)
    guard case .at(let soon) = shortest else { return #expect(Bool(false)) }
    #expect(soon == start + 1)
  }

  @Test func namespacesAreFoundByTheirNames() {
    #expect(bytes("default") { keyspace.namespace(named: $0) } == 0)
    #expect(bytes("nowhere") { keyspace.namespace(named: $0) } == nil)
  }
}
