import CIntrinsics
import NexusModel

// Expiry in the background: a loop passes over the slots where something is due.

extension Store {
  /// Removes what has expired in a slot, under its lock. Answers the earliest tick of what is left, 0 if none.
  ///
  /// Works on a few buckets at a time: entries, and then their neighbours in the lanes, are asked for ahead, so that
  /// the misses of many removals overlap.
  func expire(_ slot: UInt16, _ now: UnixMilliseconds, _ current: UInt32, as worker: Worker) -> UInt32 {
    let table = slots + Int(slot)
    if table.pointee.isResizing { advanceResize(slot, buckets: Int.max, as: worker) }
    let buckets = table.pointee.buckets
    if buckets == emptyBucket { return 0 }
    let count = Int(table.pointee.bucketCount)
    var earliest: UInt32 = 0
    var tally = ExpiryTally()
    func note(_ tick: UInt32) {
      if tick != 0, earliest == 0 || ExpiryTick.isBefore(tick, earliest) { earliest = tick }
    }
    var index = 0
    while index < count {
      let end = min(index + 8, count)
      for at in index..<end {
        let bucket = Bucket(buckets + at * Bucket.byteCount)
        guard ExpiryTick.isDue(bucket.earliestTick, current) else { continue }
        for place in 0..<Bucket.places where bucket.tag(place) != 0 {
          ci_prefetch_read(pool.address(bucket.handle(place)))
        }
      }
      for at in index..<end {
        let bucket = Bucket(buckets + at * Bucket.byteCount)
        guard ExpiryTick.isDue(bucket.earliestTick, current) else { continue }
        prefetchNeighbours(bucket, now)
      }
      for at in index..<end {
        let bucket = Bucket(buckets + at * Bucket.byteCount)
        if ExpiryTick.isDue(bucket.earliestTick, current) {
          let previous = Bucket(buckets + (at == 0 ? count - 1 : at - 1) * Bucket.byteCount)
          expire(bucket, after: previous, slot, now, &tally, as: worker)
        }
        note(bucket.earliestTick)
      }
      index = end
    }
    settle(&tally)
    return earliest
  }

  private func prefetchNeighbours(_ bucket: Bucket, _ now: UnixMilliseconds) {
    for place in 0..<Bucket.places where bucket.tag(place) != 0 {
      let handle = bucket.handle(place)
      let item = Item(pool.address(handle))
      if item.flags & Item.Flag.expiry != 0, item.expiresAt <= now {
        ci_prefetch_write(pool.address(links.next(handle)))
        ci_prefetch_write(pool.address(links.prev(handle)))
      }
    }
  }

  private func expire(
    _ bucket: Bucket, after previous: Bucket, _ slot: UInt16, _ now: UnixMilliseconds, _ tally: inout ExpiryTally,
    as worker: Worker
  ) {
    var earliest: UInt32 = 0
    for index in 0..<Bucket.places where bucket.tag(index) != 0 {
      let item = Item(pool.address(bucket.handle(index)))
      guard item.flags & Item.Flag.expiry != 0 else { continue }
      let namespace = item.namespace
      if (item.flags ^ namespaces[Int(namespace)].epoch) & Item.Flag.epoch != 0 { continue }
      if item.expiresAt <= now {
        if atomicLoad(watchCounts + Int(slot)) != 0 { onWatchedChange?(namespace, item.keyBytes) }
        if tally.namespace != namespace { settle(&tally) }
        tally.namespace = namespace
        remove(bucket, index, item, after: previous, slot, &tally, as: worker)
      } else {
        let tick = ExpiryTick.of(item.expiresAt, now: now)
        if earliest == 0 || ExpiryTick.isBefore(tick, earliest) { earliest = tick }
      }
    }
    bucket.setEarliestTick(earliest)
  }

  /// As `take`, but what is counted is counted for many at once, and the key is hashed only where the entry may have
  /// come from a bucket before this one.
  private func remove(
    _ bucket: Bucket, _ index: Int, _ item: Item, after previous: Bucket, _ slot: UInt16, _ tally: inout ExpiryTally,
    as worker: Worker
  ) {
    let handle = bucket.handle(index)
    let bytes = links.bytes(handle)
    let lane = lane(of: slot, in: tally.namespace, as: worker)
    SpinLock.lock(lane.lock, as: worker)
    atomicStore(lane.bytesWord, lane.pointee.bytes &- Int64(bytes))
    lane.pointee.policy.removed(handle, bytes: bytes, links)
    SpinLock.unlock(lane.lock)
    tally.entries &+= 1
    tally.bytes &+= Int64(bytes)
    if previous.passed == 0 {
      bucket.setTag(index, 0)
      let table = slots + Int(slot)
      atomicStore(table.countAndFlagWord, table.pointee.countAndFlag &- 1)
    } else {
      vacate(Place(bucket: bucket, index: index, item: item), hash: hash(of: item), slot: slot)
    }
    if item.flags & Item.Flag.external != 0 { spans.free(item.external, item.externalBytes, as: worker) }
    free(handle, as: worker)
  }

  private func settle(_ tally: inout ExpiryTally) {
    if tally.entries > 0 {
      let state = namespaces + Int(tally.namespace)
      atomicAdd(state.word(.entries), -tally.entries)
      atomicAdd(state.word(.expiring), -tally.entries)
      atomicAdd(state.word(.expirations), tally.entries)
      atomicAdd(state.word(.bytes), -tally.bytes)
      ledger.addEntries(-Int(tally.bytes))
    }
    tally = ExpiryTally()
  }
}

/// What one slot's expiry has removed from a namespace and not yet counted.
struct ExpiryTally {
  var namespace: NamespaceNumber = 0
  var entries: Int64 = 0
  var bytes: Int64 = 0
}
