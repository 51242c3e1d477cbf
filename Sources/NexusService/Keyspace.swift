import NexusModel
import NexusStore

/// How long a value shall live, as its writer says.
public enum TimeToLive: Sendable, Equatable {
  /// The writer did not say: the namespace's default.
  case namespaceDefault
  /// For ever (until deleted or evicted), whatever the namespace's default.
  case unlimited
  /// From now on; above 0.
  case milliseconds(Int64)

  /// The longest that a writer may ask for: a thousand years. Keeps every later sum far from overflow.
  public static let longestMilliseconds: Int64 = 1000 * 365 * 24 * 3600 * 1000
}

/// The use cases that the doors without a command language of their own (HTTP, gRPC, text) share: bytes are read,
/// written and deleted under a key, with the namespace's default TTL and jitter, and everything is counted.
///
/// One instance per event loop; used on that loop's thread only.
public final class Keyspace {
  public let node: Node
  public let worker: Worker
  /// Invariant: the element of `node.statistics` that belongs to this loop; the node outlives its loops.
  public let statistics: UnsafeMutablePointer<LoopStatistics>
  private var random: SplitMix64

  /// `seed` feeds the jitter of TTLs.
  public init(node: Node, loop index: Int, seed: UInt64) {
    self.node = node
    self.worker = Node.worker(ofLoop: index)
    self.statistics = node.statistics + index
    self.random = SplitMix64(seed: seed)
  }

  /// The number of the namespace with this name, or nil.
  public func namespace(named name: UnsafeRawBufferPointer) -> NamespaceNumber? {
    let settings = node.store.settings
    for index in settings.indices where settings[index].name.utf8.elementsEqual(name) {
      return NamespaceNumber(index)
    }
    return nil
  }

  /// Hands the live entry of the key, or nil, to `body` while the key is locked. Nothing of the entry may be kept.
  @inline(__always)
  public func get<Result>(
    _ bytes: UnsafeRawBufferPointer, in namespace: NamespaceNumber, now: UnixMilliseconds,
    _ body: (borrowing Entry?) -> Result
  ) -> Result {
    get(node.store.key(bytes, in: namespace), now: now, body)
  }

  /// The same for a key that has been prepared (and perhaps fetched ahead).
  @inline(__always)
  public func get<Result>(_ key: Key, now: UnixMilliseconds, _ body: (borrowing Entry?) -> Result) -> Result {
    let store = node.store
    let taken = store.lock(key, as: worker)
    let entry = store.find(key, now: now)
    let result = body(entry)
    store.unlock(key, taken)
    if entry == nil {
      statistics.pointee.keyspaceMisses &+= 1
      statistics.pointee.getMisses &+= 1
    } else {
      statistics.pointee.keyspaceHits &+= 1
      statistics.pointee.getHits &+= 1
    }
    return result
  }

  /// Stores the value under the key, over whatever was there.
  public func set(
    _ bytes: UnsafeRawBufferPointer, to value: UnsafeRawBufferPointer, in namespace: NamespaceNumber,
    for life: TimeToLive, now: UnixMilliseconds
  ) -> WriteOutcome {
    let store = node.store
    var outcome = store.admit(bytes.count + value.count, in: namespace, as: worker, now: now)
    if outcome == .stored {
      let expiry = self.expiry(life, in: namespace, now: now)
      let key = store.key(bytes, in: namespace)
      outcome = store.set(key, to: value, expiry, touch: false, as: worker, now: now)
    }
    if outcome == .stored {
      statistics.pointee.sets &+= 1
    } else {
      statistics.pointee.setErrors &+= 1
    }
    return outcome
  }

  /// Deletes the key; answers whether it was there.
  public func delete(_ bytes: UnsafeRawBufferPointer, in namespace: NamespaceNumber, now: UnixMilliseconds) -> Bool {
    let store = node.store
    let key = store.key(bytes, in: namespace)
    let taken = store.lock(key, as: worker)
    let entry = store.find(key, now: now, touch: false)
    if let entry { store.remove(key, entry) }
    store.unlock(key, taken)
    if entry == nil {
      statistics.pointee.deleteMisses &+= 1
    } else {
      statistics.pointee.deleteHits &+= 1
    }
    return entry != nil
  }

  /// When something written now in this namespace expires: as the writer said, else after the namespace's default TTL,
  /// shortened by a random share of at most its jitter.
  public func expiry(_ life: TimeToLive, in namespace: NamespaceNumber, now: UnixMilliseconds) -> Expiry {
    if life == .unlimited { return .none }
    let (lifetime, jitter) = node.store.lifetime(in: namespace)
    return life.expiry(
      defaultMilliseconds: lifetime, jitter: jitter, now: now, chance: jitter > 0 ? random.next() : 0)
  }
}

extension TimeToLive {
  /// `jitter` is the largest share (0...1) by which a default TTL is shortened; `chance`, any number, says by how much
  /// this one is. What a writer asks for is taken as it is: it may count on it. No TTL becomes shorter than 1 ms.
  public func expiry(defaultMilliseconds: Int64, jitter: Double, now: UnixMilliseconds, chance: UInt64) -> Expiry {
    switch self {
    case .unlimited: return .none
    case .milliseconds(let asked): return .at(now + max(1, min(asked, Self.longestMilliseconds)))
    case .namespaceDefault:
      if defaultMilliseconds <= 0 { return .none }
      // The upper 53 bits as a share of 1: every value a Double can hold exactly.
      let share = Double(chance >> 11) / Double(1 << 53)
      let length = defaultMilliseconds - Int64(Double(defaultMilliseconds) * min(1, max(0, jitter)) * share)
      return .at(now + max(1, length))
    }
  }
}

/// A small generator with one word of state (Steele, Lea and Flood, "Fast splittable pseudorandom number
/// generators", 2014): equal seeds give equal sequences.
public struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed &>> 31)
  }
}
