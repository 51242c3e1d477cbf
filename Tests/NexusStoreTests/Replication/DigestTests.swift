import NexusModel
import Testing

@testable import NexusStore

@Suite("Digests and accounts")
struct DigestTests {
  @Test("agree with what the tables hold after any changes", arguments: EvictionPolicyName.allCases, [4, 64])
  func underRandomOperations(_ eviction: EvictionPolicyName, _ limitMiB: Int) throws {
    let seed = UInt64.random(in: 0...(.max))
    print("\(eviction) under \(limitMiB) MiB with seed \(seed)")
    var run = RandomRun(try Copy(limitBytes: limitMiB << 20, eviction: eviction), seed)
    for step in 0..<24_000 {
      run.step()
      guard step % 2_000 == 1_999 else { continue }
      if let complaint = run.copy.complaint() {
        Issue.record("\(complaint), step \(step), \(eviction), \(limitMiB) MiB, seed \(seed)")
        return
      }
    }
    let store = run.copy.store
    #expect(store.tombstoneBytes <= store.tombstoneBytesMax)
    #expect(run.stored > 5_000)
    if limitMiB == 4, eviction != .none, eviction != .ttl { #expect(store.statistics(of: 0).evictions > 0) }
  }

  @Test("are equal on a member that took every change that another made, in any order")
  func ofAReplica() throws {
    let seed = UInt64.random(in: 0...(.max))
    print("seed \(seed)")
    nonisolated(unsafe) var told: [(Name, Content)] = []
    var run = RandomRun(try Copy(limitBytes: 512 << 20, mark: 1), seed, isQuiet: true)
    run.copy.store.changeTap = { change, _ in
      told.append((Name(Array(change.key.bytes), change.key.namespace), Content(change.version)))
    }
    let replica = try Copy(limitBytes: 512 << 20, mark: 2)
    for _ in 0..<20 {
      for _ in 0..<500 { run.step() }
      for (name, content) in (told + told.prefix(50)).shuffled(using: &run.random) { _ = replica.merge(name, content) }
      told = []
      let agrees = replica.contents() == run.copy.contents()
      let isDigestEqual = replica.digests() == run.copy.digests()
      #expect(agrees && isDigestEqual, "seed \(seed)")
    }
    #expect(replica.store.tombstoneCount > 0)
    #expect(replica.complaint() == nil)
  }
}

/// Operations of every kind, in no order, over namespaces with and without stamps.
private struct RandomRun {
  var copy: Copy
  var random: Seeded
  var stored = 0
  /// Only what the tap is told of.
  let isQuiet: Bool
  private var store: Store { copy.store }
  private let namespaces = NamespaceNumber(Copy.stampedCount + 1)

  init(_ copy: Copy, _ seed: UInt64, isQuiet: Bool = false) {
    self.copy = copy
    self.isQuiet = isQuiet
    random = Seeded(state: seed)
    if isQuiet { return }
    var settings = copy.store.settings(of: 1)!
    settings.limitEntries = 700
    settings.eviction = settings.eviction == .none ? .lru : settings.eviction
    copy.store.configure(1, settings, as: 1)
    settings = copy.store.settings(of: 2)!
    settings.limitBytes = 300_000
    copy.store.configure(2, settings, as: 1)
  }

  private mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &random) }

  private mutating func name() -> Name {
    let number = below(6_000)
    let namespace = NamespaceNumber(below(Int(namespaces)))
    switch number % 8 {
    case 0..<3: return Name("{t\(number % 3)}:\(number)", namespace)
    case 3 where number % 40 == 3: return Name([UInt8](repeating: UInt8(number & 255), count: number), namespace)
    default: return Name("key:\(number)", namespace)
    }
  }

  private mutating func value() -> [UInt8] {
    let most = [5, 30, 30, 300, 3_000, 60_000][below(below(20) == 0 ? 6 : 5)]
    return [UInt8](repeating: UInt8(below(256)), count: below(most))
  }

  private mutating func expiry() -> Expiry {
    switch below(isQuiet ? 2 : 3) {
    case 0: .keep
    case 1: .none
    default: .at(copy.now + Int64(below(3_000)))
    }
  }

  private func edit(_ name: Name, _ body: (Key, Entry) -> Void) {
    copy.plain.with(name.bytes, name.namespace) { key in
      if let entry = store.find(key, now: copy.now) { body(key, entry) }
    }
  }

  mutating func step() {
    let name = name()
    switch below(isQuiet ? 78 : 100) {
    case 0..<30:
      let value = value()
      if copy.plain.set(name.bytes, value, name.namespace, expiry()) == .stored { stored += 1 }
    case 30..<45: copy.plain.delete(name.bytes, name.namespace)
    case 45..<50: _ = copy.plain.get(name.bytes, name.namespace)
    case 50..<55:
      let expiry = expiry()
      edit(name) { _ = store.setExpiry($0, $1, expiry) }
    case 55..<58:
      let flags = UInt32(below(3))
      let version = UInt64(below(3))
      edit(name) { _ = store.setFields($0, $1, clientFlags: flags, version: version) }
    case 58..<64:
      edit(name) { key, entry in
        if !entry.mutableValue.isEmpty { entry.mutableValue[0] &+= 1 }
        store.changed(key)
      }
    case 64..<68:
      let count = value().count
      let hasRoom = store.admit(count + name.bytes.count, in: name.namespace, as: 1, now: copy.now) == .stored
      guard hasRoom else { return }
      copy.plain.with(name.bytes, name.namespace) { key in
        _ = store.resize(key, store.find(key, now: copy.now), to: count) { if !$0.isEmpty { $0[0] = 3 } }
      }
    case 68..<72: rename(name)
    case 72: setLarge(name)
    case 73..<76: copy.now += Int64(below(3))
    case 76: _ = store.compact(moves: below(100), as: 1)
    case 77: if isQuiet { copy.now += 1 } else { copy.now -= Int64(below(5)) }
    default: disturb(name)
    }
  }

  /// The value goes from one entry into the other, and the first leaves.
  private mutating func rename(_ name: Name) {
    let other = self.name()
    guard name != other, store.admitsAtOnce(100_000, in: other.namespace) else { return }
    name.bytes.withUnsafeBytes { source in
      other.bytes.withUnsafeBytes { target in
        let keys = [store.key(source, in: name.namespace), store.key(target, in: other.namespace)]
        let held = keys.withUnsafeBufferPointer { store.lock($0, as: 1) }
        defer { store.unlock(held) }
        let existing = store.find(keys[1], now: copy.now, touch: false)
        guard let entry = store.find(keys[0], now: copy.now) else { return }
        guard store.put(keys[1], over: existing, entry.value, .none, type: entry.type) == .stored else { return }
        if let entry = store.find(keys[0], now: copy.now) { store.remove(keys[0], entry) }
      }
    }
  }

  private mutating func setLarge(_ name: Name) {
    let value = [UInt8](repeating: 9, count: Store.copiedAheadBytesMin + below(5_000))
    guard below(4) == 0, store.admit(value.count, in: name.namespace, as: 1, now: copy.now) == .stored else { return }
    name.bytes.withUnsafeBytes { text in
      value.withUnsafeBytes {
        let key = store.key(text, in: name.namespace)
        _ = store.set(key, to: $0, .none, touch: true, as: 1, now: copy.now)
      }
    }
  }

  /// What other members and the background do.
  private mutating func disturb(_ name: Name) {
    switch below(23) {
    case 0..<6:
      var content = Content(kind: .value, stamp: UInt64(copy.now - 50 + Int64(below(60))) << 16)
      content.value = value()
      if below(3) == 0 { content.expiresAt = copy.now + Int64(below(2_000)) - 500 }
      _ = copy.merge(name, content)
    case 6..<9: _ = copy.merge(name, Content(kind: .tombstone, stamp: UInt64(copy.now - 50 + Int64(below(60))) << 16))
    case 9: _ = copy.merge(name, Content(kind: .evicted, stamp: UInt64(copy.now) << 16))
    case 10..<13:
      copy.now += Int64(below(150))
      copy.plain.maintain()
    case 13: store.expireDue(copy.slot(name), now: copy.now, as: 1)
    case 14: _ = store.evictOne(from: name.namespace, as: 1)
    case 15 where below(40) == 0: store.flush(name.namespace, as: 1)
    case 16 where below(40) == 0:
      store.flush(name.namespace, stamp: Stamp(milliseconds: copy.now - Int64(below(400))), as: 1)
    case 17:
      let stamp = Stamp(milliseconds: copy.now - Int64(below(3_000)))
      store.collectTombstones(copy.slot(name), upTo: stamp, raisingFloor: Bool.random(using: &random), as: 1)
    case 18 where below(5) == 0: store.forget(copy.slot(name), as: 1)
    case 19 where below(60) == 0: change(name.namespace)
    default: store.withSlot(copy.slot(name), as: 1) { store.shrinkIfSparse(copy.slot(name), as: 1) }
    }
  }

  /// Another policy, or stamps where there were none.
  private mutating func change(_ namespace: NamespaceNumber) {
    var settings = store.settings(of: namespace)!
    if Bool.random(using: &random) {
      settings.eviction = EvictionPolicyName.allCases.randomElement(using: &random)!
    } else {
      settings.isStamped.toggle()
    }
    store.configure(namespace, settings, as: 1)
  }
}
