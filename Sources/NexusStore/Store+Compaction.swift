import CIntrinsics
import NexusModel

/// The page being emptied, and how far. Under its own lock: one worker at a time.
struct CompactionState {
  var page: UInt32 = 0
  var lockWord: UInt32 = 0
  var heap = 0
  var nextChunk = 0
  var passes = 0
  var moved: Int64 = 0
}

extension Store {
  /// Moves up to `moves` entries out of a sparse page; a page that was emptied goes to whoever needs one next.
  /// False where there is nothing worth moving, or another worker is at it.
  func compact(moves: Int, as worker: Worker) -> Bool {
    guard SpinLock.tryLock(compaction.lock, as: worker) else { return false }
    defer { SpinLock.unlock(compaction.lock) }
    if compaction.pointee.page == 0 {
      let heap = heaps.indices.max { heaps[$0].freeBytes < heaps[$1].freeBytes } ?? 0
      let freeBefore = pool.freeCount
      let page = heaps[heap].beginEvacuation(as: worker)
      if page == 0 { return pool.freeCount > freeBefore }
      compaction.pointee.page = page
      compaction.pointee.heap = heap
      compaction.pointee.nextChunk = 0
      compaction.pointee.passes = 0
    }
    evacuate(moves, as: worker)
    return true
  }

  private func evacuate(_ moves: Int, as worker: Worker) {
    let heap = heaps[compaction.pointee.heap]
    let page = compaction.pointee.page
    heap.lock(as: worker)
    defer { heap.unlock() }
    // Emptied by its own entries leaving: the heap gave it back meanwhile.
    guard pool.pages[Int(page)].isEvacuating else {
      compaction.pointee.page = 0
      return
    }
    var left = moves
    let next = heap.visitLocked(page, from: compaction.pointee.nextChunk) { handle in
      moveLocked(handle, heap, as: worker)
      left -= 1
      return left > 0 && pool.pages[Int(page)].isEvacuating
    }
    guard pool.pages[Int(page)].isEvacuating else {
      compaction.pointee.page = 0
      return
    }
    if let next {
      compaction.pointee.nextChunk = next
      return
    }
    compaction.pointee.nextChunk = 0
    compaction.pointee.passes += 1
    if compaction.pointee.passes == 3 {
      // Some entries could not be moved: their stripes were busy each time.
      heap.abandonEvacuationLocked(page)
      compaction.pointee.page = 0
    }
  }

  /// Moves one entry to another page of its class. Under the heap's lock, so that the chunk stays what it is; the
  /// entry's stripe and lane are only tried.
  private func moveLocked(_ handle: UInt32, _ heap: Heap, as worker: Worker) {
    let item = Item(pool.address(handle))
    let hash = hash(of: item)
    let slot = slot(item.keyBase, item.keyCount)
    let word = lockWord(Self.stripe(of: slot))
    let isOurs = atomicLoad(word) == worker
    guard isOurs || atomicTryLock(word, worker) else { return }
    defer { if !isOurs { atomicUnlock(word) } }
    guard item.isPublished, let place = locate(handle: handle, hash: hash, slot: slot) else { return }
    let namespace = item.namespace
    let classIndex = Int(pool.pages[Int(pool.page(of: handle))].classIndex)
    let isOutside = item.isTombstone || isOfOtherEpoch(item)
    if isOfOtherEpoch(item), !outlivesFlush(item) {
      return freeFlushedLocked(place, hash: hash, slot: slot, heap, as: worker)
    }
    if isOutside {
      guard let fresh = copyLocked(item, classIndex, heap, as: worker) else { return }
      place.bucket.setHandle(place.index, fresh)
      heap.freeLocked(handle, as: worker)
      compaction.pointee.moved += 1
      return
    }
    guard let lanes = published(namespaces + Int(namespace)) else { return }
    let lane = lanes + Int(UInt32(slot) & namespaces[Int(namespace)].laneMask)
    guard SpinLock.tryLock(lane.lock, as: worker) else { return }
    defer { SpinLock.unlock(lane.lock) }
    guard let fresh = copyLocked(item, classIndex, heap, as: worker) else { return }
    let laneBytes = links.bytes(handle)
    lane.pointee.policy.moved(handle, to: fresh, from: laneBytes, to: laneBytes, links)
    place.bucket.setHandle(place.index, fresh)
    heap.freeLocked(handle, as: worker)
    compaction.pointee.moved += 1
  }

  /// A copy in another chunk of the same heap, links left out; nil where there is none.
  private func copyLocked(_ item: Item, _ classIndex: Int, _ heap: Heap, as worker: Worker) -> UInt32? {
    let fresh = heap.allocateLocked(classIndex, force: false, as: worker)
    guard fresh != 0 else { return nil }
    let target = pool.address(fresh)
    let bytes = classes.bytes[classIndex]
    // Flags last: an entry is looked into only when it is complete.
    let flags = item.flags
    target.copyMemory(from: item.base, byteCount: 8)
    (target + 9).copyMemory(from: item.base + 9, byteCount: bytes - 9)
    Item(target).publish(flags)
    return fresh
  }

  private func freeFlushedLocked(_ place: Place, hash: UInt64, slot: UInt16, _ heap: Heap, as worker: Worker) {
    let item = place.item
    let handle = place.handle
    let bytes = bytes(of: item, handle: handle)
    let state = namespaces + Int(item.namespace)
    if item.isTombstone {
      ledger.addTombstones(-1, -bytes)
      noteTombstones(slot, -1)
    } else {
      leaveDigest(item, hash: hash, slot: slot)
      ledger.addEntries(-bytes)
    }
    vacate(place, hash: hash, slot: slot)
    if item.flags & Item.Flag.external != 0 { spans.free(item.external, item.externalBytes, as: worker) }
    heap.freeLocked(handle, as: worker)
    noteDying(state, -1)
  }
}
