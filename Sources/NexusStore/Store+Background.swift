import CIntrinsics
import Glibc
import NexusModel

/// Where one loop's background work stands. Touched by its loop only.
struct BackgroundState {
  var lastRun: UnixMilliseconds = 0
  var hadMore = false
  var sweepSlot = 0
  var sweepStartedAt: UnixMilliseconds = 0
  var isSweeping = false
}

extension Store {
  /// How often each loop passes over its stripes: expired memory is back after at most two of these.
  static var sweepEveryMilliseconds: Int64 { 400 }
  /// At the ceiling tables follow their slots more closely: what they do not use holds entries.
  static var sweepEveryMillisecondsWhenFull: Int64 { 100 }
  private var isNearCeiling: Bool { ledger.usedBytes > ledger.limitBytes - 4 * pool.pageBytes }

  /// Frees expired entries, finishes growth, returns flushed memory, shrinks sparse tables, for about the given time.
  /// True if there is more to do soon. Each loop cares for its own share of the stripes.
  public func maintain(loop: Int, as worker: Worker, now: UnixMilliseconds, budgetNanoseconds: Int) -> Bool {
    guard loop < max(configuration.loops, 1) else { return false }
    let state = background + loop
    // Busy loops have many turns a millisecond.
    if state.pointee.lastRun == now { return state.pointee.hadMore }
    state.pointee.lastRun = now
    atomicStore(clock, now)
    state.pointee.hadMore = work(state, loop, worker, now, budgetNanoseconds)
    return state.pointee.hadMore
  }

  private func work(
    _ state: UnsafeMutablePointer<BackgroundState>, _ loop: Int, _ worker: Worker, _ now: UnixMilliseconds,
    _ budgetNanoseconds: Int
  ) -> Bool {
    let deadline = monotonicNanoseconds() + UInt64(budgetNanoseconds)
    var more = false
    let interval = isNearCeiling ? Self.sweepEveryMillisecondsWhenFull : Self.sweepEveryMilliseconds
    if !state.pointee.isSweeping, now - state.pointee.sweepStartedAt >= interval {
      state.pointee.isSweeping = true
      state.pointee.sweepStartedAt = now
      state.pointee.sweepSlot = 0
      if loop == 0 { for heap in heaps { heap.beginTableEvacuation(as: worker) } }
    }
    if state.pointee.isSweeping { more = sweep(loop, state, now, deadline, as: worker) }
    if atomicLoad(resizeCount) != 0 { more = advanceResizes(as: worker) || more }
    if reclaimFlushed(slots: 256, as: worker) { more = true }
    if ledger.usedBytes > ledger.limitBytes - pool.pageBytes, shouldCompact { _ = compact(moves: 64, as: worker) }
    ledger.notePeak()
    return more
  }

  private func sweep(
    _ loop: Int, _ state: UnsafeMutablePointer<BackgroundState>, _ now: UnixMilliseconds, _ deadline: UInt64,
    as worker: Worker
  ) -> Bool {
    let current = ExpiryTick.current(now)
    var sinceClock = 0
    while state.pointee.sweepSlot < Slot.count {
      let slot = state.pointee.sweepSlot
      let stripe = Self.stripe(of: UInt16(slot))
      if stripe % max(configuration.loops, 1) != loop {
        state.pointee.sweepSlot = (stripe + 1) * Self.slotsPerStripe
        continue
      }
      let isFirst = slot % Self.slotsPerStripe == 0
      if isFirst, !ExpiryTick.isDue(atomicLoad(expiryHints + stripe), current) {
        shrinkOne(stripe, as: worker)
        state.pointee.sweepSlot += Self.slotsPerStripe
        continue
      }
      let taken = lock(stripe: stripe, as: worker)
      // Entries of the slots not yet passed may bring the hint forward again as they are written.
      if isFirst { atomicStore(expiryHints + stripe, 0) }
      let earliest = expire(UInt16(slot), now, current, as: worker)
      if earliest != 0 {
        let hint = expiryHints[stripe]
        if hint == 0 || ExpiryTick.isBefore(earliest, hint) { atomicStore(expiryHints + stripe, earliest) }
      }
      shrinkIfSparse(UInt16(slot), as: worker)
      leaveEvacuatedPage(UInt16(slot), as: worker)
      if taken { atomicUnlock(lockWord(stripe)) }
      state.pointee.sweepSlot += 1
      sinceClock += 1
      if sinceClock == 4 {
        sinceClock = 0
        if monotonicNanoseconds() > deadline { return true }
      }
    }
    state.pointee.isSweeping = false
    return false
  }

  /// One slot of a stripe without anything to expire gets a look whether its table became too large.
  private func shrinkOne(_ stripe: Int, as worker: Worker) {
    let slot = stripe * Self.slotsPerStripe
    for index in slot..<slot + Self.slotsPerStripe {
      // Without the lock, as a hint.
      let table = slots + index
      let count = Int(atomicLoad(table.countAndFlagWord) & ~SlotTable.resizingFlag)
      let bucketCount = Int(atomicLoad(table.bucketCountWord))
      let buckets = atomicLoad(table.bucketsWord)
      let isSparse = count == 0 || TableSize.isSparse(count, bucketCount)
      guard buckets != emptyBucket, isSparse || isInEvacuatedPage(buckets, bucketCount) else { continue }
      let taken = lock(stripe: stripe, as: worker)
      shrinkIfSparse(UInt16(index), as: worker)
      leaveEvacuatedPage(UInt16(index), as: worker)
      if taken { atomicUnlock(lockWord(stripe)) }
    }
  }

  private func advanceResizes(as worker: Worker) -> Bool {
    SpinLock.lock(resizeLock, as: worker)
    let slot = resizes.first?.pointee.slot
    SpinLock.unlock(resizeLock)
    guard let slot else { return false }
    let stripe = Self.stripe(of: slot)
    let taken = lock(stripe: stripe, as: worker)
    advanceResize(slot, buckets: 64, as: worker)
    if taken { atomicUnlock(lockWord(stripe)) }
    return true
  }

  func monotonicNanoseconds() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}
