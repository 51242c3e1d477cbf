import CIntrinsics
import NexusModel

/// An entry found in the store. Valid while its stripe's lock is held, until the next change in that stripe.
public struct Entry: BitwiseCopyable {
  @usableFromInline let place: Place

  @inlinable @inline(__always) init(_ place: Place) { self.place = place }

  @inlinable @inline(__always) var item: Item { place.item }

  @inlinable @inline(__always) public var value: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(start: item.valueBase, count: item.valueCount)
  }
  /// The value, to change in place without changing its length. Call `Store.changed` afterwards.
  public var mutableValue: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: item.valueBase, count: item.valueCount)
  }
  public var keyBytes: UnsafeRawBufferPointer { item.keyBytes }
  public var namespace: NamespaceNumber { item.namespace }
  @inlinable @inline(__always) public var isString: Bool {
    item.flags & Item.Flag.typeMask == ValueType.string.rawValue &+ 1
  }
  public var type: ValueType { item.type }
  /// 0: no TTL.
  @inlinable @inline(__always) public var expiresAt: UnixMilliseconds { item.expiresAt }
  public var clientFlags: UInt32 { ItemFields(of: item).clientFlags }
  /// The compare-and-swap version; 0: none was ever set.
  public var version: UInt64 { ItemFields(of: item).version }
  /// The replication clock's stamp; 0: none.
  public var stamp: UInt64 { ItemFields(of: item).stamp }
  /// When an origin's value ceases to be fresh; 0: it is fresh as long as it is there.
  public var freshUntil: UnixMilliseconds { ItemFields(of: item).freshUntil }
  /// Whether `freshUntil` says anything.
  @inlinable @inline(__always) public var hasFreshUntil: Bool {
    item.flags & Item.Flag.extras != 0 && item.extrasBitmap & Extras.freshBit != 0
  }
  /// They stay as the entry is written over, and go with it.
  public var tags: TagList { Extras.tags(item) }
  /// How often used lately, 0...3: the eviction policy's own counter.
  public var frequency: Int { Int(atomicLoad(item.policyByte) & 3) }
}

extension Store {
  /// Bytes that the entry costs in all: its chunk, memory of its own, and its share of the index.
  public func memoryBytes(of entry: Entry) -> Int { bytes(of: entry.item, handle: entry.place.handle) + 7 }

  /// What an entry's chunk and external memory hold.
  @inline(__always) func bytes(of item: Item, handle: UInt32) -> Int { links.bytes(handle) }

  // MARK: Reading, under the key's lock

  /// The live entry of the key. An expired one is removed, counted, and not returned.
  /// `touch` tells the eviction policy that the entry was used.
  @inlinable @inline(__always)
  public func find(_ key: Key, now: UnixMilliseconds, touch: Bool = true) -> Entry? {
    guard let place = locate(key) else { return nil }
    let flags = place.item.flags
    let state = namespaces + Int(key.namespace)
    if (flags ^ state.pointee.epoch) & Item.Flag.epoch != 0, !outlivedFlush(place, key) { return nil }
    if flags & Item.Flag.expiry != 0, place.item.expiresAt <= now {
      removeExpired(place, key)
      return nil
    }
    if touch {
      let policy = place.item.policyByte
      if atomicLoad(policy) & 3 != 3 { atomicIncrement(policy) }
      if key.hash & atomicLoad(state.touchMaskWord) == 0 { touchSlowly(place, key) }
    }
    return Entry(place)
  }

  /// Tells the lane of a use: always for LRU, of a sample of keys for the policies that tune themselves.
  @usableFromInline @inline(never) func touchSlowly(_ place: Place, _ key: Key) {
    let worker = holder(of: key.slot)
    let handle = place.handle
    let state = namespaces + Int(key.namespace)
    let lane = lane(of: key.slot, in: key.namespace, as: worker)
    // Only one lane tunes; LRU's order concerns them all.
    if state.pointee.eviction != .lru, lane != published(state) { return }
    SpinLock.lock(lane.lock, as: worker)
    lane.pointee.policy.accessed(handle, hash: key.hash, bytes: bytes(of: place.item, handle: handle), links)
    SpinLock.unlock(lane.lock)
  }

  /// Who holds the slot's stripe: the lock word says so.
  public func holder(of slot: UInt16) -> Worker { atomicLoad(lockWord(Self.stripe(of: slot))) }

  @usableFromInline @inline(never) func removeExpired(_ place: Place, _ key: Key) {
    // A tombstone looks like what expired long ago, so that no search has to ask for it.
    if place.item.isTombstone { return }
    let worker = holder(of: key.slot)
    if !leavesTraces(key.slot) || !leaveTrace(place, key, as: worker) {
      take(place, hash: key.hash, slot: key.slot, as: worker)
    }
    atomicAdd((namespaces + Int(key.namespace)).word(.expirations), 1)
    noteChange(key)
  }

  // MARK: Leaving

  /// Removes a live entry from its lane, its table and memory.
  func take(_ place: Place, hash: UInt64, slot: UInt16, as worker: Worker) {
    let handle = place.handle
    let bytes = bytes(of: place.item, handle: handle)
    unlink(handle, slot: slot, place.item, bytes: bytes, as: worker)
    discard(place, hash: hash, slot: slot, bytes: bytes, as: worker)
  }

  /// Removes an entry that is in no lane from its table and memory.
  func discard(_ place: Place, hash: UInt64, slot: UInt16, bytes: Int, as worker: Worker) {
    let handle = place.handle
    if place.item.flags & Item.Flag.extras != 0 { leaveDigest(place.item, hash: hash, slot: slot) }
    vacate(place, hash: hash, slot: slot)
    release(handle, place.item, bytes: bytes, as: worker)
  }

  /// Frees an entry's memory.
  func release(_ handle: UInt32, _ item: Item, bytes: Int, as worker: Worker) {
    ledger.addEntries(-bytes)
    if item.flags & Item.Flag.external != 0 {
      spans.free(item.external, item.externalBytes, as: worker)
    }
    free(handle, as: worker)
  }

  func free(_ handle: UInt32, as worker: Worker) { heap(holding: handle).free(handle, as: worker) }

  func heap(holding handle: UInt32) -> Heap { heaps[Int(pool.pages[Int(pool.page(of: handle))].heap)] }

  // MARK: Watching

  func noteChange(_ key: Key) {
    if atomicLoad(watchCounts + Int(key.slot)) != 0 { onWatchedChange?(key.namespace, key.bytes) }
  }

  /// Some key of the slot is watched (WATCH, client tracking): its changes are reported. Nests. Under the slot's lock.
  public func watch(_ key: Key) { atomicAdd(watchCounts + Int(key.slot), 1) }

  /// Ends one `watch`. Under the slot's lock.
  public func unwatch(slot: UInt16) { atomicSubtract(watchCounts + Int(slot), 1) }

  /// Every key of every slot is watched, from now on: a write that has its lock already may go unreported. Nests.
  public func watchEverything() { for slot in 0..<Slot.count { atomicAdd(watchCounts + slot, 1) } }

  /// Ends one `watchEverything`.
  public func unwatchEverything() { for slot in 0..<Slot.count { atomicSubtract(watchCounts + slot, 1) } }
}
