import NexusModel
import NexusStore

/// Removes many entries of a namespace at once: those that this node executes. The other members do the same with
/// theirs.
///
/// Takes the time to look at every entry of the namespace, a few hundred under one lock.
public struct Purge {
  private let node: Node
  private let worker: Worker

  /// - Parameter worker: the loop's, on its thread.
  public init(_ node: Node, as worker: Worker) {
    self.node = node
    self.worker = worker
  }

  /// Removes the entries whose keys begin with one of the prefixes, and tells of it.
  public func keys(beginningWith prefixes: [[UInt8]], in namespace: NamespaceNumber, now: UnixMilliseconds) -> Int {
    func place(_ key: some Sequence<UInt8>) -> Int? { prefixes.firstIndex { key.starts(with: $0) } }
    var removed = [Int](repeating: 0, count: prefixes.count)
    let sum = entries(
      of: namespace, now: now,
      where: { place($0.keyBytes) != nil }, forgetting: { place($0) != nil },
      leaving: { removed[place($0.keyBytes)!] += 1 })
    for (prefix, count) in zip(prefixes, removed) {
      node.announcePurge(of: prefix, in: namespace, removed: count, at: now)
    }
    return sum
  }

  /// - Parameters:
  ///   - isMeant: called while an entry is locked; nothing of it may be kept.
  ///   - isForgotten: of the keys that are being loaded: what comes is not stored. Where it is given, all that is
  ///     known of absent keys is forgotten.
  ///   - leaving: called with each entry that is about to be removed.
  /// - Returns: how many entries were removed.
  public func entries(
    of namespace: NamespaceNumber, now: UnixMilliseconds, where isMeant: (Entry) -> Bool,
    forgetting isForgotten: (([UInt8]) -> Bool)? = nil, leaving: (Entry) -> Void = { _ in }
  ) -> Int {
    let (store, routes) = (node.store, node.routes)
    if let isForgotten { node.filler.invalidate(namespace, where: isForgotten) }
    var removed = 0
    var cursor: UInt64 = 0
    var found: [[UInt8]] = []
    repeat {
      found.removeAll(keepingCapacity: true)
      cursor = store.scan(namespace, from: cursor, budget: 512, as: worker, now: now) { entry in
        if isMeant(entry) { found.append(Array(entry.keyBytes)) }
      }
      for bytes in found {
        bytes.withUnsafeBytes { bytes in
          let key = store.key(bytes, in: namespace)
          let taken = store.lock(key, as: worker)
          defer { store.unlock(key, taken) }
          // What others execute is theirs to remove; they are asked as well.
          if routes.isClustered, routes[slot: key.slot] != .here { return }
          guard let entry = store.find(key, now: now, touch: false), isMeant(entry) else { return }
          leaving(entry)
          store.remove(key, entry)
          removed += 1
        }
      }
    } while cursor != 0
    return removed
  }
}
