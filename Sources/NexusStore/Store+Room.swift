import CIntrinsics
import NexusModel

// Making room: a write asks before it locks anything. Under the ceiling the answer costs a few loads. At the ceiling
// a write of a size whose chunks are all taken evicts until one is free, and when much of the arena lies free in
// chunks of other sizes, moves entries together until a page is.

extension Store {
  /// Makes sure that the write fits under the namespace's and the node's limits, evicting where the policy allows.
  /// `byteCount`: keys and values together. Call before locking.
  @inlinable @inline(__always)
  public func admit(_ byteCount: Int, in namespace: NamespaceNumber, as worker: Worker, now: UnixMilliseconds)
    -> WriteOutcome
  {
    let state = namespaces + Int(namespace)
    if !state.pointee.isLimited, fits(byteCount) { return .stored }
    return makeRoom(byteCount, namespace, worker, now)
  }

  /// Whether a write would be admitted without making room: for whoever holds locks already.
  public func admitsAtOnce(_ byteCount: Int, in namespace: NamespaceNumber) -> Bool {
    !namespaces[Int(namespace)].isLimited && fits(byteCount)
  }

  @usableFromInline func fits(_ byteCount: Int) -> Bool { ledger.fits(byteCount &+ pool.pageBytes &* 2) }

  /// What one entry with this much key and value takes, roughly.
  static func entryBytes(_ byteCount: Int) -> Int { byteCount + 12 + 8 }

  @usableFromInline @inline(never)
  func makeRoom(_ byteCount: Int, _ namespace: NamespaceNumber, _ worker: Worker, _ now: UnixMilliseconds)
    -> WriteOutcome
  {
    let state = namespaces + Int(namespace)
    atomicStore(clock, now)
    if state.pointee.limitEntries > 0 {
      while atomicLoad(state.word(.entries)) >= state.pointee.limitEntries {
        guard evictOne(from: namespace, as: worker) else { return .outOfMemory }
      }
    }
    if state.pointee.limitBytes > 0 {
      let need = Int64(Self.entryBytes(byteCount))
      guard need <= state.pointee.limitBytes else { return .outOfMemory }
      while atomicLoad(state.word(.bytes)) + need > state.pointee.limitBytes {
        guard evictOne(from: namespace, as: worker) else { return .outOfMemory }
      }
    }
    if fits(byteCount) { return .stored }
    ledger.notePeak()
    let entry = Self.entryBytes(byteCount)
    return entry <= classes.inlineBytesMax
      ? makeRoomForChunk(entry, namespace, worker) : makeRoomForBytes(byteCount, namespace, worker)
  }

  private func makeRoomForChunk(_ entryBytes: Int, _ namespace: NamespaceNumber, _ worker: Worker) -> WriteOutcome {
    // The exact class depends on the entry's optional fields: one of these.
    let first = classes.entryClass(max(entryBytes - 8, 1))
    let last = min(classes.entryClass(min(entryBytes + 16, classes.inlineBytesMax)), first + 4)
    while true {
      let excess = ledger.usedBytes - ledger.limitBytes
      if excess <= 0 {
        if pool.freeCount > 0 || ledger.fits(pool.pageBytes) { return .stored }
        if heaps.contains(where: { heap in (first...last).contains { heap.hasFree($0) } }) { return .stored }
      } else if pool.release(1 + excess / pool.pageBytes, as: worker) > 0 {
        continue
      }
      if shouldCompact, compact(moves: 256, as: worker) { continue }
      guard evictForNode(writing: namespace, as: worker) else {
        return heaps.contains { heap in (first...last).contains { heap.hasFree($0) } } ? .stored : .outOfMemory
      }
    }
  }

  private func makeRoomForBytes(_ byteCount: Int, _ namespace: NamespaceNumber, _ worker: Worker) -> WriteOutcome {
    guard byteCount + pool.pageBytes * 4 + ledger.fixedBytes < ledger.limitBytes else { return .outOfMemory }
    let need = byteCount + pool.pageBytes
    while !ledger.fits(need) {
      let missing = ledger.usedBytes + need - ledger.limitBytes
      if pool.release(1 + missing / pool.pageBytes, as: worker) > 0 { continue }
      if heapFreeBytes > missing, compact(moves: 1024, as: worker) { continue }
      if shouldCompact, compact(moves: 1024, as: worker) { continue }
      guard evictForNode(writing: namespace, as: worker) else { return .outOfMemory }
    }
    return .stored
  }

  var heapFreeBytes: Int { heaps.reduce(0) { $0 + $1.freeBytes } }

  /// More than 2% of the ceiling lies free in chunks of sizes that nobody asks for.
  var shouldCompact: Bool { heapFreeBytes > max(ledger.limitBytes / 50, pool.pageBytes * 4) }

  // MARK: Evicting

  /// One entry leaves the namespace that is the largest of those that may evict. The writing one pays for itself
  /// where it holds a fair share.
  func evictForNode(writing: NamespaceNumber, as worker: Worker) -> Bool {
    if reclaimFlushed(slots: 64, as: worker) { return true }
    let largest = largestNamespace()
    if let largest, evictOne(from: largest, as: worker) { return true }
    atomicStore(largestHint, 0)
    for number in configuredNumbers where number != largest {
      if evictOne(from: number, as: worker) { return true }
    }
    return false
  }

  /// More namespaces than this are not all looked at for every entry that has to leave.
  static var namespacesComparedMax: Int { 32 }
  /// So many entries leave the one that was found, before all are looked at again.
  static var evictionsPerLook: UInt64 { 64 }

  /// Of the namespaces that may evict, the one with the most bytes; of many, the one that was so a moment ago.
  private func largestNamespace() -> NamespaceNumber? {
    let numbers = configuredNumbers
    let hint = atomicLoad(largestHint)
    if hint >> 16 > 0 {
      atomicStore(largestHint, hint - 1 << 16)
      return NamespaceNumber(truncatingIfNeeded: hint)
    }
    var best: NamespaceNumber?
    var bestBytes: Int64 = 0
    for number in numbers {
      let state = namespaces + Int(number)
      guard state.pointee.eviction != .none, atomicLoad(state.word(.entries)) > 0 else { continue }
      let bytes = atomicLoad(state.word(.bytes))
      if best == nil || bytes > bestBytes {
        best = number
        bestBytes = bytes
      }
    }
    if let best, numbers.count > Self.namespacesComparedMax {
      atomicStore(largestHint, Self.evictionsPerLook << 16 | UInt64(best))
    }
    return best
  }

  /// One entry leaves the namespace; false where its policy has none to give.
  func evictOne(from namespace: NamespaceNumber, as worker: Worker) -> Bool {
    let state = namespaces + Int(namespace)
    guard let lanes = published(state), state.pointee.eviction != .none else { return false }
    let mask = Int(state.pointee.laneMask)
    var index = Int(atomicAdd(state.word(.laneCursor), 1)) & mask
    // Of two lanes the fuller: they stay of one size however keys fall.
    let other = (index &* 25 &+ 7) & mask
    if atomicLoad((lanes + other).bytesWord) > atomicLoad((lanes + index).bytesWord) { index = other }
    for attempt in 0...mask {
      let at = (index + attempt) & mask
      guard evict(from: lanes + at, namespace, as: worker) else { continue }
      // Evicting in the first lane is what makes its tuner learn; the others learn from it.
      if at == 0 { spreadNews(namespace, as: worker) }
      return true
    }
    return false
  }

  private func evict(from lane: UnsafeMutablePointer<Lane>, _ namespace: NamespaceNumber, as worker: Worker) -> Bool {
    var attempts = 0
    while true {
      SpinLock.lock(lane.lock, as: worker)
      let handle = lane.pointee.policy.nextVictim(links)
      if handle == 0 {
        SpinLock.unlock(lane.lock)
        return false
      }
      // Still linked, and we hold the lane: the entry and its key stay where they are.
      let item = Item(pool.address(handle))
      let hash = hash(of: item)
      let slot = slot(item.keyBase, item.keyCount)
      let word = lockWord(Self.stripe(of: slot))
      let isOurs = atomicLoad(word) == worker
      if isOurs || atomicTryLock(word, worker) {
        let bytes = bytes(of: item, handle: handle)
        atomicStore(lane.bytesWord, lane.pointee.bytes &- Int64(bytes))
        lane.pointee.policy.evicted(handle, hash: hash, bytes: bytes, links)
        account(lane)
        SpinLock.unlock(lane.lock)
        account(left: item, bytes: bytes, in: namespace)
        let state = namespaces + Int(namespace)
        atomicAdd(state.word(.evictions), 1)
        if let place = locate(handle: handle, hash: hash, slot: slot) {
          if atomicLoad(watchCounts + Int(slot)) != 0 { onWatchedChange?(namespace, item.keyBytes) }
          if state.pointee.isStamped { noteEvicted(item, hash: hash, slot: slot, as: worker) }
          discard(place, hash: hash, slot: slot, bytes: bytes, as: worker)
        }
        if !isOurs { atomicUnlock(word) }
        return true
      }
      lane.pointee.policy.spared(handle, links)
      SpinLock.unlock(lane.lock)
      attempts += 1
      if attempts > 1000 { return false }
      ci_spin_hint()
    }
  }
}
