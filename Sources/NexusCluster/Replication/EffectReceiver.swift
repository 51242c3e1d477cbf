import NexusModel
import NexusReplication
import NexusService
import NexusStore
import NexusWire

/// Takes other members' effects into the store: each version that is newer than what is here.
///
/// Belongs to one loop.
struct EffectReceiver {
  private struct Incoming: BitwiseCopyable {
    var entry: WireEntry
    var key: Key
    var sequence: UInt64
  }

  private let node: Node
  private let worker: Worker
  /// Entries are looked ahead at together, as a batch of requests is. Invariant: room for `most`.
  private let incoming: UnsafeMutablePointer<Incoming>
  private static let most = 32

  init(_ node: Node, loop: Int) {
    self.node = node
    worker = Node.worker(ofLoop: loop)
    incoming = .allocate(capacity: Self.most)
  }

  func deallocate() { incoming.deallocate() }

  /// - Parameter unexpected: gets the slots of news that came from another member than the one that executes them. That
  /// may be this node: whoever brings it does not know yet.
  /// - Returns: what the sender is told; nil where there was nothing.
  func take(
    _ bytes: UnsafeRawBufferPointer, from member: MemberNumber?, _ map: CopyMap,
    _ tallies: UnsafeMutablePointer<ReplicationTallies>, _ unexpected: inout SlotSet, now: UnixMilliseconds
  ) throws(WireError) -> Confirmed? {
    let effects = try Effects(decoding: bytes)
    let bound = ClockBound(aheadMilliseconds: Int64(node.settings.clockBoundMilliseconds))
    let (store, incoming) = (node.store, incoming)
    store.noteTime(now)
    var next = effects.firstSequence
    var count = 0
    var refused: [UInt64] = []
    try effects.each { entry in
      let key = store.key(entry.key, in: NamespaceNumber(truncatingIfNeeded: entry.namespace))
      store.prefetchBucket(key)
      (incoming + count).initialize(to: Incoming(entry: entry, key: key, sequence: next))
      count &+= 1
      next &+= 1
      if count == Self.most {
        apply(count, member, map, bound, tallies, now, &refused, &unexpected)
        count = 0
      }
    }
    apply(count, member, map, bound, tallies, now, &refused, &unexpected)
    return next == effects.firstSequence ? nil : Confirmed(through: next - 1, refused: refused)
  }

  private func apply(
    _ count: Int, _ member: MemberNumber?, _ map: CopyMap, _ bound: ClockBound,
    _ tallies: UnsafeMutablePointer<ReplicationTallies>, _ now: UnixMilliseconds, _ refused: inout [UInt64],
    _ unexpected: inout SlotSet
  ) {
    for index in 0..<count { node.store.prefetchEntry(incoming[index].key) }
    for index in 0..<count {
      let one = incoming + index
      guard let version = Version(one.pointee.entry), one.pointee.entry.namespace <= UInt32(NamespaceNumber.max),
        map.isMine(one.pointee.key.slot)
      else {
        refused.append(one.pointee.sequence)
        tallies.pointee.refusedHere.add()
        continue
      }
      guard bound.accepts(version.stamp, now: now) else {
        refused.append(one.pointee.sequence)
        tallies.pointee.refusedHere.add()
        tallies.pointee.tooFarAhead.add()
        continue
      }
      switch node.store.merge(one.pointee.key, version, as: worker, now: now) {
      case .applied:
        tallies.pointee.applied.add()
        let slot = one.pointee.key.slot
        if member == nil || node.routes[slot: slot].member != member { unexpected.insert(Slot(index: slot)) }
      case .older, .same, .flushed: tallies.pointee.older.add()
      case .outOfMemory, .refused:
        refused.append(one.pointee.sequence)
        tallies.pointee.refusedHere.add()
      }
    }
  }
}

extension Version {
  /// Nil for what this build does not know. Borrows the entry's bytes.
  init?(_ entry: WireEntry) {
    let stamp = Stamp(rawValue: entry.stamp)
    switch entry.kind {
    case .value:
      guard let type = UInt8(exactly: entry.type).flatMap({ ValueType(rawValue: $0) }),
        let expiresAt = UnixMilliseconds(exactly: entry.expiresAt),
        let freshUntil = UnixMilliseconds(exactly: entry.freshUntil)
      else { return nil }
      self.init(
        entry.value, type: type, expiresAt: expiresAt, clientFlags: entry.clientFlags, version: entry.version,
        freshUntil: freshUntil, tags: entry.tags, stamp: stamp)
    case .tombstone: self = .tombstone(stamp)
    case .evicted: self = .evicted(stamp)
    default: return nil
    }
  }
}
