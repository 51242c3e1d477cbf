import NexusModel
import NexusReplication
import NexusStore

/// This node's entries as the repair core sees them.
struct StoreCopies: ReplicaCopies {
  let store: Store
  let worker: Worker
  let now: UnixMilliseconds
  let bound: ClockBound
  /// Slots of which something is noted that another member has missed.
  let owed: SlotSet

  /// A slot counts as partial for so long after its last eviction.
  private static let pressureMilliseconds: Int64 = 10_000

  func digest(of slot: Slot) -> UInt64 { store.digest(of: slot.index, as: worker) }
  func lastStamp(of slot: Slot) -> Stamp { store.lastStamp(of: slot.index) }
  func floor(of slot: Slot) -> Stamp { store.floor(of: slot.index) }
  func isPartial(_ slot: Slot) -> Bool {
    let evictedAt = store.evictedAt(slot.index)
    return evictedAt != 0 && evictedAt + Self.pressureMilliseconds > now
  }
  func tombstoneCount(of slot: Slot) -> Int { store.tombstones(in: slot.index).count }
  func keyCount(of slot: Slot) -> Int { store.keyCount(of: slot.index) }

  func isOwed(_ slot: Slot) -> Bool { owed.contains(slot) }

  var flushes: [FlushStamp] {
    store.configuredNumbers.compactMap { number in
      let stamp = store.flushStamp(of: number)
      return stamp == .none ? nil : FlushStamp(namespace: number, stamp: stamp)
    }
  }

  func accepts(_ stamp: Stamp) -> Bool { bound.accepts(stamp, now: now) }

  func visit(_ slot: Slot, _ body: (KeyVersion) -> Void) { visit(slot, .all, body) }

  func visit(_ slot: Slot, _ range: HashRange, _ body: (KeyVersion) -> Void) {
    if range.index == 0 { store.expireDue(slot.index, now: now, as: worker) }
    store.inventory(of: slot.index, hashes: range.lowerHalves, as: worker) { entry in
      body(
        KeyVersion(hash: entry.hash, stamp: entry.stamp, namespace: entry.namespace, isTombstone: entry.isTombstone))
    }
  }

  /// What is here of the key.
  func version(of key: KeyHash, in slot: Slot) -> KeyVersion? {
    var found: KeyVersion?
    _ = store.version(of: key.hash, in: slot.index, of: key.namespace, as: worker) { _, version in
      found = KeyVersion(
        hash: key.hash, stamp: version.stamp, namespace: key.namespace, isTombstone: version.kind == .tombstone)
    }
    return found
  }
}
