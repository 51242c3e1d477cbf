import CIntrinsics
import NexusModel

// Whole namespaces: scanning, counting. These lock for themselves.

extension Store {

  public func count(in namespace: NamespaceNumber) -> Int {
    Int(atomicLoad((namespaces + Int(namespace)).word(.entries)))
  }

  /// Those in some of the slots. As in `count`, what has expired counts until it is removed, where one namespace alone
  /// has entries: then it takes a look at each slot. Otherwise these slots are walked through.
  public func count(
    in namespace: NamespaceNumber, where isWanted: (UInt16) -> Bool, as worker: Worker, now: UnixMilliseconds
  ) -> Int {
    let others = configuredNumbers.contains { $0 != namespace && count(in: $0) > 0 }
    var total = 0
    if others || hasFlushed {
      for slot in 0..<UInt16(Slot.count) where isWanted(slot) {
        if atomicLoad((slots + Int(slot)).bucketsWord) == emptyBucket { continue }
        visit(slot: slot, in: namespace, as: worker, now: now) { _ in total += 1 }
      }
      return total
    }
    for slot in 0..<Slot.count where isWanted(UInt16(slot)) {
      let all = Int(atomicLoad((slots + slot).countAndFlagWord) & ~SlotTable.resizingFlag)
      total += max(0, all - Int(atomicLoad((records + slot).tombstonesWord)))
    }
    return total
  }

  public func countWithExpiry(in namespace: NamespaceNumber) -> Int {
    Int(atomicLoad((namespaces + Int(namespace)).word(.expiring)))
  }

  // MARK: Scanning

  /// Visits about `budget` live entries from `cursor` on (0 starts); answers the next cursor, 0 at the end.
  ///
  /// `isWanted` leaves slots out.
  ///
  /// An entry present from the first call to the last is visited exactly once, however tables grow meanwhile: the
  /// order is by slot and then by hash, and a cursor is a place in that order. Each entry is visited under its
  /// stripe's lock.
  public func scan(
    _ namespace: NamespaceNumber, from cursor: UInt64, budget: Int, as worker: Worker, now: UnixMilliseconds,
    where isWanted: ((UInt16) -> Bool)? = nil, _ visit: (Entry) -> Void
  ) -> UInt64 {
    var slot = Int(cursor >> 32)
    var from = UInt64(UInt32(truncatingIfNeeded: cursor))
    let budget = min(max(budget, 1), 1 << 40)
    var left = budget
    var looked = 0
    while slot < Slot.count {
      let stripe = Self.stripe(of: UInt16(slot))
      if atomicLoad((slots + slot).bucketsWord) == emptyBucket || isWanted?(UInt16(slot)) == false {
        slot += 1
        from = 0
        continue
      }
      let taken = lock(stripe: stripe, as: worker)
      while from <= UInt64(UInt32.max), left > 0, looked < budget * 64 + 1024 {
        from = visitBucket(UInt16(slot), from, namespace, now) { entry in
          left -= 1
          visit(entry)
        }
        looked += Bucket.places
      }
      if taken { atomicUnlock(lockWord(stripe)) }
      if from > UInt64(UInt32.max) {
        slot += 1
        from = 0
      }
      // The cursor 0 means the end: no bucket but the very first begins there, and that one is done with.
      if left <= 0 || looked >= budget * 64 + 1024 { return slot < Slot.count ? UInt64(slot) << 32 | from : 0 }
    }
    return 0
  }

  /// Entries of one slot whose home is the bucket of hash `from`, from that hash on. Answers where the next bucket
  /// begins.
  private func visitBucket(
    _ slot: UInt16, _ from: UInt64, _ namespace: NamespaceNumber?, _ now: UnixMilliseconds, _ visit: (Entry) -> Void
  ) -> UInt64 {
    let table = slots[Int(slot)]
    let count = UInt64(table.bucketCount)
    let bucket = (from * count) >> 32
    let next = ((bucket + 1) << 32 + count - 1) / count
    visitHomes(of: slot, from..<next) { place in
      let item = place.item
      if namespace == nil || item.namespace == namespace, isLive(item, now) { visit(Entry(place)) }
    }
    return next
  }

  /// Whatever lies in the slot's table, or in the two that it has while it is resized, and has a hash whose lower half
  /// is one of these. Under the lock.
  func visitHomes(of slot: UInt16, _ hashes: Range<UInt64>, _ visit: (Place) -> Void) {
    let table = slots[Int(slot)]
    visitHomes(table.buckets, table.bucketCount, hashes, visit)
    if table.isResizing, let resize = resize(of: slot) {
      visitHomes(resize.pointee.oldBuckets, resize.pointee.oldBucketCount, hashes, visit)
    }
  }

  private func visitHomes(
    _ buckets: UnsafeMutableRawPointer, _ bucketCount: UInt32, _ hashes: Range<UInt64>, _ visit: (Place) -> Void
  ) {
    let first = Int((hashes.lowerBound * UInt64(bucketCount)) >> 32)
    let last = Int(((hashes.upperBound - 1) * UInt64(bucketCount)) >> 32)
    var index = first
    var walked = 0
    while walked < Int(bucketCount) {
      let bucket = Bucket(buckets + index * Bucket.byteCount)
      for at in 0..<Bucket.places where bucket.tag(at) != 0 {
        let item = Item(pool.address(bucket.handle(at)))
        guard hashes.contains(hash(of: item) & 0xFFFF_FFFF) else { continue }
        visit(Place(bucket: bucket, index: at, item: item))
      }
      // Entries that did not fit into the range's last buckets lie in those behind.
      if walked >= last - first, bucket.passed == 0 { return }
      walked += 1
      index += 1
      if index == Int(bucketCount) { index = 0 }
    }
  }

  func isLive(_ item: Item, _ now: UnixMilliseconds) -> Bool {
    ((item.flags ^ namespaces[Int(item.namespace)].epoch) & Item.Flag.epoch == 0 || outlivesFlush(item))
      && (item.flags & Item.Flag.expiry == 0 || item.expiresAt > now)
  }

  /// Live entries of one slot, under its lock, of one namespace or (nil) of all: counting, digesting and moving slots
  /// start here.
  public func visit(
    slot: UInt16, in namespace: NamespaceNumber?, as worker: Worker, now: UnixMilliseconds, _ visit: (Entry) -> Void
  ) {
    let taken = lock(stripe: Self.stripe(of: slot), as: worker)
    defer { if taken { atomicUnlock(lockWord(Self.stripe(of: slot))) } }
    if slots[Int(slot)].buckets == emptyBucket { return }
    var from: UInt64 = 0
    while from <= UInt64(UInt32.max) { from = visitBucket(slot, from, namespace, now, visit) }
  }

  /// Runs `body` under the lock of the slot's stripe.
  public func withSlot<Result>(_ slot: UInt16, as worker: Worker, _ body: () -> Result) -> Result {
    let taken = lock(stripe: Self.stripe(of: slot), as: worker)
    defer { if taken { atomicUnlock(lockWord(Self.stripe(of: slot))) } }
    return body()
  }

  /// Any live entry, chosen by `random`; false if the namespace is empty. Visited under its stripe's lock.
  public func randomEntry(
    _ namespace: NamespaceNumber, random: UInt64, as worker: Worker, now: UnixMilliseconds,
    where isWanted: ((UInt16) -> Bool)? = nil, _ visit: (Entry) -> Void
  ) -> Bool {
    guard count(in: namespace) > 0 else { return false }
    // From a random place on in the order of scans, the first entry that comes.
    let start = (random & UInt64(Slot.count - 1)) << 32 | (random >> 32)
    var found = false
    for begin in [start, 0] {
      var cursor = begin
      repeat {
        cursor = scan(namespace, from: cursor, budget: 1, as: worker, now: now, where: isWanted) { entry in
          if !found { visit(entry) }
          found = true
        }
      } while !found && cursor != 0
      if found { return true }
    }
    return false
  }

  // MARK: Figures

  public struct NamespaceStatistics: Sendable {
    public var entries = 0
    public var bytes = 0
    public var evictions = 0
    public var expirations = 0
  }

  public func statistics(of namespace: NamespaceNumber) -> NamespaceStatistics {
    let state = namespaces + Int(namespace)
    return NamespaceStatistics(
      entries: Int(atomicLoad(state.word(.entries))), bytes: Int(atomicLoad(state.word(.bytes))),
      evictions: Int(atomicLoad(state.word(.evictions))),
      expirations: Int(atomicLoad(state.word(.expirations))))
  }

  public func resetStatistics() {
    for number in configuredNumbers {
      atomicStore((namespaces + Int(number)).word(.evictions), 0)
      atomicStore((namespaces + Int(number)).word(.expirations), 0)
    }
    ledger.resetPeak()
  }

  public struct MemoryStatistics: Sendable {
    /// What counts against the ceiling.
    public var usedBytes = 0
    public var entryBytes = 0
    public var tombstoneBytes = 0
    public var indexBytes = 0
    public var freeChunkBytes = 0
    public var outsideBytes = 0
    public var peakBytes = 0
    public var limitBytes = 0
  }

  public var memory: MemoryStatistics {
    MemoryStatistics(
      usedBytes: ledger.usedBytes, entryBytes: ledger.entryBytes, tombstoneBytes: ledger.tombstoneBytes,
      indexBytes: ledger.tableBytes + ledger.fixedBytes,
      freeChunkBytes: heapFreeBytes + pool.freeCount * pool.pageBytes, outsideBytes: ledger.outside.bytes,
      peakBytes: ledger.peakBytes, limitBytes: ledger.limitBytes)
  }

  /// The ceiling, changed at run time; past it, the next writes evict until it holds.
  public var maxMemoryBytes: Int {
    get { ledger.limitBytes }
    set { ledger.limitBytes = min(max(newValue, Self.limitBytesMin), maxMemoryBytesMost) }
  }

  /// What the ceiling can be raised to: addresses are reserved, and the handles' unit chosen, at the start. Whole
  /// mebibytes.
  public var maxMemoryBytesMost: Int {
    max(configuration.maxMemoryBytes, pool.limitBytesMost & ~((1 << 20) - 1))
  }
}
