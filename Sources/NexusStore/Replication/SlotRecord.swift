import CIntrinsics
import NexusModel

/// What replication knows of one slot. Lies in raw memory, one per slot, all zero at first.
///
/// Invariant: written under the stripe's lock, each word atomically, for they are read without.
struct SlotRecord: BitwiseCopyable {
  /// The wrapping sum, over the entries of stamped namespaces, of a mix of key hash and stamp. Flushed ones count until
  /// their memory returns.
  var digest: UInt64 = 0
  /// Of any version that was written or merged here.
  var lastStamp: UInt64 = 0
  /// The highest stamp of what was dropped here without leaving a trace.
  var floor: UInt64 = 0
  /// This node's own last eviction, in milliseconds since 1970; 0: none.
  var evictedAt: Int64 = 0
  /// No tombstone here has a lower stamp. 0 while there is none.
  var oldestTombstone: UInt64 = 0
  var tombstones: UInt32 = 0
  /// Not 0: what expires leaves a tombstone.
  var leavesTraces: UInt32 = 0
}

/// What replication keeps once per node. Touched atomically.
struct ReplicationState {
  /// An unmanaged `TapBox`, or nil.
  var tap: UnsafeMutableRawPointer?
  /// Advances with each look for the slot with the most tombstones.
  var trimCursor: Int64 = 0
  /// The records are counted in the ledger. Under all stripes' locks.
  var isAccounted = false
}

extension UnsafeMutablePointer where Pointee == ReplicationState {
  @inline(__always) var tapWord: UnsafePointer<UnsafeMutableRawPointer?> {
    UnsafeRawPointer(self).assumingMemoryBound(to: UnsafeMutableRawPointer?.self)
  }
  var trimCursorWord: UnsafePointer<Int64> {
    (UnsafeRawPointer(self) + 8).assumingMemoryBound(to: Int64.self)
  }
}

extension UnsafeMutablePointer where Pointee == NamespaceState {
  var flushStampWord: UnsafePointer<UInt64> {
    let offset = MemoryLayout<NamespaceState>.offset(of: \.flushStamp)!
    return (UnsafeRawPointer(self) + offset).assumingMemoryBound(to: UInt64.self)
  }
}

extension UnsafeMutablePointer where Pointee == SlotRecord {
  @inline(__always) private func word(_ offset: Int) -> UnsafePointer<UInt64> {
    (UnsafeRawPointer(self) + offset).assumingMemoryBound(to: UInt64.self)
  }
  @inline(__always) var digestWord: UnsafePointer<UInt64> { word(0) }
  @inline(__always) var lastStampWord: UnsafePointer<UInt64> { word(8) }
  var floorWord: UnsafePointer<UInt64> { word(16) }
  var evictedAtWord: UnsafePointer<Int64> {
    (UnsafeRawPointer(self) + 24).assumingMemoryBound(to: Int64.self)
  }
  var oldestTombstoneWord: UnsafePointer<UInt64> { word(32) }
  @inline(__always) var tombstonesWord: UnsafePointer<UInt32> {
    (UnsafeRawPointer(self) + 40).assumingMemoryBound(to: UInt32.self)
  }
  var leavesTracesWord: UnsafePointer<UInt32> {
    (UnsafeRawPointer(self) + 44).assumingMemoryBound(to: UInt32.self)
  }
}

extension Store {
  // MARK: The clock of a stripe

  /// The highest stamp that the stripe has given or met, on the cache line of its lock and under it.
  @inline(__always) func stampClock(_ stripe: Int) -> UnsafeMutablePointer<UInt64> {
    (UnsafeMutableRawPointer(lockWord(stripe)) + 8).assumingMemoryBound(to: UInt64.self)
  }

  @inline(__always) func nextStamp(_ slot: UInt16) -> UInt64 {
    let clock = stampClock(Self.stripe(of: slot))
    let last = Stamp(rawValue: clock.pointee)
    let stamp = Stamp.next(after: last, now: atomicLoad(self.clock), mark: stampMark).rawValue
    clock.pointee = stamp
    return stamp
  }

  func raiseClock(_ stripe: Int, to stamp: UInt64) {
    let clock = stampClock(stripe)
    if stamp > clock.pointee { clock.pointee = stamp }
  }

  /// While every stripe is locked.
  func stampAboveAll() -> UInt64 {
    var last: UInt64 = 0
    for stripe in 0..<Self.stripeCount { last = max(last, stampClock(stripe).pointee) }
    return Stamp.next(after: Stamp(rawValue: last), now: atomicLoad(clock), mark: stampMark).rawValue
  }

  /// A tombstone's stamp leaves one bit for the sign of the moment in whose place it lies.
  func isAcceptable(_ stamp: UInt64) -> Bool { stamp != 0 && stamp >> 63 == 0 }

  /// The time that stamps are made of. Told by each loop once a turn.
  public func noteTime(_ now: UnixMilliseconds) {
    if atomicLoad(clock) != now { atomicStore(clock, now) }
  }

  // MARK: Digests

  /// An entry's part of its slot's digest: the finaliser of SplitMix64 over both words.
  @inline(__always) static func contribution(hash: UInt64, stamp: UInt64) -> UInt64 {
    var mixed = hash ^ (stamp &* 0x9E37_79B9_7F4A_7C15)
    mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed &>> 31)
  }

  /// A live version took the place of one with the stamp `former` (0: of none).
  @inline(__always) func noteVersion(_ slot: UInt16, hash: UInt64, from former: UInt64, to stamp: UInt64) {
    let record = records + Int(slot)
    var digest = record.pointee.digest &+ Self.contribution(hash: hash, stamp: stamp)
    if former != 0 { digest &-= Self.contribution(hash: hash, stamp: former) }
    atomicStore(record.digestWord, digest)
    noteStamp(slot, stamp)
  }

  @inline(__always) func noteStamp(_ slot: UInt16, _ stamp: UInt64) {
    let record = records + Int(slot)
    if stamp > record.pointee.lastStamp { atomicStore(record.lastStampWord, stamp) }
  }

  /// An entry with extras leaves. What has a stamp in a namespace that is not stamped never counted.
  @inline(never) func leaveDigest(_ item: Item, hash: UInt64, slot: UInt16) {
    let stamp = item.stamp
    guard stamp != 0, namespaces[Int(item.namespace)].isStamped else { return }
    let record = records + Int(slot)
    atomicStore(record.digestWord, record.pointee.digest &- Self.contribution(hash: hash, stamp: stamp))
  }

  @inline(never) func leaveDigest(_ item: Item, slot: UInt16) {
    guard namespaces[Int(item.namespace)].isStamped else { return }
    leaveDigest(item, hash: hash(of: item), slot: slot)
  }

  func raiseFloor(_ slot: UInt16, to stamp: UInt64) {
    let record = records + Int(slot)
    if stamp > record.pointee.floor { atomicStore(record.floorWord, stamp) }
  }

  // MARK: Asking

  /// A sum over the keys and stamps of the slot's entries: equal on two members that hold the same versions.
  public func digest(of slot: UInt16, as worker: Worker) -> UInt64 {
    if hasFlushed { withSlot(slot, as: worker) { settleFlushed(slot, as: worker) } }
    return atomicLoad((records + Int(slot)).digestWord)
  }

  /// The highest stamp that was written or merged in the slot; perhaps that of something that has left.
  public func lastStamp(of slot: UInt16) -> Stamp { Stamp(rawValue: atomicLoad((records + Int(slot)).lastStampWord)) }

  /// Up to this stamp the slot may lack something on purpose: it was evicted, or was a tombstone that is collected.
  public func floor(of slot: UInt16) -> Stamp { Stamp(rawValue: atomicLoad((records + Int(slot)).floorWord)) }

  /// When this node last evicted something of the slot by itself; 0: never.
  public func evictedAt(_ slot: UInt16) -> UnixMilliseconds { atomicLoad((records + Int(slot)).evictedAtWord) }
}
