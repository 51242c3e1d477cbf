/// What a policy does for one lane: part of a namespace's entries, in lists of its own. Called under the lane's lock,
/// one call at a time; pure but for the entries' links and marks.
///
/// `bytes` is what the entry occupies; every call about an entry gives the figure of the call before, until `moved`
/// changes it.
protocol EvictionPolicy: BitwiseCopyable {
  /// A new entry, with frequency and queue 0.
  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items)

  /// A hit that `touchMask` let through.
  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items)

  /// The entry lies elsewhere now, or has another size, or gained or lost its expiry. `old` is still readable and
  /// `new` (perhaps the same) bears the old one's frequency and queue; its links are set here.
  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items)

  /// Deleted or expired: forgotten without a trace.
  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items)

  /// Who should leave: 0 for nobody. Requeues at most `workLimit` entries on the way. The entry stays linked until
  /// the caller answers with `evicted`, or with `spared` when it could not have it.
  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32

  /// The victim left. Unlinked here, and remembered where the policy remembers.
  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items)

  /// The victim could not be had now: another one comes next.
  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items)

  /// Gives away all entries in one list, the most worth keeping first, and holds none afterwards.
  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList

  /// Takes entries with whatever marks another policy left on them. Walks them once where they need marks of its own.
  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items)

  /// Entries in the lane.
  var count: Int { get }

  /// Frees what it allocated. Not to be used afterwards.
  mutating func release()

  /// Bytes allocated beside the entries: ghosts, lists, shadow caches.
  var heapBytes: Int { get }
}

/// How many entries a single search for a victim may requeue before it takes the next one as it is.
let workLimit = 64

/// Policies with one list and no memory of their own share these.
protocol SingleListPolicy: EvictionPolicy {
  var list: LaneList { get set }
}

extension SingleListPolicy {
  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    list.pushFront(handle, items)
  }
  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {}
  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    list.replace(old, by: new, items)
  }
  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) {
    list.unlink(handle, items)
  }
  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    list.unlink(handle, items)
  }
  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    list.moveToFront(handle, items)
  }
  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    defer { list = LaneList() }
    return list
  }
  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items) { self.list = list }
  var count: Int { list.count }
  mutating func release() {}
  var heapBytes: Int { 0 }
}
