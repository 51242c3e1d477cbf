// A stand-in behind the store's face while the real one is being built: same API, one lock, a dictionary.
import CXXHash
import Glibc
import NexusModel
import Synchronization

public struct StoreConfiguration: Sendable {
  public var maxMemoryBytes: Int = 1 << 30
  public var loops: Int = 1
  public var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
  /// Counts what others hold against the same ceiling.
  public var outside: MemoryGauge = MemoryGauge()
  public init() {}
}

final class Item {
  var key: [UInt8]
  var value: UnsafeMutableRawBufferPointer
  var expiry: Int64 = 0
  var flags: UInt32 = 0
  var version: UInt64 = 0
  init(key: [UInt8], count: Int) {
    self.key = key
    self.value = .allocate(byteCount: count + 1, alignment: 8)
    self.value = .init(start: value.baseAddress, count: count)
  }
}

/// An entry found in the store. Valid while its stripe's lock is held, until the next change in that stripe.
public struct Entry {
  let item: Item
  public var value: UnsafeRawBufferPointer { UnsafeRawBufferPointer(item.value) }
  /// The value, to change in place without changing its length. Call `Store.changed` afterwards.
  public var mutableValue: UnsafeMutableRawBufferPointer { item.value }
  public var keyBytes: UnsafeRawBufferPointer { item.key.withUnsafeBytes { $0 } }
  public var type: ValueType { .string }
  /// 0: no TTL.
  public var expiresAt: UnixMilliseconds { item.expiry }
  public var clientFlags: UInt32 { item.flags }
  public var version: UInt64 { item.version }
  /// How often used lately, 0...3 (the eviction policy's own counter).
  public var frequency: Int { 0 }
  /// Bytes that this entry costs in all: chunk, index share.
  public var memoryBytes: Int { item.key.count + item.value.count + 64 }
}

/// Every key and value of a node. See docs/store.md.
public final class Store: @unchecked Sendable {
  struct Name: Hashable { var namespace: UInt16; var key: [UInt8] }
  var table: [Name: Item] = [:]
  let owner = Atomic<UInt32>(0)
  public let configuration: StoreConfiguration
  public var settings: [NamespaceSettings] = (0..<16).map { NamespaceSettings(name: $0 == 0 ? "default" : "db\($0)") }
  public var maxMemoryBytes: Int
  var expirations = 0
  /// Called under the stripe lock when a watched slot's key changes.
  public var onWatchedChange: ((NamespaceNumber, UnsafeRawBufferPointer) -> Void)?
  var watched: [UInt16: Int] = [:]

  public init(_ configuration: StoreConfiguration) {
    self.configuration = configuration
    maxMemoryBytes = configuration.maxMemoryBytes
  }

  // MARK: Keys

  public func key(_ bytes: UnsafeRawBufferPointer, in namespace: NamespaceNumber) -> Key {
    let base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
    return Key(
      base: base, count: bytes.count, hash: nexus_xxh3_64(base, bytes.count, configuration.seed &+ UInt64(namespace)),
      slot: Slot(of: bytes).index, namespace: namespace)
  }
  public func prefetchBucket(_ key: Key) {}
  public func prefetchEntry(_ key: Key) {}

  // MARK: Locks. `lock` answers whether it took the lock; hand the answer to `unlock`.

  public func lock(_ key: Key, as worker: Worker) -> Bool { lockAll(as: worker) }
  public func unlock(_ key: Key, _ taken: Bool) { unlockAll(taken) }
  /// Locks the stripes of all these keys, each once, in ascending order.
  public func lock(_ keys: UnsafeBufferPointer<Key>, as worker: Worker) -> StripeSet {
    StripeSet(taken: lockAll(as: worker))
  }
  public func unlock(_ set: StripeSet) { unlockAll(set.taken) }
  /// Every stripe: for a transaction over commands that name no keys.
  public func lockEverything(as worker: Worker) -> StripeSet { StripeSet(taken: lockAll(as: worker)) }

  public struct StripeSet { var taken: Bool }
  func lockAll(as worker: Worker) -> Bool {
    if owner.load(ordering: .relaxed) == worker { return false }
    while !owner.compareExchange(expected: 0, desired: worker, ordering: .acquiring).exchanged { sched_yield() }
    return true
  }
  func unlockAll(_ taken: Bool) { if taken { owner.store(0, ordering: .releasing) } }

  // MARK: Room. Call before locking, with the bytes about to be written (keys and values together).

  /// Makes sure that the write fits under the namespace's and the node's limits, evicting where the policy allows.
  public func admit(_ byteCount: Int, in namespace: NamespaceNumber, as worker: Worker, now: UnixMilliseconds)
    -> WriteOutcome
  { .stored }

  // MARK: Reading and writing, under the key's lock

  /// The live entry of the key. An expired one is removed, counted, and not returned.
  /// `touch` tells the eviction policy that the entry was used.
  public func find(_ key: Key, now: UnixMilliseconds, touch: Bool = true) -> Entry? {
    let name = Name(namespace: key.namespace, key: Array(key.bytes))
    guard let item = table[name] else { return nil }
    if item.expiry != 0 && item.expiry <= now { table[name] = nil; expirations += 1; changed(key); return nil }
    return Entry(item: item)
  }
  /// Stores a value. `existing` is what `find` just returned for the key, or nil.
  public func put(_ key: Key, over existing: Entry?, _ value: UnsafeRawBufferPointer, _ expiry: Expiry) -> WriteOutcome
  {
    resize(key, existing, to: value.count, expiry) { $0.copyMemory(from: value) }
  }
  /// Gives the entry (a new one where `existing` is nil) a value of this length: the old bytes stay, new ones are 0.
  /// `fill` then writes what it likes. Keeps client flags.
  public func resize(
    _ key: Key, _ existing: Entry?, to count: Int, _ expiry: Expiry = .keep,
    _ fill: (UnsafeMutableRawBufferPointer) -> Void
  ) -> WriteOutcome {
    let item = Item(key: Array(key.bytes), count: count)
    item.value.initializeMemory(as: UInt8.self, repeating: 0)
    if let old = existing?.item {
      item.value.copyMemory(from: .init(rebasing: UnsafeRawBufferPointer(old.value)[..<min(old.value.count, count)]))
      item.expiry = old.expiry; item.flags = old.flags
    }
    switch expiry {
    case .keep: break
    case .none: item.expiry = 0
    case .at(let moment): item.expiry = moment
    }
    fill(item.value)
    table[Name(namespace: key.namespace, key: item.key)] = item
    changed(key)
    return .stored
  }
  /// Sets or clears the expiry. The entry may move: use only the returned one afterwards.
  public func setExpiry(_ key: Key, _ entry: Entry, _ expiry: Expiry) -> Entry? {
    switch expiry {
    case .keep: break
    case .none: entry.item.expiry = 0
    case .at(let moment): entry.item.expiry = moment
    }
    changed(key)
    return entry
  }
  public func remove(_ key: Key, _ entry: Entry) {
    table[Name(namespace: key.namespace, key: Array(key.bytes))] = nil
    changed(key)
  }
  /// After changing `mutableValue`.
  public func changed(_ key: Key) {
    if watched[key.slot] != nil { onWatchedChange?(key.namespace, key.bytes) }
  }

  // MARK: Watching: slots of which some key is watched (WATCH, client tracking). Nested.

  public func watch(_ key: Key) { watched[key.slot, default: 0] += 1 }
  public func unwatch(slot: UInt16) {
    watched[slot, default: 1] -= 1
    if watched[slot] == 0 { watched[slot] = nil }
  }

  // MARK: Whole namespaces. These lock for themselves.

  public func count(in namespace: NamespaceNumber) -> Int { table.keys.lazy.filter { $0.namespace == namespace }.count }
  public func countWithExpiry(in namespace: NamespaceNumber) -> Int {
    table.lazy.filter { $0.key.namespace == namespace && $0.value.expiry != 0 }.count
  }
  /// At once empty for every reader; the memory returns in the background.
  public func flush(_ namespace: NamespaceNumber, as worker: Worker) {
    let taken = lockAll(as: worker)
    table = table.filter { $0.key.namespace != namespace }
    unlockAll(taken)
  }
  /// Visits about `budget` live entries from `cursor` on (0 starts); answers the next cursor, 0 at the end.
  /// An entry present from the first call to the last is visited at least once. Called under its stripe's lock.
  public func scan(
    _ namespace: NamespaceNumber, from cursor: UInt64, budget: Int, as worker: Worker, now: UnixMilliseconds,
    _ visit: (Entry) -> Void
  ) -> UInt64 {
    let taken = lockAll(as: worker)
    defer { unlockAll(taken) }
    for (name, item) in table where name.namespace == namespace && (item.expiry == 0 || item.expiry > now) {
      visit(Entry(item: item))
    }
    return 0
  }
  /// Any live entry, chosen by `random`; nil if the namespace is empty. Called under its stripe's lock.
  public func randomEntry(
    _ namespace: NamespaceNumber, random: UInt64, as worker: Worker, now: UnixMilliseconds, _ visit: (Entry) -> Void
  ) -> Bool {
    let taken = lockAll(as: worker)
    defer { unlockAll(taken) }
    let live = table.filter { $0.key.namespace == namespace && ($0.value.expiry == 0 || $0.value.expiry > now) }
    guard !live.isEmpty else { return false }
    visit(Entry(item: Array(live.values)[Int(random % UInt64(live.count))]))
    return true
  }

  // MARK: Background work: a few microseconds a call.

  /// Frees expired entries, finishes growth, returns flushed memory. True if there is more to do soon.
  public func maintain(loop: Int, as worker: Worker, now: UnixMilliseconds, budgetNanoseconds: Int) -> Bool { false }

  // MARK: Figures

  public struct NamespaceStatistics: Sendable {
    public var entries = 0, bytes = 0, evictions = 0, expirations = 0
  }
  public func statistics(of namespace: NamespaceNumber) -> NamespaceStatistics {
    NamespaceStatistics(entries: count(in: namespace), expirations: expirations)
  }
  public struct MemoryStatistics: Sendable {
    /// What counts against the ceiling, and its parts.
    public var usedBytes = 0, entryBytes = 0, indexBytes = 0, freeChunkBytes = 0, outsideBytes = 0, peakBytes = 0
  }
  public var memory: MemoryStatistics { MemoryStatistics() }
}
