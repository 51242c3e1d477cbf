import CIntrinsics
import NexusModel

// What repair asks of a slot. All of it is about stamped namespaces only.

/// One key of a slot as another member needs to know of it. Valid during the call that hands it over.
public struct InventoryEntry: BitwiseCopyable {
  public let namespace: NamespaceNumber
  public let hash: UInt64
  public let stamp: Stamp
  public let isTombstone: Bool
  public let keyBytes: UnsafeRawBufferPointer
}

extension Store {
  /// Visits the slot's entries and tombstones whose hash has its lower half in this range, about `budget` of them at a
  /// time under the slot's lock: what is written meanwhile may be visited or not, and nothing is visited twice. As in
  /// the digest, what has expired counts until it is removed: see `expireDue`.
  public func inventory(
    of slot: UInt16, hashes: Range<UInt64> = 0..<1 << 32, budget: Int = 1024, as worker: Worker,
    _ visit: (InventoryEntry) -> Void
  ) {
    var from = hashes.lowerBound
    var step = UInt64(1) << 32
    while from < hashes.upperBound {
      withSlot(slot, as: worker) {
        // As many keys as there are now, spread evenly.
        while step > 1, Int(UInt64(keyCount(of: slot)) * step >> 32) > budget { step /= 2 }
        let next = min(from + step, hashes.upperBound)
        visitHomes(of: slot, from..<next) { place in
          let item = place.item
          let namespace = item.namespace
          guard namespaces[Int(namespace)].isStamped, !isOfOtherEpoch(item) || outlivesFlush(item) else { return }
          visit(
            InventoryEntry(
              namespace: namespace, hash: hash(of: item), stamp: Stamp(rawValue: item.stamp),
              isTombstone: item.isTombstone, keyBytes: item.keyBytes))
        }
        from = next
      }
    }
  }

  /// What is here of the key: its value, expired or not, or its tombstone. While the caller holds its stripe.
  public func version(of key: Key) -> Version? {
    guard namespaces[Int(key.namespace)].isStamped else { return nil }
    return standing(key).map { Version(of: $0.item) }
  }

  /// Hands over the key with this hash and what is here of it, under its lock; false if there is none.
  public func version(
    of hash: UInt64, in slot: UInt16, of namespace: NamespaceNumber, as worker: Worker,
    _ visit: (Key, Version) -> Void
  ) -> Bool {
    guard namespaces[Int(namespace)].isStamped else { return false }
    return withSlot(slot, as: worker) {
      guard let place = locate(hash: hash, slot: slot, namespace, as: worker) else { return false }
      if isOfOtherEpoch(place.item), !outlivesFlush(place.item) { return false }
      visit(key(of: place.item, hash: hash, slot: slot), Version(of: place.item))
      return true
    }
  }

  private func locate(hash: UInt64, slot: UInt16, _ namespace: NamespaceNumber, as worker: Worker) -> Place? {
    if slots[Int(slot)].isResizing { advanceResize(slot, buckets: Int.max, as: worker) }
    let table = slots[Int(slot)]
    let home = HashParts.bucket(hash, of: table.bucketCount)
    var index = home
    repeat {
      let bucket = Bucket(table.buckets + index * Bucket.byteCount)
      var matches = bucket.matches(HashParts.tag(hash))
      while matches != 0 {
        let place = matches.trailingZeroBitCount
        let item = Item(pool.address(bucket.handle(place)))
        if item.namespace == namespace, self.hash(of: item) == hash {
          return Place(bucket: bucket, index: place, item: item)
        }
        matches &= matches - 1
      }
      if bucket.passed == 0 { return nil }
      index += 1
      if index == Int(table.bucketCount) { index = 0 }
    } while index != home
    return nil
  }

  /// Removes what has expired in the slot by `now`, of every namespace.
  public func expireDue(_ slot: UInt16, now: UnixMilliseconds, as worker: Worker) {
    withSlot(slot, as: worker) { _ = expire(slot, now, ExpiryTick.current(now), as: worker) }
  }

  /// Lets go of all entries and tombstones of the slot, without telling anybody: this node has no place for them. What
  /// was known of the slot is forgotten too, its floor above all, for an empty slot lacks nothing on purpose.
  public func forget(_ slot: UInt16, as worker: Worker) {
    withSlot(slot, as: worker) {
      settleFlushed(slot, as: worker)
      walk(slot, as: worker) { place in
        let item = place.item
        guard namespaces[Int(item.namespace)].isStamped else { return }
        let hash = hash(of: item)
        if item.isTombstone {
          dropTombstone(place, hash: hash, slot: slot, as: worker)
        } else {
          take(place, hash: hash, slot: slot, as: worker)
        }
      }
      let record = records + Int(slot)
      atomicStore(record.lastStampWord, 0)
      atomicStore(record.floorWord, 0)
      atomicStore(record.evictedAtWord, 0)
      shrinkIfSparse(slot, as: worker)
    }
  }
}

extension Store {
  /// Entries and tombstones of the slot, in all namespaces.
  public func keyCount(of slot: UInt16) -> Int { Int(atomicLoad((slots + Int(slot)).countAndFlagWord) & 0x7FFF_FFFF) }
}
