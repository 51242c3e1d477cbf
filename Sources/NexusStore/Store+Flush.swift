import CIntrinsics
import NexusModel

// Flushing flips one bit of the namespace; entries that bear the other bit are gone for every reader at once, and
// their memory returns in the background.
//
// A flush that comes from another member says of itself when it was: what was written later stays. Whoever meets such
// an entry under the other bit (a search, or the background) puts it back into its lane.

extension Store {
  /// At once empty for every reader; the memory returns in the background. Answers the flush's stamp, above that of
  /// every entry, where the namespace is stamped.
  @discardableResult
  public func flush(_ namespace: NamespaceNumber, as worker: Worker) -> Stamp { flush(namespace, nil, as: worker) }

  /// As another member flushed: what is newer than `stamp` stays, and what is not newer will not be taken from now on.
  public func flush(_ namespace: NamespaceNumber, stamp: Stamp, as worker: Worker) {
    guard isAcceptable(stamp.rawValue) else { return }
    _ = flush(namespace, stamp.rawValue, as: worker)
  }

  /// Above every stamp that this node has given or met.
  public func highestStamp(as worker: Worker) -> Stamp {
    let held = lockEverything(as: worker)
    defer { unlock(held) }
    return Stamp(rawValue: stampAboveAll())
  }

  /// The stamp of the namespace's last flush; `none` where there was none since it is stamped.
  public func flushStamp(of namespace: NamespaceNumber) -> Stamp {
    Stamp(rawValue: atomicLoad((namespaces + Int(namespace)).flushStampWord))
  }

  private func flush(_ namespace: NamespaceNumber, _ given: UInt64?, as worker: Worker) -> Stamp {
    let state = namespaces + Int(namespace)
    // One bit tells flushed entries from new ones: an earlier flush must be done with. Once more under the locks, for
    // another thread may have flushed meanwhile.
    reclaimAll(state, as: worker)
    let held = lockEverything(as: worker)
    defer { unlock(held) }
    reclaimAll(state, as: worker)
    if state.pointee.isStamped {
      let stamp = given ?? stampAboveAll()
      if stamp <= state.pointee.flushStamp { return Stamp(rawValue: stamp) }
      for stripe in 0..<Self.stripeCount { raiseClock(stripe, to: stamp) }
      atomicStore(state.flushStampWord, stamp)
    }
    empty(state, as: worker)
    return Stamp(rawValue: state.pointee.flushStamp)
  }

  private func empty(_ state: UnsafeMutablePointer<NamespaceState>, as worker: Worker) {
    state.pointee.epoch ^= Item.Flag.epoch
    noteDying(state, state.pointee.entries + state.pointee.tombstones)
    atomicStore(state.word(.entries), 0)
    atomicStore(state.word(.bytes), 0)
    atomicStore(state.word(.expiring), 0)
    atomicStore(state.word(.tombstones), 0)
    guard let lanes = published(state) else { return }
    for index in 0...Int(state.pointee.laneMask) {
      SpinLock.lock((lanes + index).lock, as: worker)
      lanes[index].policy.forgetAll()
      account(lanes + index)
      atomicStore((lanes + index).bytesWord, 0)
      SpinLock.unlock((lanes + index).lock)
    }
  }

  // MARK: What a flush left behind

  func reclaimAll(_ state: UnsafeMutablePointer<NamespaceState>, as worker: Worker) {
    while atomicLoad(state.word(.dying)) > 0 { _ = reclaimFlushed(slots: Slot.count, as: worker) }
  }

  /// Frees flushed entries in the next slots. False where nothing is flushed.
  @discardableResult
  func reclaimFlushed(slots count: Int, as worker: Worker) -> Bool {
    guard hasFlushed else { return false }
    for _ in 0..<count {
      let slot = Int(atomicAdd(reclaimCursor, 1)) & (Slot.count - 1)
      let stripe = Self.stripe(of: UInt16(slot))
      let taken = lock(stripe: stripe, as: worker)
      reclaim(UInt16(slot), as: worker)
      if taken { atomicUnlock(lockWord(stripe)) }
    }
    return true
  }

  /// Flushed entries, of any namespace, are still in memory.
  var hasFlushed: Bool { atomicLoad(dyingCount) > 0 }

  func noteDying(_ state: UnsafeMutablePointer<NamespaceState>, _ count: Int64) {
    atomicAdd(state.word(.dying), count)
    atomicAdd(dyingCount, count)
  }

  private func reclaim(_ slot: UInt16, as worker: Worker) {
    settleFlushed(slot, as: worker)
    shrinkIfSparse(slot, as: worker)
  }

  /// Leaves nothing of the other epoch in the slot, for whoever looks at all of it. Under its lock.
  func settleFlushed(_ slot: UInt16, as worker: Worker) {
    guard hasFlushed else { return }
    walk(slot, as: worker) { place in
      guard isOfOtherEpoch(place.item) else { return }
      resolve(place, hash: hash(of: place.item), slot: slot, as: worker)
    }
  }

  /// Every place in use of a slot's table, whatever is there. `visit` may free the place that it is given, and give it
  /// another handle. Under the lock.
  func walk(_ slot: UInt16, as worker: Worker, _ visit: (Place) -> Void) {
    if slots[Int(slot)].isResizing { advanceResize(slot, buckets: Int.max, as: worker) }
    let table = slots[Int(slot)]
    guard table.buckets != emptyBucket else { return }
    for index in 0..<Int(table.bucketCount) {
      let bucket = Bucket(table.buckets + index * Bucket.byteCount)
      for at in 0..<Bucket.places where bucket.tag(at) != 0 {
        visit(Place(bucket: bucket, index: at, item: Item(pool.address(bucket.handle(at)))))
      }
    }
  }

  func isOfOtherEpoch(_ item: Item) -> Bool {
    (item.flags ^ namespaces[Int(item.namespace)].epoch) & Item.Flag.epoch != 0
  }

  /// Of an item that bears the other epoch: it was written after the flush.
  func outlivesFlush(_ item: Item) -> Bool {
    let state = namespaces + Int(item.namespace)
    return state.pointee.isStamped && item.stamp > state.pointee.flushStamp
  }

  /// What a search does with an entry of the other epoch. False where it is gone now.
  @usableFromInline @inline(never) func outlivedFlush(_ place: Place, _ key: Key) -> Bool {
    resolve(place, hash: key.hash, slot: key.slot, as: holder(of: key.slot))
  }

  /// Puts what was written after the flush back into the namespace, and frees the rest.
  @discardableResult
  private func resolve(_ place: Place, hash: UInt64, slot: UInt16, as worker: Worker) -> Bool {
    let state = namespaces + Int(place.item.namespace)
    let isKept = outlivesFlush(place.item)
    if isKept {
      revive(place, hash: hash, slot: slot, as: worker)
    } else if place.item.isTombstone {
      // Its namespace's account does not know of it any more.
      atomicAdd(state.word(.tombstones), 1)
      dropTombstone(place, hash: hash, slot: slot, as: worker)
    } else {
      let bytes = bytes(of: place.item, handle: place.handle)
      discard(place, hash: hash, slot: slot, bytes: bytes, as: worker)
    }
    noteDying(state, -1)
    return isKept
  }

  private func revive(_ place: Place, hash: UInt64, slot: UInt16, as worker: Worker) {
    let item = place.item
    let handle = place.handle
    // Whoever empties a page reads flags under its heap's lock alone.
    let heap = heap(holding: handle)
    heap.lock(as: worker)
    item.publish(item.flags ^ Item.Flag.epoch)
    heap.unlock()
    if item.isTombstone {
      atomicAdd((namespaces + Int(item.namespace)).word(.tombstones), 1)
      return
    }
    item.policyByte.pointee = 0
    link(handle, hash: hash, slot: slot, item, bytes: bytes(of: item, handle: handle), as: worker)
    if item.flags & Item.Flag.expiry != 0 { noteExpiry(place.bucket, item.expiresAt, slot) }
  }
}
