import CIntrinsics
import NexusModel

/// What the store knows of one namespace. Lies in raw memory, one per number.
///
/// Invariant: counters are atomic. `laneBase` is set once, before the first entry. Settings and `epoch` change only
/// while every stripe is locked, so that whoever holds a stripe reads them as they are.
@usableFromInline struct NamespaceState {
  /// A hit whose hash has none of these bits is told to the lane (all of them for LRU, a sample for the tuners).
  @usableFromInline var touchMask: UInt64 = .max
  var laneBase: UnsafeMutableRawPointer?
  // In the order of `NamespaceWord`.
  var entries: Int64 = 0
  var bytes: Int64 = 0
  var expiring: Int64 = 0
  var evictions: Int64 = 0
  var expirations: Int64 = 0
  /// Flushed entries whose memory has not returned yet.
  var dying: Int64 = 0
  var laneCursor: Int64 = 0
  /// Not flushed ones.
  var tombstones: Int64 = 0
  /// Entries that bear the other epoch were flushed.
  @usableFromInline var epoch: UInt8 = 0
  /// Read without a lock by whoever looks for a victim: a byte.
  var eviction: EvictionPolicyName = .s3fifo
  /// 0 until there is such a namespace.
  var isConfigured: UInt8 = 0
  /// Every entry has a stamp, and is in its slot's digest.
  var isStamped = false
  var laneMask: UInt32 = 0
  var defaultTTL: Int64 = 0
  var ttlJitter: Double = 0
  var limitBytes: Int64 = 0
  var limitEntries: Int64 = 0
  /// The last flush's stamp: only what is newer is here. 0: never flushed while stamped.
  var flushStamp: UInt64 = 0
  var acknowledgement = Acknowledgement.one
  var reads = ReadPreference.owner
  var keepsHotCopies = true

  @usableFromInline var isLimited: Bool { limitBytes != 0 || limitEntries != 0 }
}

/// A part of a namespace's entries in the order of its eviction policy. A small namespace has one, so that its order
/// is exact; a large one up to 64, so that threads seldom meet.
struct Lane {
  /// Of the policy's own memory, what the ledger knows of.
  var accountedBytes: Int = 0
  /// Chunk and external bytes of the entries here. Written under the lock; read without by whoever looks for the
  /// fullest lane.
  var bytes: Int64 = 0
  /// Not first: a change of `policy` counts, for the thread sanitizer, as one of the record's first word.
  var lockWord: UInt32 = 0
  var policy: LanePolicy
}

extension Store {
  static var laneCountMax: Int { 64 }

  /// A lane for every 32 MiB that the namespace may hold.
  func laneCount(_ settings: NamespaceSettings) -> Int {
    if settings.limitEntries > 0 && settings.limitEntries < 1 << 16 { return 1 }
    let bytes = settings.limitBytes > 0 ? min(settings.limitBytes, ledger.limitBytes) : ledger.limitBytes
    var count = 1
    while count < Self.laneCountMax && bytes / (count * 2) >= 32 << 20 { count *= 2 }
    return count
  }

  func lane(of slot: UInt16, in namespace: NamespaceNumber, as worker: Worker) -> UnsafeMutablePointer<Lane> {
    let state = namespaces + Int(namespace)
    let lanes = published(state) ?? makeLanes(namespace, as: worker)
    return lanes + Int(UInt32(slot) & state.pointee.laneMask)
  }

  /// The namespace's lanes, once they are complete.
  @inline(__always) func published(_ state: UnsafeMutablePointer<NamespaceState>) -> UnsafeMutablePointer<Lane>? {
    atomicPublished(state.laneWord)?.assumingMemoryBound(to: Lane.self)
  }

  @inline(never)
  private func makeLanes(_ namespace: NamespaceNumber, as worker: Worker) -> UnsafeMutablePointer<Lane> {
    SpinLock.lock(namespacesLock, as: worker)
    defer { SpinLock.unlock(namespacesLock) }
    let state = namespaces + Int(namespace)
    if let lanes = published(state) { return lanes }
    let count = laneCount(namespaceSettings[namespace]!)
    let lanes = UnsafeMutablePointer<Lane>.allocate(capacity: count)
    for index in 0..<count {
      (lanes + index).initialize(
        to: Lane(policy: LanePolicy(state.pointee.eviction, tunes: index == 0, seed: seed &+ UInt64(index))))
    }
    ledger.addFixed(count * MemoryLayout<Lane>.stride)
    state.pointee.laneMask = UInt32(count - 1)
    // Published last: other threads may make their first entry at the same moment.
    atomicPublish(state.laneWord, lanes)
    return lanes
  }

  /// What an entry written without a TTL gets, on the way of every write: milliseconds (0: no TTL), and the share of it
  /// that chance may take away.
  public func lifetime(in namespace: NamespaceNumber) -> (milliseconds: Int64, jitter: Double) {
    let state = namespaces + Int(namespace)
    return (state.pointee.defaultTTL, state.pointee.ttlJitter)
  }

  /// How many copies a write has before it is answered.
  public func acknowledgement(in namespace: NamespaceNumber) -> Acknowledgement {
    (namespaces + Int(namespace)).pointee.acknowledgement
  }

  public func readPreference(in namespace: NamespaceNumber) -> ReadPreference {
    (namespaces + Int(namespace)).pointee.reads
  }

  /// Whether members that do not own its keys may keep copies of hot ones.
  public func keepsHotCopies(of namespace: NamespaceNumber) -> Bool {
    (namespaces + Int(namespace)).pointee.keepsHotCopies && readPreference(in: namespace) != .quorum
  }

  /// Makes the namespace of this number, or changes its settings; entries that no longer fit leave with the next
  /// writes.
  public func configure(_ namespace: NamespaceNumber, _ settings: NamespaceSettings, as worker: Worker) {
    let held = lockEverything(as: worker)
    defer { unlock(held) }
    SpinLock.lock(namespacesLock, as: worker)
    let state = namespaces + Int(namespace)
    if namespaceSettings.updateValue(settings, forKey: namespace) == nil { append(namespace) }
    SpinLock.unlock(namespacesLock)
    state.pointee.limitBytes = Int64(settings.limitBytes)
    state.pointee.limitEntries = Int64(settings.limitEntries)
    state.pointee.defaultTTL = settings.defaultTTLMilliseconds
    state.pointee.ttlJitter = settings.ttlJitter
    if settings.isStamped != state.pointee.isStamped { become(stamped: settings.isStamped, namespace, as: worker) }
    state.pointee.acknowledgement = settings.acknowledgement
    state.pointee.reads = settings.reads
    state.pointee.keepsHotCopies = settings.keepsHotCopies
    let changed = state.pointee.eviction != settings.eviction
    state.pointee.eviction = settings.eviction
    if changed, let lanes = published(state) {
      for index in 0...Int(state.pointee.laneMask) {
        SpinLock.lock((lanes + index).lock, as: worker)
        lanes[index].policy.become(settings.eviction, links)
        account(lanes + index)
        SpinLock.unlock((lanes + index).lock)
      }
    }
    state.pointee.touchMask =
      published(state)?[0].policy.touchMask ?? (settings.eviction == .lru ? 0 : .max)
  }

  /// What a policy allocates for itself (ghosts, shadow caches) counts as well. Under the lane's lock.
  func account(_ lane: UnsafeMutablePointer<Lane>) {
    let bytes = lane.pointee.policy.heapBytes
    if bytes != lane.pointee.accountedBytes {
      ledger.addFixed(bytes - lane.pointee.accountedBytes)
      lane.pointee.accountedBytes = bytes
    }
  }

  /// The lane that tunes for its namespace has found something: which hits it wants to hear of, or how large the small
  /// queues should be. Not while any lane is locked.
  func spreadNews(_ namespace: NamespaceNumber, as worker: Worker) {
    let state = namespaces + Int(namespace)
    guard let lanes = published(state) else { return }
    SpinLock.lock((lanes + 0).lock, as: worker)
    guard lanes[0].policy.hasNews else {
      SpinLock.unlock((lanes + 0).lock)
      return
    }
    lanes[0].policy.hasNews = false
    let mask = lanes[0].policy.touchMask
    let share = lanes[0].policy.smallShare
    SpinLock.unlock((lanes + 0).lock)
    atomicStore(state.touchMaskWord, mask)
    for index in 1..<max(1, Int(state.pointee.laneMask) + 1) {
      SpinLock.lock((lanes + index).lock, as: worker)
      lanes[index].policy.smallShare = share
      SpinLock.unlock((lanes + index).lock)
    }
  }
}

// MARK: An entry's place in its lane. Under the stripe's lock.

extension Store {
  func link(_ handle: UInt32, hash: UInt64, slot: UInt16, _ item: Item, bytes: Int, as worker: Worker) {
    let namespace = item.namespace
    let lane = lane(of: slot, in: namespace, as: worker)
    SpinLock.lock(lane.lock, as: worker)
    atomicStore(lane.bytesWord, lane.pointee.bytes &+ Int64(bytes))
    lane.pointee.policy.inserted(handle, hash: hash, bytes: bytes, links)
    SpinLock.unlock(lane.lock)
    let state = namespaces + Int(namespace)
    atomicAdd(state.word(.entries), 1)
    atomicAdd(state.word(.bytes), Int64(bytes))
    if item.flags & Item.Flag.expiry != 0 { atomicAdd(state.word(.expiring), 1) }
  }

  func unlink(_ handle: UInt32, slot: UInt16, _ item: Item, bytes: Int, as worker: Worker) {
    let namespace = item.namespace
    let lane = lane(of: slot, in: namespace, as: worker)
    SpinLock.lock(lane.lock, as: worker)
    atomicStore(lane.bytesWord, lane.pointee.bytes &- Int64(bytes))
    lane.pointee.policy.removed(handle, bytes: bytes, links)
    SpinLock.unlock(lane.lock)
    account(left: item, bytes: bytes, in: namespace)
  }

  func account(left item: Item, bytes: Int, in namespace: NamespaceNumber) {
    let state = namespaces + Int(namespace)
    atomicAdd(state.word(.entries), -1)
    atomicAdd(state.word(.bytes), Int64(-bytes))
    if item.flags & Item.Flag.expiry != 0 { atomicAdd(state.word(.expiring), -1) }
  }

  /// The entry moved to another chunk, or changed its size, or both. Its order stays.
  func relink(
    _ old: UInt32, _ new: UInt32, slot: UInt16, namespace: NamespaceNumber, from oldBytes: Int, to newBytes: Int,
    expiring: Int, as worker: Worker
  ) {
    let lane = lane(of: slot, in: namespace, as: worker)
    SpinLock.lock(lane.lock, as: worker)
    atomicStore(lane.bytesWord, lane.pointee.bytes &+ Int64(newBytes &- oldBytes))
    if old != new { links.item(new).policyByte.pointee = atomicLoad(links.item(old).policyByte) }
    lane.pointee.policy.moved(old, to: new, from: oldBytes, to: newBytes, links)
    SpinLock.unlock(lane.lock)
    let state = namespaces + Int(namespace)
    if newBytes != oldBytes { atomicAdd(state.word(.bytes), Int64(newBytes &- oldBytes)) }
    if expiring != 0 { atomicAdd(state.word(.expiring), Int64(expiring)) }
  }
}
