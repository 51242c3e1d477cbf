import CIntrinsics
import NexusModel

// What an entry leaves behind that expires while some member may have an older version of it: a tombstone with its own
// stamp. Without it nothing here would say that the older version is not the newest.

extension Store {
  /// From now on what expires in these slots leaves a tombstone, or (false) does not.
  public func leaveTraces(_ isLeft: Bool, in slots: SlotSet) {
    slots.forEach { slot in
      let word = (records + Int(slot.index)).leavesTracesWord
      if atomicLoad(word) != (isLeft ? 1 : 0) { atomicStore(word, isLeft ? 1 : 0) }
    }
  }

  @inline(__always) func leavesTraces(_ slot: UInt16) -> Bool {
    atomicLoad((records + Int(slot)).leavesTracesWord) != 0
  }

  /// An entry has expired. False: it leaves nothing, and is there still.
  func leaveTrace(_ place: Place, _ key: Key, as worker: Worker) -> Bool {
    let stamp = place.item.stamp
    guard stamp != 0, namespaces[Int(key.namespace)].isStamped else { return false }
    bury(key, place, stamp: stamp, as: worker)
    return true
  }

  /// What has expired in a slot that leaves traces. Under its lock.
  func expireLeavingTraces(_ slot: UInt16, _ now: UnixMilliseconds, _ current: UInt32, as worker: Worker) {
    let table = slots[Int(slot)]
    for index in 0..<Int(table.bucketCount) {
      let bucket = Bucket(table.buckets + index * Bucket.byteCount)
      guard ExpiryTick.isDue(bucket.earliestTick, current) else { continue }
      for at in 0..<Bucket.places where bucket.tag(at) != 0 {
        let item = Item(pool.address(bucket.handle(at)))
        guard item.flags & Item.Flag.expiry != 0, !item.isTombstone, !isOfOtherEpoch(item), item.expiresAt <= now
        else { continue }
        let key = key(of: item, hash: hash(of: item), slot: slot)
        let state = namespaces + Int(item.namespace)
        noteChange(key)
        if leaveTrace(Place(bucket: bucket, index: at, item: item), key, as: worker) {
          atomicAdd(state.word(.expirations), 1)
        }
      }
    }
  }
}
