import NexusService

/// An origin whose writes are acknowledged at once and made a little later, in batches, the newest of each key only.
///
/// A write that has not been made is what a load of its key gives, so that nobody reads what is older. When the queue
/// is full, a write is made before it is acknowledged. Writes that are lost, by the origin's refusal or by the end of
/// the process, are logged and counted.
final class WriteBehindOrigin: Origin {
  private struct State {
    var queue: WriteBehindQueue
    /// Batches that have not come back.
    var batches = 0
    var hasThread = false
    var phase = Phase.open
    var isFull = false
    var lost = 0
  }

  private enum Phase { case open, draining, ended }
  private enum Condition { static let work = 0, drained = 1 }

  /// The thread ends when there has been nothing to do for so long.
  private static let idleMilliseconds = 10_000

  private let base: any Origin
  private let settings: WriteBehindSettings
  private let log: any Log
  private let timeMilliseconds: Int
  private let mostBatches: Int
  private let state: Monitor<State>

  init(_ base: any Origin, _ settings: WriteBehindSettings, limits: OriginLimits, log: any Log) {
    self.base = base
    self.settings = settings
    self.log = log
    // Enough to wait for a connection, too.
    timeMilliseconds = limits.timeoutMilliseconds * 5
    // The other half of the connections is for loads.
    mostBatches = max(1, limits.connections / 2)
    let batch = min(settings.batch, (base as? any BatchOrigin)?.batchLimit ?? 1)
    let queue = WriteBehindQueue(
      WriteBehindQueue.Limits(
        writes: settings.writes, bytes: settings.bytes, batch: batch, delayMilliseconds: settings.delayMilliseconds,
        backoff: limits.backoff))
    state = Monitor(State(queue: queue), conditions: 2)
  }

  var name: String { base.name }
  var canStore: Bool { base.canStore }

  var figures: OriginFigures {
    var figures = base.figures
    state.withLock { state in
      figures.pendingWrites = state.queue.count
      figures.lostWrites = state.lost
    }
    return figures
  }

  // MARK: Loading

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    guard let write = state.withLock({ $0.queue.latest(request.key, now: monotonicMilliseconds()) }) else {
      return base.load(request, done: done)
    }
    let freshness = OriginFreshness(timeToLiveMilliseconds: write.timeToLiveMilliseconds)
    done(write.value.map { .value(OriginValue($0, freshness)) } ?? .absent(.unspecified))
  }

  // MARK: Storing

  private enum Admission {
    case queued(beginsThread: Bool)
    case passes(WriteBehindQueue.Pass, isFirst: Bool)
    case refused
  }

  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {
    guard canStore else { return base.store(write, done: done) }
    switch state.withLock({ admit(write, &$0) }) {
    case .refused: done(.failure(OriginError(origin: name, .stopping)))
    case .queued(let beginsThread):
      if beginsThread && !beginThread(named: "write-behind", { self.work() }) {
        // The next write tries again; these wait.
        state.withLock { $0.hasThread = false }
      }
      done(.success(()))
    case .passes(let pass, let isFirst):
      if isFirst {
        log.warning(
          "the queue of writes for an origin is full: further ones wait for the origin", ("origin", name))
      }
      base.store(write) { result in
        self.state.withLock { state in
          state.queue.endPass(pass, succeeded: result.isSuccess)
          self.wake(state)
        }
        done(result)
      }
    }
  }

  private func admit(_ write: OriginWrite, _ state: inout State) -> Admission {
    guard case .open = state.phase else { return .refused }
    guard state.queue.put(write, now: monotonicMilliseconds()) else {
      defer { state.isFull = true }
      return .passes(state.queue.beginPass(write.key), isFirst: !state.isFull)
    }
    self.state.signal(Condition.work)
    defer { state.hasThread = true }
    return .queued(beginsThread: !state.hasThread)
  }

  // MARK: Making

  private func work() {
    while let batch = nextBatch() {
      if let base = base as? any BatchOrigin {
        base.store(batch, within: timeMilliseconds) { results in self.finish(batch, results) }
      } else {
        var single = batch[0]
        single.deadlineMilliseconds = timeMilliseconds
        base.store(single) { result in self.finish(batch, [result]) }
      }
    }
  }

  /// Nil: there is nothing to do for long, or nothing more at all, and the thread ends.
  private func nextBatch() -> [OriginWrite]? {
    let leaving = monotonicMilliseconds() + Self.idleMilliseconds
    return state.wait(on: Condition.work) { state in
      let now = monotonicMilliseconds()
      if case .ended = state.phase { return Self.leave(&state) }
      if state.queue.isEmpty && now >= leaving { return Self.leave(&state) }
      guard state.batches < mostBatches else { return .until(nil) }
      let batch = state.queue.takeBatch(now: now)
      if !batch.isEmpty {
        state.batches += 1
        return .done(batch)
      }
      // Who waits for what is under way is woken when it comes back.
      return .until(state.queue.isEmpty ? leaving : state.queue.nextBatch(now: now))
    }
  }

  private static func leave(_ state: inout State) -> Monitor<State>.Wait<[OriginWrite]?> {
    state.hasThread = false
    return .done(nil)
  }

  private func finish(_ batch: [OriginWrite], _ results: [Result<Void, OriginError>]) {
    let lost = state.withLock { state in
      state.batches -= 1
      let lost = state.queue.finish(
        zip(batch, results).map { (key: $0.key, result: $1) }, now: monotonicMilliseconds(),
        chance: UInt64.random(in: 0 ... .max))
      state.lost += lost.count
      // Only when there is room again for a while is the next overflow worth a line.
      if state.queue.count < settings.writes / 2 && state.queue.bytes < settings.bytes / 2 { state.isFull = false }
      wake(state)
      return lost
    }
    for write in lost {
      log.error(
        "a write that was acknowledged was refused by its origin and is lost there", ("origin", name),
        ("key", Self.shown(write.key)), ("reason", "\(write.error)"))
    }
  }

  private func wake(_ state: borrowing State) {
    self.state.signal(Condition.work)
    if state.queue.isEmpty { self.state.signalAll(Condition.drained) }
  }

  // MARK: The end

  func stop() {
    let giveUp = monotonicMilliseconds() + settings.drainMilliseconds
    state.withLock { state in
      state.phase = .draining
      state.queue.hurry()
      self.state.signal(Condition.work)
    }
    state.wait(on: Condition.drained) { state -> Monitor<State>.Wait<Void> in
      state.queue.isEmpty || monotonicMilliseconds() >= giveUp ? .done(()) : .until(giveUp)
    }
    // Whatever is under way comes back now, as not made or of unknown outcome.
    state.withLock { state in
      state.phase = .ended
      self.state.signal(Condition.work)
    }
    base.stop()
    let (left, keys) = state.withLock { state in
      state.lost += state.queue.count
      return (state.queue.count, state.queue.keys(atMost: 10))
    }
    if left > 0 {
      log.error(
        "acknowledged writes were not made before the end, or nobody knows whether", ("origin", name),
        ("writes", "\(left)"),
        ("first-keys", keys.map(Self.shown).joined(separator: " ")))
    }
  }

  private static func shown(_ key: [UInt8]) -> String { PercentText.encoded(Array(key.prefix(100))) }
}

extension Result where Success == Void {
  fileprivate var isSuccess: Bool { if case .success = self { true } else { false } }
}
