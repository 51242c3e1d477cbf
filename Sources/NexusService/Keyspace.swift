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

/// Why nothing was read or changed.
public enum Misplaced: Error {
  /// The key's slot is not executed here.
  case elsewhere
  /// The slot is on its way here, and the key has to be settled first (`IncomingSlots`).
  case unsettled
  /// The key is being loaded from its origin: asked again when this number is woken (`LoopFiller`), or where it can
  /// wait (0).
  case filling(UInt64)
  /// Its origin could not be asked.
  case failed(OriginError)
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
  /// Requests wait here for what is loaded; otherwise they go to where they can.
  public var waits = false
  /// The node's, within one step's reach.
  private let store: Store
  private let filler: Filler
  private let routes: SlotRoutes

  /// `seed` feeds the jitter of TTLs.
  public init(node: Node, loop index: Int, seed: UInt64) {
    self.node = node
    self.worker = Node.worker(ofLoop: index)
    self.statistics = node.statistics + index
    self.random = SplitMix64(seed: seed)
    store = node.store
    routes = node.routes
    filler = node.filler
  }

  /// The number of the namespace with this name, or nil.
  public func namespace(named name: UnsafeRawBufferPointer) -> NamespaceNumber? {
    store.number(named: name)
  }

  /// Whether the key may be read and changed here, where this node belongs to a cluster; nil if so. Its stripe is
  /// locked.
  @inline(__always) private func misplacement(_ key: Key, _ now: UnixMilliseconds) -> Misplaced? {
    guard routes.isClustered else { return nil }
    let route = routes[slot: key.slot]
    return route == .here ? nil : settle(key, route, now)
  }

  @inline(never) private func settle(_ key: Key, _ route: SlotRoute, _ now: UnixMilliseconds) -> Misplaced? {
    guard route == .incoming else { return .elsewhere }
    if node.incoming.isSettled(key) { return nil }
    // Where slots have copies, what is here may be an old one.
    guard node.replicators.isEmpty, store.find(key, now: now, touch: false) != nil else { return .unsettled }
    // A copy has come already.
    node.incoming.settle(key)
    return nil
  }

  /// What an origin fills is filled by its owner alone.
  private func isReadableCopy(_ key: Key) -> Bool {
    node.goodCopies[slot: key.slot] && !filler.fills(key.namespace)
      && store.readPreference(in: key.namespace) != .quorum
  }

  /// Whether reads of the key may come from the copy here of what another member executes: a guess as well.
  public func mayReadCopy(_ key: Key) -> Bool {
    store.readPreference(in: key.namespace) == .any && isReadableCopy(key)
  }

  @inline(never) private func asksQuorum(_ key: Key) -> Bool {
    !node.replicators.isEmpty && store.readPreference(in: key.namespace) == .quorum
  }

  /// True if the key's slot is certainly not executed here at this moment. A guess, for what is not worth a lock.
  @inline(__always) public func isElsewhere(_ key: Key) -> Bool {
    guard routes.isClustered else { return false }
    let route = routes[slot: key.slot]
    return route != .here && route != .incoming
  }

  /// Hands the live entry of the key, or nil, to `body` while the key is locked. Nothing of the entry may be kept.
  /// What an origin gave and the store does not have goes to `loaded`.
  /// - Parameters:
  ///   - acceptsCopy: it may come from the copy here of what another member executes.
  ///   - isCompared: the namespace's reads compare more than half of the copies first, and that has been done.
  @inline(__always)
  public func get<Result>(
    _ key: Key, now: UnixMilliseconds, acceptsCopy: Bool = false, isCompared: Bool = false,
    loaded: (UnsafeRawBufferPointer) -> Result,
    _ body: (borrowing Entry?) -> Result
  ) throws(Misplaced) -> Result {
    let taken = store.lock(key, as: worker)
    if let misplaced = misplacement(key, now), !(acceptsCopy && isReadableCopy(key)) {
      store.unlock(key, taken)
      throw misplaced
    }
    if routes.isClustered, !isCompared, asksQuorum(key) {
      store.unlock(key, taken)
      throw .unsettled
    }
    let entry = store.find(key, now: now)
    if filler.fills(key.namespace) {
      defer { store.unlock(key, taken) }
      if let bytes = try fill(key, entry, now) { return bytes.withUnsafeBytes { loaded($0) } }
      count(found: entry != nil)
      return body(entry)
    }
    let result = body(entry)
    store.unlock(key, taken)
    count(found: entry != nil)
    return result
  }

  /// Nil: what is there is the answer.
  @inline(never) private func fill(
    _ key: Key, _ entry: Entry?, _ now: UnixMilliseconds
  ) throws(Misplaced) -> [UInt8]? {
    switch node.fillers[Int(worker) - 1].fill(key, entry, now: now, waits: waits) {
    case .useStore, .absent: return nil
    case .value(let bytes):
      count(found: false)
      return bytes
    case .failed(let error): throw .failed(error)
    case .wait(let number): throw .filling(number)
    }
  }

  @inline(__always) private func count(found: Bool) {
    if !found {
      statistics.pointee.keyspaceMisses.add()
      statistics.pointee.getMisses.add()
    } else {
      statistics.pointee.keyspaceHits.add()
      statistics.pointee.getHits.add()
    }
  }

  /// Stores the value under the key, over whatever was there.
  /// - Parameter tags: what it has from now on; none: what it has already.
  public func set(
    _ key: Key, to value: UnsafeRawBufferPointer, for life: TimeToLive, tags: TagList = TagList(),
    now: UnixMilliseconds
  ) throws(Misplaced) -> WriteOutcome {
    var outcome = store.admit(key.count + value.count, in: key.namespace, as: worker, now: now)
    if outcome == .stored {
      let expiry = self.expiry(life, in: key.namespace, now: now)
      guard routes.isClustered || !tags.isEmpty else {
        outcome = store.set(key, to: value, expiry, touch: false, as: worker, now: now)
        return counted(outcome)
      }
      let taken = store.lock(key, as: worker)
      defer { store.unlock(key, taken) }
      if let misplaced = misplacement(key, now) { throw misplaced }
      outcome = store.put(key, over: store.find(key, now: now, touch: false), value, expiry)
      if !tags.isEmpty, outcome == .stored, let entry = store.find(key, now: now, touch: false) {
        if store.setFields(key, entry, tags: tags) == nil { outcome = .outOfMemory }
      }
    }
    // Whether there is room is its owner's to say.
    if outcome != .stored, isElsewhere(key) { throw .elsewhere }
    return counted(outcome)
  }

  private func counted(_ outcome: WriteOutcome) -> WriteOutcome {
    if outcome == .stored {
      statistics.pointee.sets.add()
    } else {
      statistics.pointee.setErrors.add()
    }
    return outcome
  }

  /// Deletes the key; answers whether it was there.
  public func delete(_ key: Key, now: UnixMilliseconds) throws(Misplaced) -> Bool {
    let taken = store.lock(key, as: worker)
    if let misplaced = misplacement(key, now) {
      store.unlock(key, taken)
      throw misplaced
    }
    let entry = store.find(key, now: now, touch: false)
    if let entry { store.remove(key, entry) }
    filler.invalidate(key)
    store.unlock(key, taken)
    if entry == nil {
      statistics.pointee.deleteMisses.add()
    } else {
      statistics.pointee.deleteHits.add()
    }
    return entry != nil
  }

  /// Has the key loaded anew from its origin, while what is there answers.
  /// - Returns: false where a load is under way already, or there is no origin.
  public func refresh(_ key: Key, now: UnixMilliseconds) throws(Misplaced) -> Bool {
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    if let misplaced = misplacement(key, now) { throw misplaced }
    guard filler.fills(key.namespace) else { return false }
    filler.invalidateAbsence(key)
    return node.fillers[Int(worker) - 1].refresh(key, store.find(key, now: now, touch: false))
  }

  /// When something written now in this namespace expires: as the writer said, else after the namespace's default TTL,
  /// shortened by a random share of at most its jitter.
  public func expiry(_ life: TimeToLive, in namespace: NamespaceNumber, now: UnixMilliseconds) -> Expiry {
    if life == .unlimited { return .none }
    let (lifetime, jitter) = store.lifetime(in: namespace)
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
