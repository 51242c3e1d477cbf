import CIntrinsics
import Glibc

// A slot's table grows and shrinks. Small tables move at once (a few microseconds); a table of thousands of entries
// moves eight buckets at a write, and a few more at every turn of a loop.

extension Store {
  /// Tables up to this many buckets are moved at once.
  static var bucketsMovedAtOnceMax: Int { 128 }

  /// A table's memory, zeroed: a chunk of a page, or a span of its own.
  func allocateTable(_ bucketCount: Int, as worker: Worker) -> UnsafeMutableRawPointer {
    let bytes = bucketCount * Bucket.byteCount
    ledger.addTable(bytes)
    if let tableClass = classes.tableClass(buckets: bucketCount) {
      let handle = heap(of: worker).allocate(tableClass, force: true, as: worker)
      precondition(handle != 0, "the arena's addresses are used up")
      let table = pool.address(handle)
      memset(table, 0, bytes)
      return table
    }
    guard let span = spans.allocate(bytes, as: worker) else { fatalError("the reservation for tables is used up") }
    return span
  }

  func freeTable(_ table: UnsafeMutableRawPointer, _ bucketCount: Int, as worker: Worker) {
    let bytes = bucketCount * Bucket.byteCount
    ledger.addTable(-bytes)
    if classes.tableClass(buckets: bucketCount) != nil {
      free(UInt32((table - arena) >> unitShift), as: worker)
    } else {
      spans.free(table, bytes, as: worker)
    }
  }

  func grow(_ slot: UInt16, as worker: Worker) {
    let table = slots + Int(slot)
    if table.pointee.isResizing { advanceResize(slot, buckets: Int.max, as: worker) }
    resize(slot, to: TableSize.after(Int(table.pointee.bucketCount)), as: worker)
  }

  /// Smaller again after most entries left. From the background.
  func shrinkIfSparse(_ slot: UInt16, as worker: Worker) {
    let table = slots + Int(slot)
    let bucketCount = Int(table.pointee.bucketCount)
    guard !table.pointee.isResizing, table.pointee.buckets != emptyBucket else { return }
    if table.pointee.count == 0 {
      let old = table.pointee.buckets
      setTable(slot, emptyBucket, 1)
      freeTable(old, bucketCount, as: worker)
      return
    }
    guard isSparse(table.pointee.count, bucketCount) else { return }
    var smaller = 1
    while TableSize.growAt(smaller) < table.pointee.count + table.pointee.count / 16 + 1 {
      smaller = TableSize.after(smaller)
    }
    if smaller < bucketCount { resize(slot, to: smaller, as: worker) }
  }

  /// Moving entries costs a visit to each: only where memory is short do tables follow their slots closely.
  func isSparse(_ count: Int, _ bucketCount: Int) -> Bool {
    isNearCeiling ? TableSize.isSparse(count, bucketCount) : TableSize.isHalfEmpty(count, bucketCount)
  }

  /// A table in a page that is being emptied moves to another. From the background.
  func leaveEvacuatedPage(_ slot: UInt16, as worker: Worker) {
    let table = slots + Int(slot)
    let bucketCount = Int(table.pointee.bucketCount)
    guard isInEvacuatedPage(table.pointee.buckets, bucketCount), !table.pointee.isResizing else { return }
    let old = table.pointee.buckets
    let fresh = allocateTable(bucketCount, as: worker)
    memcpy(fresh, old, bucketCount * Bucket.byteCount)
    setTable(slot, fresh, UInt32(bucketCount))
    freeTable(old, bucketCount, as: worker)
  }

  /// Without a lock, as a hint.
  func isInEvacuatedPage(_ buckets: UnsafeMutableRawPointer, _ bucketCount: Int) -> Bool {
    guard buckets != emptyBucket, bucketCount * Bucket.byteCount <= classes.inlineBytesMax else { return false }
    let page = pool.pages + ((buckets - arena) >> pool.pageShift)
    return atomicLoad(page.evacuatingWord) != 0
  }

  func resize(_ slot: UInt16, to bucketCount: Int, as worker: Worker) {
    let table = slots + Int(slot)
    let old = table.pointee.buckets
    let oldCount = table.pointee.bucketCount
    let isShared = old == emptyBucket
    let fresh = allocateTable(bucketCount, as: worker)
    if Int(oldCount) <= Self.bucketsMovedAtOnceMax && bucketCount <= 8 * Self.bucketsMovedAtOnceMax {
      if !isShared { move(old, 0..<Int(oldCount), of: Int(oldCount), to: fresh, UInt32(bucketCount)) }
      setTable(slot, fresh, UInt32(bucketCount))
      if !isShared { freeTable(old, Int(oldCount), as: worker) }
      return
    }
    let resize = UnsafeMutablePointer<Resize>.allocate(capacity: 1)
    resize.initialize(
      to: Resize(slot: slot, oldBuckets: old, oldBucketCount: oldCount, moved: 0, released: 0))
    SpinLock.lock(resizeLock, as: worker)
    resizes.append(resize)
    atomicStore(resizeCount, UInt32(resizes.count))
    SpinLock.unlock(resizeLock)
    setTable(slot, fresh, UInt32(bucketCount))
    atomicStore(table.countAndFlagWord, table.pointee.countAndFlag | SlotTable.resizingFlag)
  }

  /// Both words change for readers that look ahead of the lock too: whichever pair they see, what they compute lies
  /// in mapped memory.
  private func setTable(_ slot: UInt16, _ buckets: UnsafeMutableRawPointer, _ bucketCount: UInt32) {
    let table = slots + Int(slot)
    atomicPublish(table.bucketsWord, buckets)
    atomicStore(table.bucketCountWord, bucketCount)
  }

  /// The resize under way in this slot. Under the stripe's lock, which keeps it alive.
  @usableFromInline func resize(of slot: UInt16) -> UnsafeMutablePointer<Resize>? {
    SpinLock.lock(resizeLock, as: .max)
    defer { SpinLock.unlock(resizeLock) }
    return resizes.first { $0.pointee.slot == slot }
  }

  func advanceResize(_ slot: UInt16, buckets: Int, as worker: Worker) {
    guard let resize = resize(of: slot) else { return }
    let table = slots + Int(slot)
    let start = Int(resize.pointee.moved)
    let total = Int(resize.pointee.oldBucketCount)
    let end = buckets > total - start ? total : start + buckets
    let old = resize.pointee.oldBuckets
    move(old, start..<end, of: total, to: table.pointee.buckets, table.pointee.bucketCount)
    resize.pointee.moved = UInt32(end)
    if end < total {
      // Memory of the part that is done with goes back in steps: returning it all at once would be a pause.
      let step = (1 << 20) / Bucket.byteCount
      if end - Int(resize.pointee.released) >= step, classes.tableClass(buckets: total) == nil {
        let released = Int(resize.pointee.released)
        keepPassedCounts(old, released..<released + step)
        resize.pointee.released += UInt32(step)
      }
      return
    }
    atomicStore(table.countAndFlagWord, table.pointee.countAndFlag & ~SlotTable.resizingFlag)
    SpinLock.lock(resizeLock, as: worker)
    resizes.removeAll { $0 == resize }
    atomicStore(resizeCount, UInt32(resizes.count))
    SpinLock.unlock(resizeLock)
    freeTable(old, total, as: worker)
    resize.deallocate()
  }

  /// Old buckets still tell searches how far to walk; entries that passed all of these moved with them, except those
  /// at the end: only whole-page runs whose successors are moved as well are given back.
  private func keepPassedCounts(_ old: UnsafeMutableRawPointer, _ range: Range<Int>) {
    let start = old + range.lowerBound * Bucket.byteCount
    // A run of full buckets longer than this does not occur: the last page stays to carry the counts.
    let bytes = range.count * Bucket.byteCount - 4096
    madvise(start, bytes & ~4095, MADV_DONTNEED)
  }

  private func move(
    _ old: UnsafeMutableRawPointer, _ range: Range<Int>, of total: Int, to fresh: UnsafeMutableRawPointer,
    _ freshCount: UInt32
  ) {
    let now = atomicLoad(clock)
    var index = range.lowerBound
    prefetchItems(old, index..<min(index + 4, range.upperBound))
    while index < range.upperBound {
      if index & 3 == 0, index + 4 < range.upperBound {
        prefetchItems(old, index + 4..<min(index + 8, range.upperBound))
      }
      let bucket = Bucket(old + index * Bucket.byteCount)
      var taken = ~bucket.matches(0) & 0xFFF
      while taken != 0 {
        let at = taken.trailingZeroBitCount
        let handle = bucket.handle(at)
        let item = Item(pool.address(handle))
        let target = place(handle, hash(of: item), in: fresh, freshCount)
        if item.flags & Item.Flag.expiry != 0, !item.isTombstone {
          target.noteExpiry(ExpiryTick.of(item.expiresAt, now: now))
        }
        bucket.setTag(at, 0)
        taken &= taken - 1
      }
      index += 1
    }
  }

  private func prefetchItems(_ buckets: UnsafeMutableRawPointer, _ range: Range<Int>) {
    for index in range {
      let bucket = Bucket(buckets + index * Bucket.byteCount)
      for place in 0..<Bucket.places where bucket.tag(place) != 0 {
        ci_prefetch_read(pool.address(bucket.handle(place)))
      }
    }
  }
}
