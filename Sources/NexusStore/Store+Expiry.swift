import CIntrinsics
import NexusModel

// Expiry in the background: a loop passes over the slots where something is due.
//
// What it costs is cache misses: the entries of due buckets, then the neighbours in their lane of those that expired.
// So a pass goes in three strides over many buckets: ask for the entries; look at them and ask for the neighbours;
// remove. Each stride waits for memory once, not once an entry.

/// An entry found to have expired, still in its table and lane.
struct Expired: BitwiseCopyable {
  /// The bucket's index in its table.
  let bucket: UInt32
  let place: UInt8
  let namespace: NamespaceNumber
  let handle: UInt32
}

extension Store {
  /// Due buckets a stride: their entries' lines stay in the first-level cache until the last stride.
  private static var strideBuckets: Int { 24 }

  /// Removes what has expired in a slot, under its lock. Answers the earliest tick of what is left, 0 if none.
  func expire(_ slot: UInt16, _ now: UnixMilliseconds, _ current: UInt32, as worker: Worker) -> UInt32 {
    let table = slots + Int(slot)
    if table.pointee.isResizing { advanceResize(slot, buckets: Int.max, as: worker) }
    let buckets = table.pointee.buckets
    if buckets == emptyBucket { return 0 }
    if leavesTraces(slot) { expireLeavingTraces(slot, now, current, as: worker) }
    let count = Int(table.pointee.bucketCount)
    var earliest: UInt32 = 0
    func note(_ tick: UInt32) {
      if tick != 0, earliest == 0 || ExpiryTick.isBefore(tick, earliest) { earliest = tick }
    }
    withUnsafeTemporaryAllocation(of: Expired.self, capacity: Self.strideBuckets * Bucket.places) { expired in
      withUnsafeTemporaryAllocation(of: UInt32.self, capacity: Self.strideBuckets) { due in
        var index = 0
        while index < count {
          var dueCount = 0
          while index < count && dueCount < due.count {
            let bucket = Bucket(buckets + index * Bucket.byteCount)
            if ExpiryTick.isDue(bucket.earliestTick, current) {
              prefetchEntries(bucket)
              due[dueCount] = UInt32(index)
              dueCount += 1
            } else {
              note(bucket.earliestTick)
            }
            index += 1
          }
          var expiredCount = 0
          for at in due[..<dueCount] {
            let bucket = Bucket(buckets + Int(at) * Bucket.byteCount)
            find(in: bucket, at, slot, now, expired, &expiredCount)
            note(bucket.earliestTick)
          }
          remove(expired[..<expiredCount], slot, as: worker)
        }
      }
    }
    return earliest
  }

  private func prefetchEntries(_ bucket: Bucket) {
    var taken = ~bucket.matches(0) & 0xFFF
    while taken != 0 {
      let item = pool.address(bucket.handle(taken.trailingZeroBitCount))
      ci_prefetch_write(item)
      // A quarter of the entries have their expiry in the next line.
      ci_prefetch_read(item + 19)
      taken &= taken &- 1
    }
  }

  /// Collects what has expired in a bucket, asks for what its removal touches, and sets the bucket's earliest tick to
  /// that of the others.
  private func find(
    in bucket: Bucket, _ index: UInt32, _ slot: UInt16, _ now: UnixMilliseconds,
    _ expired: UnsafeMutableBufferPointer<Expired>, _ count: inout Int
  ) {
    var earliest: UInt32 = 0
    var taken = ~bucket.matches(0) & 0xFFF
    while taken != 0 {
      let place = taken.trailingZeroBitCount
      taken &= taken &- 1
      let handle = bucket.handle(place)
      let item = Item(pool.address(handle))
      guard item.flags & Item.Flag.expiry != 0 else { continue }
      let namespace = item.namespace
      if item.isTombstone || (item.flags ^ namespaces[Int(namespace)].epoch) & Item.Flag.epoch != 0 { continue }
      let moment = item.expiresAt
      if moment <= now {
        ci_prefetch_write(pool.address(links.next(handle)))
        ci_prefetch_write(pool.address(links.prev(handle)))
        expired[count] = Expired(bucket: index, place: UInt8(place), namespace: namespace, handle: handle)
        count += 1
      } else {
        let tick = ExpiryTick.of(moment, now: now)
        if earliest == 0 || ExpiryTick.isBefore(tick, earliest) { earliest = tick }
      }
    }
    bucket.setEarliestTick(earliest)
  }

  /// As `take` of each, but locks are taken and figures counted once for many.
  private func remove(_ expired: Slice<UnsafeMutableBufferPointer<Expired>>, _ slot: UInt16, as worker: Worker) {
    if atomicLoad(watchCounts + Int(slot)) != 0 {
      for entry in expired { onWatchedChange?(entry.namespace, Item(pool.address(entry.handle)).keyBytes) }
    }
    var rest = expired
    while let first = rest.first {
      let end = rest.firstIndex { $0.namespace != first.namespace } ?? rest.endIndex
      leaveLane(rest[..<end], slot, first.namespace, as: worker)
      rest = rest[end...]
    }
    let table = slots[Int(slot)]
    for entry in expired {
      let before = entry.bucket == 0 ? table.bucketCount - 1 : entry.bucket - 1
      let bucket = Bucket(table.buckets + Int(entry.bucket) * Bucket.byteCount)
      let item = Item(pool.address(entry.handle))
      if item.flags & Item.Flag.extras != 0 { leaveDigest(item, slot: slot) }
      // Only an entry that came here from a bucket before this one has counts to mend, for which its key is hashed.
      if Bucket(table.buckets + Int(before) * Bucket.byteCount).passed == 0 {
        bucket.setTag(Int(entry.place), 0)
        atomicStore((slots + Int(slot)).countAndFlagWord, slots[Int(slot)].countAndFlag &- 1)
      } else {
        vacate(Place(bucket: bucket, index: Int(entry.place), item: item), hash: hash(of: item), slot: slot)
      }
      if item.flags & Item.Flag.external != 0 { spans.free(item.external, item.externalBytes, as: worker) }
    }
    free(expired, as: worker)
  }

  private func leaveLane(
    _ expired: Slice<UnsafeMutableBufferPointer<Expired>>, _ slot: UInt16, _ namespace: NamespaceNumber,
    as worker: Worker
  ) {
    var bytes = 0
    let lane = lane(of: slot, in: namespace, as: worker)
    SpinLock.lock(lane.lock, as: worker)
    for entry in expired {
      let entryBytes = links.bytes(entry.handle)
      bytes &+= entryBytes
      lane.pointee.policy.removed(entry.handle, bytes: entryBytes, links)
    }
    atomicStore(lane.bytesWord, lane.pointee.bytes &- Int64(bytes))
    SpinLock.unlock(lane.lock)
    let state = namespaces + Int(namespace)
    let count = Int64(expired.count)
    atomicAdd(state.word(.entries), -count)
    atomicAdd(state.word(.expiring), -count)
    atomicAdd(state.word(.expirations), count)
    atomicAdd(state.word(.bytes), -Int64(bytes))
    ledger.addEntries(-bytes)
  }

  private func free(_ expired: Slice<UnsafeMutableBufferPointer<Expired>>, as worker: Worker) {
    var index = expired.startIndex
    while index < expired.endIndex {
      let heap = self.heap(holding: expired[index].handle)
      heap.lock(as: worker)
      repeat {
        heap.freeLocked(expired[index].handle, as: worker)
        index += 1
      } while index < expired.endIndex && self.heap(holding: expired[index].handle) === heap
      heap.unlock()
    }
  }
}
