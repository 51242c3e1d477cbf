import CIntrinsics
import NexusModel

// What is left of a removed key: its name and the stamp of its removal, so that an older version that some other
// member still has does not bring it back.
//
// A tombstone is an entry of its slot's table without a value, in no lane, in no account of its namespace but its own.
// Its flags say that it expires, and the moment is long past: searches take it for something that is not there, at no
// cost to those that find something.

extension Store {
  /// Tombstones on this node.
  public var tombstoneCount: Int { ledger.tombstones }
  /// What they take of the ceiling.
  public var tombstoneBytes: Int { ledger.tombstoneBytes }
  /// More tombstones than this are not kept: the oldest of full slots leave, and raise the slots' floors.
  public var tombstoneBytesMax: Int { ledger.limitBytes / 16 }

  /// Tombstones in a slot, and a stamp that none of them is below. Without a lock: perhaps a moment old.
  public func tombstones(in slot: UInt16) -> (count: Int, oldest: Stamp) {
    let record = records + Int(slot)
    return (Int(atomicLoad(record.tombstonesWord)), Stamp(rawValue: atomicLoad(record.oldestTombstoneWord)))
  }

  /// The tombstone of a key that `find` did not find.
  @inline(__always) func grave(of key: Key) -> Entry? {
    if records[Int(key.slot)].tombstones == 0 { return nil }
    return findGrave(key)
  }

  @inline(never) private func findGrave(_ key: Key) -> Entry? { locate(key).map { Entry($0) } }

  // MARK: Coming

  /// A live entry becomes a tombstone. Where there is no memory for that, it leaves and raises the floor.
  func bury(_ key: Key, _ place: Place, stamp: UInt64, as worker: Worker) {
    let item = place.item
    let handle = place.handle
    let bytes = bytes(of: item, handle: handle)
    unlink(handle, slot: key.slot, item, bytes: bytes, as: worker)
    leaveDigest(item, hash: key.hash, slot: key.slot)
    noteStamp(key.slot, stamp)
    let tombstone = makeTombstone(key, stamp, as: worker)
    if tombstone != 0 {
      place.bucket.setHandle(place.index, tombstone)
    } else {
      vacate(place, hash: key.hash, slot: key.slot)
      raiseFloor(key.slot, to: stamp)
    }
    release(handle, item, bytes: bytes, as: worker)
    boundTombstones(key.slot, as: worker)
  }

  /// A tombstone for a key of which nothing is here.
  func layTombstone(_ key: Key, stamp: UInt64, as worker: Worker) -> Bool {
    let tombstone = makeTombstone(key, stamp, as: worker)
    guard tombstone != 0 else { return false }
    insert(tombstone, hash: key.hash, slot: key.slot, as: worker)
    noteStamp(key.slot, stamp)
    boundTombstones(key.slot, as: worker)
    return true
  }

  private func makeTombstone(_ key: Key, _ stamp: UInt64, as worker: Worker) -> UInt32 {
    var fields = ItemFields(namespace: key.namespace)
    fields.typeBits = Item.Flag.tombstone
    fields.expiresAt = Int64(bitPattern: ~stamp)
    let shape = ItemShape(keyCount: key.count, valueCount: 0, fields: fields, inlineBytesMax: classes.inlineBytesMax)
    let handle = allocateEntry(classes.entryClass(shape.chunkBytes), as: worker)
    guard handle != 0 else { return 0 }
    var external: UnsafeMutableRawPointer?
    if shape.isExternal {
      external = spans.allocate(shape.externalBytes, as: worker)
      guard external != nil else {
        free(handle, as: worker)
        return 0
      }
    }
    let item = Item(pool.address(handle))
    let state = namespaces + Int(key.namespace)
    _ = item.write(shape, fields, key: key.bytes, epoch: state.pointee.epoch, external: external)
    ledger.addTombstones(1, bytes(of: item, handle: handle))
    atomicAdd(state.word(.tombstones), 1)
    noteTombstones(key.slot, 1, stamp)
    return handle
  }

  func noteTombstones(_ slot: UInt16, _ change: Int32, _ stamp: UInt64 = 0) {
    let record = records + Int(slot)
    let count = record.pointee.tombstones &+ UInt32(bitPattern: change)
    let oldest = record.pointee.oldestTombstone
    if count == 0 {
      atomicStore(record.oldestTombstoneWord, 0)
    } else if stamp != 0, oldest == 0 || stamp < oldest {
      atomicStore(record.oldestTombstoneWord, stamp)
    }
    atomicStore(record.tombstonesWord, count)
  }

  // MARK: Going

  /// Of one that is in no table any more.
  func releaseTombstone(_ handle: UInt32, _ item: Item, slot: UInt16, as worker: Worker) {
    ledger.addTombstones(-1, -bytes(of: item, handle: handle))
    atomicAdd((namespaces + Int(item.namespace)).word(.tombstones), -1)
    noteTombstones(slot, -1)
    if item.flags & Item.Flag.external != 0 { spans.free(item.external, item.externalBytes, as: worker) }
    free(handle, as: worker)
  }

  func dropTombstone(_ place: Place, hash: UInt64, slot: UInt16, as worker: Worker) {
    let handle = place.handle
    vacate(place, hash: hash, slot: slot)
    releaseTombstone(handle, place.item, slot: slot, as: worker)
  }

  /// Frees the slot's tombstones up to this stamp; answers how many. `raisingFloor`: some member may not know of them,
  /// and takes what it has of those keys for dropped on purpose.
  @discardableResult
  public func collectTombstones(_ slot: UInt16, upTo stamp: Stamp, raisingFloor: Bool, as worker: Worker) -> Int {
    withSlot(slot, as: worker) {
      var dropped = 0
      var highest: UInt64 = 0
      var oldest: UInt64 = 0
      settleFlushed(slot, as: worker)
      if records[Int(slot)].tombstones == 0 { return 0 }
      walk(slot, as: worker) { place in
        guard place.item.isTombstone else { return }
        let own = place.item.stamp
        if own <= stamp.rawValue {
          dropTombstone(place, hash: hash(of: place.item), slot: slot, as: worker)
          highest = max(highest, own)
          dropped += 1
        } else if oldest == 0 || own < oldest {
          oldest = own
        }
      }
      if raisingFloor { raiseFloor(slot, to: highest) }
      atomicStore((records + Int(slot)).oldestTombstoneWord, oldest)
      return dropped
    }
  }

  // MARK: Their bound

  /// Looks that a search for a full slot takes.
  private static var trimLooks: Int { 8 }

  /// Under the lock of the slot that got one more.
  @inline(__always) func boundTombstones(_ slot: UInt16, as worker: Worker) {
    if ledger.tombstoneBytes > tombstoneBytesMax { trimTombstones(slot, as: worker) }
  }

  /// About half of the tombstones of the fullest of some slots leave, the oldest first. If another worker holds that
  /// slot, then those of this one, which is ours.
  @inline(never) private func trimTombstones(_ slot: UInt16, as worker: Worker) {
    var rounds = 0
    while ledger.tombstoneBytes > tombstoneBytesMax, rounds < 4 {
      let fullest = fullSlot(near: slot)
      let word = lockWord(Self.stripe(of: fullest))
      let isOurs = atomicLoad(word) == worker
      if isOurs || atomicTryLock(word, worker) {
        dropOlderHalf(fullest, as: worker)
        if !isOurs { atomicUnlock(word) }
      } else {
        dropOlderHalf(slot, as: worker)
      }
      rounds += 1
    }
  }

  private func fullSlot(near slot: UInt16) -> UInt16 {
    var best = slot
    var most = atomicLoad((records + Int(slot)).tombstonesWord)
    var place = UInt64(bitPattern: atomicAdd(replication.trimCursorWord, 1))
    for _ in 0..<Self.trimLooks {
      place = place &* 0x5851_F42D_4C95_7F2D &+ 0x1405_7B7E_F767_814F
      let other = UInt16(truncatingIfNeeded: place &>> 40) & UInt16(Slot.count - 1)
      let count = atomicLoad((records + Int(other)).tombstonesWord)
      if count > most {
        best = other
        most = count
      }
    }
    return best
  }

  /// A median of some is good enough: keys lie in a table in no order.
  private func dropOlderHalf(_ slot: UInt16, as worker: Worker) {
    var sample = InlineArray<32, UInt64>(repeating: .max)
    var count = 0
    settleFlushed(slot, as: worker)
    walk(slot, as: worker) { place in
      guard count < 32, place.item.isTombstone else { return }
      let stamp = place.item.stamp
      var at = count
      while at > 0, sample[at - 1] > stamp {
        sample[at] = sample[at - 1]
        at -= 1
      }
      sample[at] = stamp
      count += 1
    }
    guard count > 0 else { return }
    collectTombstones(slot, upTo: Stamp(rawValue: sample[(count - 1) / 2]), raisingFloor: true, as: worker)
  }

  /// After the ceiling was lowered, from the background.
  func boundTombstones(as worker: Worker) {
    guard ledger.tombstoneBytes > tombstoneBytesMax else { return }
    let start = UInt16(truncatingIfNeeded: atomicLoad(replication.trimCursorWord)) & UInt16(Slot.count - 1)
    let slot = fullSlot(near: start)
    withSlot(slot, as: worker) { dropOlderHalf(slot, as: worker) }
  }
}
