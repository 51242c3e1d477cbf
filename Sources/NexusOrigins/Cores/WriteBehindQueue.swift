import NexusService

/// Writes that were acknowledged and are not made yet: one per key, the newest, in the order in which the keys came.
///
/// None is lost in silence: what does not fit is refused, what fails in a way that may pass is tried again until it is
/// made, and what can never be made is handed back to be reported. Two writes of one key are never under way together.
///
/// `now` is in milliseconds of a clock that never goes back.
struct WriteBehindQueue: Sendable {
  struct Limits: Hashable, Sendable {
    /// Writes and their bytes, those under way included.
    var writes: Int
    var bytes: Int
    /// Writes that are made together, and how long one may wait for others.
    var batch: Int
    var delayMilliseconds: Int
    /// The pause after batches of which not one write was made.
    var backoff: Backoff
  }

  struct Lost: Hashable, Sendable {
    var key: [UInt8]
    var error: OriginError
  }

  /// A write made past the queue. What was acknowledged before it is older than this.
  struct Pass: Hashable, Sendable {
    fileprivate var key: [UInt8]
    fileprivate var number: UInt64
  }

  private struct Queued: Sendable {
    var write: OriginWrite
    /// When the client gave it.
    var givenAt: Int
    /// When its key began to wait.
    var waitsSince: Int
    /// Its place in the order of all writes, and of all keys that wait.
    var number: UInt64
    var place: UInt64
  }

  private struct Entry: Sendable {
    var waiting: Queued?
    var underway: Queued?
    /// A newer write has been made meanwhile: if this one fails, all the better.
    var underwayIsOutdated = false
    var passes = 0

    var isEmpty: Bool { waiting == nil && underway == nil && passes == 0 }
  }

  private let limits: Limits
  private var entries: [[UInt8]: Entry] = [:]
  /// Keys by their places. What is out of date is passed over.
  private var order: [(key: [UInt8], place: UInt64)] = []
  private var head = 0
  private var lastNumber: UInt64 = 0
  private var failuresInARow = 0
  private var pausedUntil = Int.min
  private var isHurried = false

  /// Acknowledged and not made: waiting and under way.
  private(set) var count = 0
  private(set) var bytes = 0
  private var waitingCount = 0

  init(_ limits: Limits) { self.limits = limits }

  var isEmpty: Bool { count == 0 }

  /// Some of the keys whose writes have not been made, for a report.
  func keys(atMost limit: Int) -> [[UInt8]] {
    entries.lazy.filter { $0.value.waiting != nil || $0.value.underway != nil }.prefix(limit).map(\.key)
  }

  /// The newest write of a key that has been acknowledged and not made, with the time it has left to live.
  func latest(_ key: [UInt8], now: Int) -> OriginWrite? {
    guard let entry = entries[key], let queued = entry.waiting ?? entry.underway else { return nil }
    return Self.aged(queued, now)
  }

  // MARK: In

  /// False: there is no room for it.
  mutating func put(_ write: OriginWrite, now: Int) -> Bool {
    var entry = entries[write.key] ?? Entry()
    let freed = entry.waiting.map { Self.size($0.write) } ?? 0
    guard entry.waiting != nil || count < limits.writes, bytes - freed + Self.size(write) <= limits.bytes else {
      return false
    }
    lastNumber += 1
    if let old = entry.waiting {
      remove(old)
      entry.waiting = Queued(
        write: write, givenAt: now, waitsSince: old.waitsSince, number: lastNumber, place: old.place)
    } else {
      entry.waiting = Queued(write: write, givenAt: now, waitsSince: now, number: lastNumber, place: lastNumber)
      enqueue(write.key, lastNumber)
    }
    entries[write.key] = entry
    count += 1
    waitingCount += 1
    bytes += Self.size(write)
    return true
  }

  /// A write is made past the queue, which had no room for it. Until it has ended, none of its key is taken.
  mutating func beginPass(_ key: [UInt8]) -> Pass {
    lastNumber += 1
    entries[key, default: Entry()].passes += 1
    return Pass(key: key, number: lastNumber)
  }

  mutating func endPass(_ pass: Pass, succeeded: Bool) {
    guard var entry = entries[pass.key] else { return }
    entry.passes -= 1
    if succeeded {
      if let waiting = entry.waiting, waiting.number < pass.number {
        remove(waiting)
        entry.waiting = nil
      }
      if let underway = entry.underway, underway.number < pass.number { entry.underwayIsOutdated = true }
    }
    entries[pass.key] = entry.isEmpty ? nil : entry
  }

  // MARK: Out

  /// When there will be a batch to take; nil: not before something changes.
  func nextBatch(now: Int) -> Int? {
    guard let oldest = oldestReady() else { return nil }
    let waitsForNone = isHurried || waitingCount >= limits.batch
    return max(waitsForNone ? now : oldest.waitsSince + limits.delayMilliseconds, pausedUntil)
  }

  /// From now on no write waits for others.
  mutating func hurry() {
    isHurried = true
    failuresInARow = 0
    pausedUntil = .min
  }

  /// The writes to be made together now; empty: none are due.
  mutating func takeBatch(now: Int) -> [OriginWrite] {
    guard nextBatch(now: now).map({ $0 <= now }) == true else { return [] }
    var batch: [OriginWrite] = []
    var blocked: [(key: [UInt8], place: UInt64)] = []
    while batch.count < limits.batch, head < order.count {
      let next = order[head]
      head += 1
      guard var entry = entries[next.key], let waiting = entry.waiting, waiting.place == next.place else { continue }
      guard entry.underway == nil && entry.passes == 0 else {
        blocked.append(next)
        continue
      }
      batch.append(Self.aged(waiting, now))
      entry.underway = waiting
      entry.underwayIsOutdated = false
      entry.waiting = nil
      entries[next.key] = entry
      waitingCount -= 1
    }
    // They keep their turn.
    head -= blocked.count
    order.replaceSubrange(head..<head + blocked.count, with: blocked)
    if head > 1024 && head > order.count / 2 {
      order.removeSubrange(..<head)
      head = 0
    }
    return batch
  }

  /// A batch has come back. What is returned will never be made.
  mutating func finish(
    _ results: [(key: [UInt8], result: Result<Void, OriginError>)], now: Int, chance: UInt64
  ) -> [Lost] {
    var lost: [Lost] = []
    var hasSuccess = false, hasPassingFailure = false
    for (key, result) in results {
      guard var entry = entries[key], let made = entry.underway else { continue }
      entry.underway = nil
      count -= 1
      bytes -= Self.size(made.write)
      switch result {
      case .success: hasSuccess = true
      case .failure(let error) where error.cause.mayPass || error.cause == .stopping:
        hasPassingFailure = true
        // A newer one will be made in its place.
        if entry.waiting == nil && !entry.underwayIsOutdated {
          lastNumber += 1
          entry.waiting = Queued(
            write: made.write, givenAt: made.givenAt, waitsSince: made.waitsSince, number: made.number,
            place: lastNumber)
          enqueue(key, lastNumber)
          count += 1
          waitingCount += 1
          bytes += Self.size(made.write)
        }
      case .failure(let error):
        if entry.waiting == nil && !entry.underwayIsOutdated { lost.append(Lost(key: key, error: error)) }
      }
      entries[key] = entry.isEmpty ? nil : entry
    }
    if hasSuccess {
      failuresInARow = 0
    } else if hasPassingFailure {
      failuresInARow += 1
      pausedUntil = now + limits.backoff.delayMilliseconds(after: failuresInARow, chance: chance)
    }
    return lost
  }

  // MARK: The order

  private mutating func enqueue(_ key: [UInt8], _ place: UInt64) {
    // What is out of date must not outweigh what is not.
    if order.count - head > 2 * entries.count + 64 {
      order = order[head...].filter { entries[$0.key]?.waiting?.place == $0.place }
      head = 0
    }
    order.append((key, place))
  }

  private mutating func remove(_ waiting: Queued) {
    count -= 1
    waitingCount -= 1
    bytes -= Self.size(waiting.write)
  }

  private func oldestReady() -> Queued? {
    guard waitingCount > 0 else { return nil }
    for next in order[head...] {
      if let entry = entries[next.key], let waiting = entry.waiting, waiting.place == next.place, entry.underway == nil,
        entry.passes == 0
      {
        return waiting
      }
    }
    return nil
  }

  private static func aged(_ queued: Queued, _ now: Int) -> OriginWrite {
    var write = queued.write
    // 0 would say that it lives for ever to some.
    write.timeToLiveMilliseconds = write.timeToLiveMilliseconds.map { max(1, $0 - (now - queued.givenAt)) }
    return write
  }

  private static func size(_ write: OriginWrite) -> Int { write.key.count + (write.value?.count ?? 0) + 128 }
}
