import NexusModel
import Testing

@testable import NexusStore

/// A generator whose seed is printed and replays a run.
struct Seeded: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// The store as a test sees it: whole operations on byte arrays.
struct Plain {
  let store: Store
  var now: UnixMilliseconds = 1_000_000
  var worker: Worker = 1

  init(limitBytes: Int = 256 << 20, loops: Int = 1) throws {
    var configuration = StoreConfiguration()
    configuration.maxMemoryBytes = limitBytes
    configuration.loops = loops
    store = try Store(configuration)
  }

  init(_ store: Store, as worker: Worker) {
    self.store = store
    self.worker = worker
  }

  func with<Result>(_ name: [UInt8], _ namespace: NamespaceNumber = 0, _ body: (Key) -> Result) -> Result {
    name.withUnsafeBytes { bytes in
      let key = store.key(bytes, in: namespace)
      let taken = store.lock(key, as: worker)
      defer { store.unlock(key, taken) }
      return body(key)
    }
  }

  @discardableResult
  func set(_ name: [UInt8], _ value: [UInt8], _ namespace: NamespaceNumber = 0, _ expiry: Expiry = .none)
    -> WriteOutcome
  {
    guard store.admit(name.count + value.count, in: namespace, as: worker, now: now) == .stored else {
      return .outOfMemory
    }
    return with(name, namespace) { key in
      value.withUnsafeBytes { store.put(key, over: store.find(key, now: now), $0, expiry) }
    }
  }

  func get(_ name: [UInt8], _ namespace: NamespaceNumber = 0) -> [UInt8]? {
    with(name, namespace) { key in store.find(key, now: now).map { Array($0.value) } }
  }

  @discardableResult
  func delete(_ name: [UInt8], _ namespace: NamespaceNumber = 0) -> Bool {
    with(name, namespace) { key in
      guard let entry = store.find(key, now: now) else { return false }
      store.remove(key, entry)
      return true
    }
  }

  /// A turn's share of background work, on a clock that shows 10 us more at every look, from `now` on.
  func maintain(loop: Int = 0) {
    var nanoseconds = UInt64(now) * 1_000_000
    store.maintain(loop: loop, as: worker, now: now) {
      nanoseconds += 10_000
      return nanoseconds
    }
  }

  func keys(_ namespace: NamespaceNumber = 0, budget: Int = 10) -> [[UInt8]] {
    var found: [[UInt8]] = []
    var cursor: UInt64 = 0
    repeat {
      cursor = store.scan(namespace, from: cursor, budget: budget, as: worker, now: now) {
        found.append(Array($0.keyBytes))
      }
    } while cursor != 0
    return found
  }
}

func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

@Suite struct StoreTests {
  @Test func findsWhatWasPut() throws {
    let store = try Plain()
    store.set(bytes("a"), bytes("1"))
    #expect(store.get(bytes("a")) == bytes("1"))
    #expect(store.get(bytes("b")) == nil)
    store.set(bytes("a"), bytes("a longer value that needs another chunk"))
    #expect(store.get(bytes("a")) == bytes("a longer value that needs another chunk"))
    #expect(store.delete(bytes("a")))
    #expect(!store.delete(bytes("a")))
    #expect(store.store.count(in: 0) == 0)
  }

  @Test(arguments: [0, 1, 62, 63, 64, 1000, 1023, 1024, 5000, 8192, 70_000, 3_000_000])
  func keepsValuesOfEverySize(_ count: Int) throws {
    let store = try Plain()
    for keyCount in [0, 1, 63, 64, 1024, 1025, 9000] {
      let name = [UInt8](repeating: 7, count: keyCount)
      let value = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
      #expect(store.set(name, value, 0, .at(5_000_000)) == .stored)
      #expect(store.get(name) == value)
      #expect(store.set(name, value, 3) == .stored)
      #expect(store.get(name, 3) == value)
      store.delete(name)
      #expect(store.get(name) == nil)
      #expect(store.get(name, 3) == value)
    }
  }

  @Test func agreesWithADictionaryUnderRandomOperations() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = Seeded(state: seed)
    var store = try Plain()
    var model: [[UInt8]: (value: [UInt8], expiry: Int64)] = [:]
    func live(_ name: [UInt8]) -> [UInt8]? {
      model[name].flatMap { $0.expiry == 0 || $0.expiry > store.now ? $0.value : nil }
    }
    for step in 0..<60_000 {
      let name = bytes("key:\(Int.random(in: 0..<3000, using: &random))")
      switch Int.random(in: 0..<100, using: &random) {
      case 0..<40:
        let most = [10, 100, 2000, 40_000][Int.random(in: 0..<4, using: &random)]
        let value = [UInt8](repeating: UInt8(step & 255), count: Int.random(in: 0..<most, using: &random))
        let expiry = Bool.random(using: &random) ? 0 : store.now + Int64.random(in: 1..<5000, using: &random)
        store.set(name, value, 0, expiry == 0 ? .none : .at(expiry))
        model[name] = (value, expiry)
      case 40..<60:
        #expect(store.delete(name) == (live(name) != nil))
        model[name] = nil
      case 60..<62: store.now += Int64.random(in: 0..<1000, using: &random)
      case 62..<64: store.maintain()
      case 64: _ = store.store.compact(moves: 50, as: 1)
      case 65 where step % 7 == 0:
        store.store.flush(0, as: 1)
        model = [:]
      default: #expect(store.get(name) == live(name))
      }
    }
    let expected = Set(model.keys.filter { live($0) != nil })
    let scanned = store.keys()
    #expect(scanned.count == expected.count)
    #expect(Set(scanned) == expected)
  }

  @Test func aScanSeesEveryKeyThatStaysWhileTablesGrow() throws {
    let store = try Plain()
    for index in 0..<20_000 { store.set(bytes("stays:\(index)"), bytes("x")) }
    var seen: [String: Int] = [:]
    var cursor: UInt64 = 0
    var added = 0
    repeat {
      cursor = store.store.scan(0, from: cursor, budget: 10, as: 1, now: store.now) {
        seen[String(decoding: $0.keyBytes, as: UTF8.self), default: 0] += 1
      }
      for _ in 0..<50 where added < 100_000 {
        store.set(bytes("new:\(added)"), bytes("y"))
        added += 1
      }
    } while cursor != 0
    #expect((0..<20_000).allSatisfy { seen["stays:\($0)"] == 1 })
  }

  @Test(arguments: [5, 2000])
  func aLargeValueIsCopiedAheadAndTakesThePlaceOfWhatWasThere(_ keyCount: Int) throws {
    let plain = try Plain()
    let name = [UInt8](repeating: 7, count: keyCount)
    func set(_ value: [UInt8], _ expiry: Expiry = .none) -> WriteOutcome {
      name.withUnsafeBytes { name in
        value.withUnsafeBytes { value in
          let key = plain.store.key(name, in: 0)
          return plain.store.set(key, to: value, expiry, touch: false, as: 1, now: plain.now)
        }
      }
    }
    let before = plain.store.memory.usedBytes
    let sizes = [Store.copiedAheadBytesMin, 10, 3_000_000, Store.copiedAheadBytesMin - 1, 3_000_001, 3_000_002]
    for (step, size) in sizes.enumerated() {
      let value = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ step) }
      #expect(set(value, step % 2 == 0 ? .at(plain.now + 1000) : .none) == .stored)
      #expect(plain.get(name) == value)
      #expect(plain.store.count(in: 0) == 1)
      // In a transaction the stripe is held already.
      plain.with(name) { _ in #expect(set(value) == .stored) }
      #expect(plain.get(name) == value)
    }
    plain.delete(name)
    #expect(plain.store.memory.usedBytes <= before + (256 << 10))
  }

  @Test func theCeilingIsRaisedAsFarAsAddressesReach() throws {
    let plain = try Plain(limitBytes: 16 << 20)
    let most = plain.store.maxMemoryBytesMost
    #expect(most >= 16 << 20 && most < 16 << 30)
    plain.store.maxMemoryBytes = 64 << 30
    #expect(plain.store.maxMemoryBytes == most)
    plain.store.maxMemoryBytes = 1
    #expect(plain.store.maxMemoryBytes == Store.limitBytesMin)
  }

  @Test func oneSlotMayHoldEverything() throws {
    let store = try Plain()
    for index in 0..<60_000 { store.set(bytes("{tag}:\(index)"), bytes("\(index)")) }
    #expect((0..<60_000).allSatisfy { store.get(bytes("{tag}:\($0)")) == bytes("\($0)") })
    #expect(store.keys(0, budget: 500).count == 60_000)
    for index in 0..<60_000 { store.delete(bytes("{tag}:\(index)")) }
    #expect(store.store.count(in: 0) == 0)
  }

  @Test func staysUnderItsCeilingWhileSizesChange() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    var random = Seeded(state: seed)
    let limit = 32 << 20
    let store = try Plain(limitBytes: limit)
    let source = [UInt8](repeating: 1, count: 1_000_000)
    var most = 0
    var refused = 0
    var lost = 0
    for largest in [300, 3000, 60_000, 500, 1_000_000, 300] {
      var written = 0
      while written < limit + limit / 2 {
        let count = Int.random(in: 1...largest, using: &random)
        let name = bytes("k\(UInt32.random(in: 0..<2_000_000, using: &random))")
        if store.set(name, Array(source[..<count])) != .stored { refused += 1 }
        if store.get(name)?.count != count { lost += 1 }
        written += count + 60
        most = max(most, store.store.memory.usedBytes)
      }
    }
    #expect(most < limit + limit / 20)
    #expect(refused == 0)
    #expect(lost == 0)
  }
}
