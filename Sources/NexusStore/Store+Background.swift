import CIntrinsics
import NexusModel

/// Where one loop's background work stands. Touched by its loop only.
struct BackgroundState {
  var lastRun: UnixMilliseconds = 0
  var rest = 0
  var pace = Pace()
  var sweepSlot = 0
  var sweepStartedAt: UnixMilliseconds = 0
  var isSweeping = false
}

/// Keeps passes over the stripes within their share of a core.
///
/// Time that is not used is saved, and spent in whiles of a millisecond at most: a loop without clients works for a
/// long while after a long rest. What a processor forgets while it rests (address translations above all) makes ten
/// short whiles cost twice as much. A loop with clients has turns more often, and spends less in each. Where others
/// keep the loop from its core, it makes up for that with shorter rests.
struct Pace {
  /// Of a core.
  static let sharePercent: Int64 = 18
  /// What 55 ms earn.
  static let savedNanosecondsMax: Int64 = 10_000_000
  static let whileNanosecondsMax: Int64 = 1_000_000
  /// Less is not worth starting for.
  static let usefulNanoseconds: Int64 = 100_000

  /// Below 0 after a while that ended late.
  private var savedNanoseconds = savedNanosecondsMax
  private var countedUntil: UInt64 = 0
  private var spentLast: UInt64 = 0
  private var restedFrom: UInt64 = 0

  /// Until the next while is worth starting.
  var restMilliseconds: Int { savedNanoseconds >= Self.whileNanosecondsMax ? 2 : 5 }

  /// What may be spent now, in nanoseconds.
  mutating func budget(at monotonic: UInt64) -> UInt64 {
    // Clamped first: the first interval is as long as the machine is up.
    let elapsed = Int64(clamping: min(monotonic &- countedUntil, 1_000_000_000))
    countedUntil = monotonic
    let earned = elapsed * Self.sharePercent / 100
    savedNanoseconds = min(savedNanoseconds + earned, Self.savedNanosecondsMax)
    // Savings are no reason to keep clients waiting: a third of the time at most.
    guard savedNanoseconds >= Self.usefulNanoseconds, monotonic &- restedFrom >= 2 * spentLast else { return 0 }
    return UInt64(min(savedNanoseconds, Self.whileNanosecondsMax))
  }

  mutating func spent(_ nanoseconds: UInt64, until monotonic: UInt64) {
    savedNanoseconds -= Int64(clamping: nanoseconds)
    spentLast = nanoseconds
    restedFrom = monotonic
  }
}

extension Store {
  /// How often each loop passes over its stripes: expired memory is back after at most two of these.
  static var sweepEveryMilliseconds: Int64 { 800 }
  /// At the ceiling tables follow their slots more closely: what they do not use holds entries.
  static var sweepEveryMillisecondsWhenFull: Int64 { 100 }
  var isNearCeiling: Bool { ledger.usedBytes > ledger.limitBytes - 4 * pool.pageBytes }

  /// Frees expired entries, finishes growth, returns flushed memory, shrinks sparse tables; each loop for its own
  /// share of the stripes. Answers in how many milliseconds it wants to be called again, if not earlier.
  ///
  /// `monotonic`: a clock that is never set, in nanoseconds. A call takes a millisecond of it at most, and all calls of
  /// a loop together not more than `Pace` allows.
  @discardableResult
  public func maintain(loop: Int, as worker: Worker, now: UnixMilliseconds, monotonic: () -> UInt64) -> Int {
    guard loop < max(configuration.loops, 1) else { return .max }
    let state = background + loop
    // Busy loops have many turns a millisecond.
    if state.pointee.lastRun == now { return state.pointee.rest }
    state.pointee.lastRun = now
    atomicStore(clock, now)
    state.pointee.rest = work(state, loop, worker, now, monotonic)
    return state.pointee.rest
  }

  private func work(
    _ state: UnsafeMutablePointer<BackgroundState>, _ loop: Int, _ worker: Worker, _ now: UnixMilliseconds,
    _ monotonic: () -> UInt64
  ) -> Int {
    let interval = isNearCeiling ? Self.sweepEveryMillisecondsWhenFull : Self.sweepEveryMilliseconds
    // The second condition: the wall clock was set back.
    let sinceStart = now - state.pointee.sweepStartedAt
    if !state.pointee.isSweeping, sinceStart >= interval || sinceStart < 0 {
      state.pointee.isSweeping = true
      state.pointee.sweepStartedAt = now
      state.pointee.sweepSlot = 0
      if loop == 0 { for heap in heaps { heap.beginTableEvacuation(as: worker) } }
    }
    if state.pointee.isSweeping {
      let start = monotonic()
      let budget = state.pointee.pace.budget(at: start)
      if budget > 0 {
        sweep(loop, state, now, until: start + budget, monotonic, as: worker)
        let end = monotonic()
        state.pointee.pace.spent(end - start, until: end)
      }
    }
    var hasMore = false
    if atomicLoad(resizeCount) != 0 { hasMore = advanceResizes(as: worker) }
    if reclaimFlushed(slots: 256, as: worker) { hasMore = true }
    if ledger.usedBytes > ledger.limitBytes - pool.pageBytes, shouldCompact { _ = compact(moves: 64, as: worker) }
    boundTombstones(as: worker)
    ledger.notePeak()
    if hasMore { return 1 }
    if state.pointee.isSweeping { return state.pointee.pace.restMilliseconds }
    return max(1, Int(state.pointee.sweepStartedAt + interval - now))
  }

  private func sweep(
    _ loop: Int, _ state: UnsafeMutablePointer<BackgroundState>, _ now: UnixMilliseconds, until deadline: UInt64,
    _ monotonic: () -> UInt64, as worker: Worker
  ) {
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
        if monotonic() > deadline { return }
      }
    }
    state.pointee.isSweeping = false
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
      let isTooLarge = count == 0 || isSparse(count, bucketCount)
      guard buckets != emptyBucket, isTooLarge || isInEvacuatedPage(buckets, bucketCount) else { continue }
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
}
