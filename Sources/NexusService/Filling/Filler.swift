import NexusModel
import NexusStore
import Synchronization

/// Fills misses of the namespaces that have an origin: one load of a key at a time on this node, whoever asks, through
/// whatever door. The owner of a key asks, so it is one in the cluster.
///
/// Its lock is taken within a stripe's at most, and nothing takes a stripe within it.
public final class Filler: @unchecked Sendable {
  private struct State {
    var flights = Flights()
    var sources: [NamespaceNumber: FillSource] = [:]
    var absent: [NamespaceNumber: AbsentKeys] = [:]
    var guards: [NamespaceNumber: any KeyGuard] = [:]
  }

  enum Boarding {
    case began(Flights.ID)
    case joined
    case absent
    case full
  }

  private let state = Guarded(State())
  private let store: Store
  /// A bit for every namespace that has an origin: read on the way of every command.
  private let marks: UnsafeMutablePointer<Atomic<UInt64>>
  private let anySource = Atomic<Bool>(false)
  private static let markWords = 1 << 10

  public init(_ store: Store) {
    self.store = store
    marks = .allocate(capacity: Self.markWords)
    for index in 0..<Self.markWords { (marks + index).initialize(to: Atomic(0)) }
    let earlier = store.onWatchedChange
    store.onWatchedChange = { [unowned self] namespace, key in
      earlier?(namespace, key)
      changed(namespace, key)
    }
  }

  deinit {
    marks.deinitialize(count: Self.markWords)
    marks.deallocate()
  }

  /// Whether misses of the namespace are filled. From any thread.
  @inline(__always) public func fills(_ namespace: NamespaceNumber) -> Bool {
    anySource.load(ordering: .relaxed)
      && marks[Int(namespace >> 6)].load(ordering: .relaxed) & 1 << UInt64(namespace & 63) != 0
  }

  /// Some namespace has an origin.
  @inline(__always) public var isActive: Bool { anySource.load(ordering: .relaxed) }

  public func source(of namespace: NamespaceNumber) -> FillSource? { state.withLock { $0.sources[namespace] } }

  public var sources: [(NamespaceNumber, FillSource)] {
    state.withLock { state in state.sources.map { ($0.key, $0.value) } }.sorted { $0.0 < $1.0 }
  }

  /// Gives the namespace an origin, or takes it away. The former one is stopped by its owner, not here.
  public func setSource(_ source: FillSource?, of namespace: NamespaceNumber) {
    state.withLock { state in
      state.sources[namespace] = source
      state.absent[namespace] = nil
    }
    let word = marks + Int(namespace >> 6)
    let bit: UInt64 = 1 << UInt64(namespace & 63)
    if source != nil {
      word.pointee.bitwiseOr(bit, ordering: .relaxed)
      anySource.store(true, ordering: .relaxed)
    } else {
      word.pointee.bitwiseAnd(~bit, ordering: .relaxed)
    }
  }

  /// Keys that it does not know are not asked of the origin.
  public func setGuard(_ keyGuard: (any KeyGuard)?, of namespace: NamespaceNumber) {
    state.withLock { $0.guards[namespace] = keyGuard }
  }

  public func keyGuard(of namespace: NamespaceNumber) -> (any KeyGuard)? {
    state.withLock { $0.guards[namespace] }
  }

  /// The origin has this key after all.
  func learn(_ key: KeyName) {
    state.withLock { $0.guards[key.namespace]?.learn(key.key) }
  }

  /// What absences take: counts against the node's memory.
  public var absentBytes: Int { state.withLock { $0.absent.values.reduce(0) { $0 + $1.byteCount } } }
  public var flightCount: Int { state.withLock { $0.flights.count } }

  // MARK: What the loops ask. The key's stripe is locked.

  func board(
    _ name: KeyName, _ hash: UInt64, _ source: FillSource, from loop: Int, monotonic: UInt64, now: UnixMilliseconds
  ) -> Boarding {
    state.withLock { state in
      if state.absent[name.namespace]?.contains(hash, now: now) == true {
        source.absentAnswers.add(1, ordering: .relaxed)
        return .absent
      }
      if let keyGuard = state.guards[name.namespace], !keyGuard.mayHave(name.key) {
        source.guardedAnswers.add(1, ordering: .relaxed)
        return .absent
      }
      return Self.boarding(state.flights.board(name, from: loop, now: monotonic))
    }
  }

  func boardRefresh(_ name: KeyName, monotonic: UInt64) -> Boarding {
    state.withLock { Self.boarding($0.flights.board(name, from: nil, now: monotonic)) }
  }

  private static func boarding(_ boarding: Flights.Boarding) -> Boarding {
    switch boarding {
    case .began(let id): .began(id)
    case .joined: .joined
    case .full: .full
    }
  }

  func land(_ id: Flights.ID, monotonic: UInt64) -> Flights.Landing? {
    state.withLock { $0.flights.land(id, now: monotonic) }
  }

  func remember(absent hash: UInt64, in namespace: NamespaceNumber, until: UnixMilliseconds, now: UnixMilliseconds) {
    state.withLock { $0.absent[namespace, default: AbsentKeys()].insert(hash, until: until, now: now) }
  }

  // MARK: Changes

  /// Under the stripe's lock: a key of a slot in which a flight is under way, or that is watched otherwise.
  private func changed(_ namespace: NamespaceNumber, _ bytes: UnsafeRawBufferPointer) {
    guard fills(namespace) else { return }
    state.withLock { $0.flights.overtake(KeyName(namespace: namespace, key: Array(bytes))) }
  }

  /// What was said of the key's absence is not believed any more.
  public func invalidateAbsence(_ key: Key) {
    guard fills(key.namespace) else { return }
    _ = state.withLock { $0.absent[key.namespace]?.remove(key.hash) }
  }

  /// The same, and what is under way is not stored: the key was deleted, though there may have been no entry. Its
  /// stripe is locked.
  public func invalidate(_ key: Key) {
    guard fills(key.namespace) else { return }
    state.withLock { state in
      state.absent[key.namespace]?.remove(key.hash)
      state.flights.overtake(KeyName(key))
    }
  }

  /// The same for all keys of the namespace that `isMeant` names; all its absences are forgotten.
  public func invalidate(_ namespace: NamespaceNumber, where isMeant: ([UInt8]) -> Bool) {
    state.withLock { state in
      state.absent[namespace]?.removeAll()
      state.flights.overtake { $0.namespace == namespace && isMeant($0.key) }
    }
  }
}

/// Knows which keys an origin may have: certain of a no, nearly certain of a yes.
public protocol KeyGuard: AnyObject, Sendable {
  func mayHave(_ key: [UInt8]) -> Bool
  /// The origin has given this key.
  func learn(_ key: [UInt8])
}
