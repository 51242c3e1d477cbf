import NexusModel
import NexusStore
import Synchronization

/// One connection's interest in watched keys. The flag rises when any of them changes, on whatever thread.
public final class WatchToken: Sendable {
  private let dirty = Atomic<Bool>(false)

  public init() {}

  public var isDirty: Bool { dirty.load(ordering: .acquiring) }
  public func touch() { dirty.store(true, ordering: .releasing) }
}

/// Who watches which keys, over all loops.
///
/// The store tells of every change to a key in a slot where anything is watched (`Store.watch`), under the stripe's
/// lock; so the registry's own lock is always taken inside a stripe's, and nothing takes a stripe inside it.
public final class WatchRegistry: @unchecked Sendable {
  private struct Name: Hashable {
    let namespace: NamespaceNumber
    let key: [UInt8]
  }

  private let store: Store
  private let databases: Databases
  private let watchers = Guarded<[Name: [WatchToken]]>([:])
  /// Whether anything is watched at all: changes may be reported for other reasons.
  private let isAnyWatched = Atomic<Bool>(false)

  /// Listens to the store's changes; one registry per store.
  public init(_ store: Store, _ databases: Databases) {
    self.store = store
    self.databases = databases
    let earlier = store.onWatchedChange
    store.onWatchedChange = { [unowned self] namespace, key in
      earlier?(namespace, key)
      if isAnyWatched.load(ordering: .relaxed) { touch(namespace, Array(key)) }
    }
  }

  /// The caller has the key's stripe locked and has told the store to watch its slot.
  public func add(_ token: WatchToken, database: Int, _ key: [UInt8]) {
    watchers.withLock { watchers in
      watchers[Name(namespace: databases.namespace(of: database), key: key), default: []].append(token)
      isAnyWatched.store(true, ordering: .relaxed)
    }
  }

  public func remove(_ token: WatchToken, database: Int, _ key: [UInt8]) {
    watchers.withLock { watchers in
      let name = Name(namespace: databases.namespace(of: database), key: key)
      watchers[name]?.removeAll { $0 === token }
      if watchers[name]?.isEmpty == true { watchers[name] = nil }
      if watchers.isEmpty { isAnyWatched.store(false, ordering: .relaxed) }
    }
  }

  private func touch(_ namespace: NamespaceNumber, _ key: [UInt8]) {
    watchers.withLock { watchers in
      for token in watchers[Name(namespace: namespace, key: key)] ?? [] { token.touch() }
    }
  }

  /// Before a namespace is emptied: whoever watches a key that is there sees it change.
  public func willFlush(_ namespace: NamespaceNumber, as worker: Worker, now: UnixMilliseconds) {
    for key in existingKeys(of: namespace, asSeenIn: namespace, as: worker, now: now) { touch(namespace, key) }
  }

  /// Exchanges two databases. A watched key that exists in either of them changes; the others go on being watched
  /// in the database of the same number, which shows the other namespace from now on.
  public func swap(_ first: Int, _ second: Int, as worker: Worker, now: UnixMilliseconds) {
    let one = databases.namespace(of: first)
    let two = databases.namespace(of: second)
    guard one != two else { return }
    for watched in [one, two] {
      for shown in [one, two] {
        for key in existingKeys(of: watched, asSeenIn: shown, as: worker, now: now) { touch(watched, key) }
      }
    }
    watchers.withLock { watchers in
      databases.swap(first, second)
      var moved: [Name: [WatchToken]] = [:]
      for (name, tokens) in watchers {
        let namespace = name.namespace == one ? two : name.namespace == two ? one : name.namespace
        moved[Name(namespace: namespace, key: name.key)] = tokens
      }
      watchers = moved
    }
  }

  /// The keys watched in one namespace that exist in another (or the same).
  private func existingKeys(
    of watched: NamespaceNumber, asSeenIn shown: NamespaceNumber, as worker: Worker, now: UnixMilliseconds
  ) -> [[UInt8]] {
    let keys = watchers.withLock { watchers in watchers.keys.filter { $0.namespace == watched }.map(\.key) }
    return keys.filter { bytes in
      bytes.withUnsafeBytes { bytes in
        let key = store.key(bytes, in: shown)
        let taken = store.lock(key, as: worker)
        defer { store.unlock(key, taken) }
        return store.find(key, now: now, touch: false) != nil
      }
    }
  }

  /// How many keys are watched.
  public var count: Int { watchers.withLock { $0.count } }
}
