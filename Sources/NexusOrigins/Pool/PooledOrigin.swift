import NexusService

/// One connection to an origin, for one thread at a time. A call ends soon after its deadline, on the clock of
/// `monotonicMilliseconds`, or after the interruption that the connection was made with is raised; if it does not, the
/// pool answers in its place.
protocol OriginConnection: AnyObject {
  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer
  /// Of different keys. One result per write.
  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>]
}

/// An origin that is asked through blocking calls: threads of its own make them, one connection each.
final class PooledOrigin: BatchOrigin {
  typealias Connect = @Sendable (DescriptorInterruption) -> any OriginConnection

  let name: String
  let canStore: Bool
  let batchLimit: Int
  private let pool: OriginPool

  /// - Parameters:
  ///   - batchLimit: writes that a connection makes together at less cost than one after another.
  ///   - connect: called on a worker's thread; is not to fail: a connection that cannot be made says so when it is
  ///     used.
  init(
    name: String, limits: OriginLimits, canStore: Bool, batchLimit: Int = .max, connect: @escaping Connect
  ) {
    self.name = name
    self.batchLimit = batchLimit
    self.canStore = canStore
    pool = OriginPool(name: name, limits: limits) { pool in
      beginThread { Self.work(pool, connect) }
    }
  }

  func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    pool.submit(.load(request), within: request.deadlineMilliseconds) { outcome in
      if case .load(let answer) = outcome { done(answer) }
    }
  }

  func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {
    guard canStore else {
      return done(.failure(OriginError(origin: name, .cannotStore("it is configured to be read only"))))
    }
    pool.submit(.store([write]), within: write.deadlineMilliseconds) { outcome in
      if case .store(let results) = outcome { done(results[0]) }
    }
  }

  func store(
    _ writes: [OriginWrite], within milliseconds: Int,
    done: @escaping @Sendable ([Result<Void, OriginError>]) -> Void
  ) {
    // Whoever hands over many at once tries again in its own time.
    pool.submit(.store(writes), within: milliseconds, retries: 0) { outcome in
      if case .store(let results) = outcome { done(results) }
    }
  }

  func stop() { pool.stop() }

  var figures: OriginFigures { pool.figures }

  private static func work(_ pool: OriginPool, _ connect: Connect) {
    let interruption = DescriptorInterruption()
    var connection: (any OriginConnection)?
    var isIdle = false
    while let job = pool.take(interruption, waits: true, isIdle: isIdle) {
      let used = connection ?? connect(interruption)
      connection = used
      pool.finish(job, attempt(job, pool, used, interruption), becomesIdle: true)
      isIdle = true
    }
    connection = nil
    pool.ended()
  }

  private static func attempt(
    _ job: OriginJob, _ pool: OriginPool, _ connection: any OriginConnection, _ interruption: DescriptorInterruption
  ) -> OriginOutcome {
    var failures = 0
    var isUnknown = false
    while true {
      pool.countAttempt()
      let deadline = min(job.deadline, monotonicMilliseconds() + pool.limits.timeoutMilliseconds)
      var outcome: OriginOutcome =
        switch job.work {
        case .load(let request): .load(connection.load(request, until: deadline))
        case .store(let writes): .store(connection.store(writes, until: deadline))
        }
      failures += 1
      guard let error = outcome.errors.first else { return outcome }
      // A write that may have been made is not said to have failed because the next attempt did not even begin.
      if case .outcomeUnknown(let what) = error.cause {
        isUnknown = true
        outcome = job.work.failed(pool.error(.outcomeUnknown(what)))
      } else if isUnknown {
        outcome = job.work.failed(pool.error(.outcomeUnknown(error.description)))
      }
      guard failures <= job.retries, error.cause.mayPass else { return outcome }
      let again =
        monotonicMilliseconds()
        + pool.limits.backoff.delayMilliseconds(after: failures, chance: UInt64.random(in: 0 ... .max))
      guard again < job.deadline, case .timedOut = interruption.wait(until: again) else { return outcome }
    }
  }
}

/// An origin that can take several writes at once.
protocol BatchOrigin: Origin {
  var batchLimit: Int { get }
  /// Of different keys. One result per write, in their order, at the latest when the time is over. Not tried again.
  func store(
    _ writes: [OriginWrite], within milliseconds: Int,
    done: @escaping @Sendable ([Result<Void, OriginError>]) -> Void)
}
