import CIntrinsics
import NexusModel

// What a stamped namespace does beside what every namespace does: each change gets the next stamp of its stripe, goes
// into its slot's digest, and is told to the tap.

/// Called by reference only, without counting references on the way of a write.
final class TapBox: Sendable {
  let tell: @Sendable (borrowing Change, Worker) -> Void
  init(_ tell: @escaping @Sendable (borrowing Change, Worker) -> Void) { self.tell = tell }
}

extension Store {
  /// Told of every change that this node makes to a key of a stamped namespace, under the stripe's lock: written,
  /// removed, evicted. Not of merges, expiry, flushes and `forget`. Must not use the store. Set once, before the first
  /// write.
  public var changeTap: (@Sendable (borrowing Change, Worker) -> Void)? {
    get { atomicPublished(replication.tapWord).map { Unmanaged<TapBox>.fromOpaque($0).takeUnretainedValue().tell } }
    set {
      let old = atomicPublished(replication.tapWord)
      atomicPublish(replication.tapWord, newValue.map { Unmanaged.passRetained(TapBox($0)).toOpaque() })
      if let old { Unmanaged<TapBox>.fromOpaque(old).release() }
    }
  }

  @inline(__always) private func tell(_ change: Change) {
    guard let box = atomicPublished(replication.tapWord) else { return }
    let worker = holder(of: change.key.slot)
    Unmanaged<TapBox>.fromOpaque(box)._withUnsafeGuaranteedRef { $0.tell(change, worker) }
  }

  // MARK: Writing

  /// As `write`, with the stripe's next stamp.
  @inline(never)
  func writeStamped(
    _ key: Key, _ existing: Entry?, _ fields: ItemFields, count: Int, keep: Int, external: UnsafeMutableRawPointer?
  ) -> Written? {
    var fields = fields
    let former = existing == nil ? 0 : fields.stamp
    fields.stamp = nextStamp(key.slot)
    let target = existing ?? grave(of: key)
    guard let written = lay(key, over: target, fields, count: count, keep: keep, external: external) else {
      return nil
    }
    noteVersion(key.slot, hash: key.hash, from: former, to: fields.stamp)
    return written
  }

  /// The value is complete.
  @inline(__always) func noteWritten(_ key: Key, _ item: Item) {
    noteChange(key)
    if namespaces[Int(key.namespace)].isStamped { tellWritten(key, item) }
  }

  @inline(never) private func tellWritten(_ key: Key, _ item: Item) {
    if atomicPublished(replication.tapWord) != nil { tell(Change(key: key, version: Version(of: item))) }
  }

  /// The entry's value was changed in place.
  @inline(never) func restamp(_ key: Key) {
    if let place = locate(key), !place.item.isTombstone {
      let former = place.item.stamp
      let stamp = nextStamp(key.slot)
      place.item.setStamp(stamp)
      noteVersion(key.slot, hash: key.hash, from: former, to: stamp)
      tellWritten(key, place.item)
    }
    noteChange(key)
  }

  /// A command removes the entry.
  func bury(_ key: Key, _ entry: Entry) {
    let stamp = nextStamp(key.slot)
    bury(key, entry.place, stamp: stamp, as: holder(of: key.slot))
    tell(Change(key: key, version: .tombstone(Stamp(rawValue: stamp))))
    noteChange(key)
  }

  /// Under the stripe's lock, while the entry's bytes are still there.
  @inline(never) func noteEvicted(_ item: Item, hash: UInt64, slot: UInt16, as worker: Worker) {
    let stamp = item.stamp
    raiseFloor(slot, to: stamp)
    atomicStore((records + Int(slot)).evictedAtWord, atomicLoad(clock))
    let key = key(of: item, hash: hash, slot: slot)
    tell(Change(key: key, version: .evicted(Stamp(rawValue: stamp))))
  }

  /// The key of an entry, as long as that lies where it is.
  func key(of item: Item, hash: UInt64, slot: UInt16) -> Key {
    Key(base: item.keyBase, count: item.keyCount, hash: hash, slot: slot, namespace: item.namespace)
  }

  // MARK: A namespace becomes stamped, or stops being so

  /// While every stripe is locked.
  func become(stamped: Bool, _ namespace: NamespaceNumber, as worker: Worker) {
    let state = namespaces + Int(namespace)
    reclaimAll(state, as: worker)
    if stamped, !replication.pointee.isAccounted {
      replication.pointee.isAccounted = true
      ledger.addFixed(Slot.count * MemoryLayout<SlotRecord>.stride)
    }
    guard atomicLoad(state.word(.entries)) + atomicLoad(state.word(.tombstones)) > 0 else {
      state.pointee.isStamped = stamped
      return
    }
    if stamped { state.pointee.isStamped = true }
    for slot in 0..<UInt16(Slot.count) {
      walk(slot, as: worker) { place in
        guard place.item.namespace == namespace else { return }
        let hash = hash(of: place.item)
        if stamped {
          stampFirst(place, hash: hash, slot: slot, as: worker)
        } else if place.item.isTombstone {
          dropTombstone(place, hash: hash, slot: slot, as: worker)
        } else {
          leaveDigest(place.item, hash: hash, slot: slot)
        }
      }
    }
    state.pointee.isStamped = stamped
  }

  /// An entry that is older than its namespace's stamps gets one; without memory for that it leaves.
  private func stampFirst(_ place: Place, hash: UInt64, slot: UInt16, as worker: Worker) {
    let key = key(of: place.item, hash: hash, slot: slot)
    var fields = ItemFields(of: place.item)
    fields.stamp = nextStamp(slot)
    let count = place.item.valueCount
    if lay(key, over: Entry(place), fields, count: count, keep: count, external: nil) != nil {
      noteVersion(slot, hash: hash, from: 0, to: fields.stamp)
    } else {
      take(place, hash: hash, slot: slot, as: worker)
    }
  }
}
