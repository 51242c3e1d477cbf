import NexusService

/// What a closure is told besides the key.
public struct OriginContext: Sendable {
  /// Nobody waits for the value after this; the task is cancelled then.
  public var deadline: ContinuousClock.Instant
}

/// One load that a closure runs for. A closure that asks the cache again does so as part of these loads: asking for the
/// key of one of them would wait for itself.
public struct LoadUnderway: Hashable, Sendable {
  /// The closure's name.
  public var origin: String
  /// The closure itself: two caches of one program may have closures of one name.
  public var identity: ObjectIdentifier
  public var key: [UInt8]

  public init(origin: String, identity: ObjectIdentifier, key: [UInt8]) {
    self.origin = origin
    self.identity = identity
    self.key = key
  }

  /// Of the present task, outermost first. It reaches into what the task begins, except for detached tasks.
  @TaskLocal public static var chain: [LoadUnderway] = []
}

/// An origin that is a closure of the program that embeds the cache.
///
/// It runs in a task, cancelled when its time is over. One that does not end then keeps its place among the
/// `connections` until it does, but nobody waiting. It is not tried again. What it throws is passed on in words; an
/// `OriginError` as it is.
public final class ClosureOrigin: Origin {
  /// Nil: there is no such key.
  public typealias Load = @Sendable (_ key: [UInt8], _ context: OriginContext) async throws -> OriginValue?
  public typealias Store = @Sendable (_ write: OriginWrite, _ context: OriginContext) async throws -> Void

  public let name: String
  private let pool: OriginPool
  private let takesWrites: Bool

  /// - Parameter name: for errors, and for `LoadUnderway`: closures that load the same values have the same.
  public init(name: String, limits: OriginLimits = OriginLimits(), store: Store? = nil, load: @escaping Load) {
    self.name = name
    takesWrites = store != nil
    pool = OriginPool(name: name, limits: limits) { pool in
      Task { await Self.work(pool, load, store) }
      return true
    }
  }

  public var canStore: Bool { takesWrites }
  /// What `LoadUnderway` says of this closure's load of the key.
  public func underway(_ key: [UInt8]) -> LoadUnderway {
    LoadUnderway(origin: name, identity: ObjectIdentifier(pool), key: key)
  }
  public var figures: OriginFigures { pool.figures }
  public func stop() { pool.stop() }

  /// To be called from the task that asks, so that `LoadUnderway` is known.
  public func load(_ request: OriginRequest, done: @escaping @Sendable (OriginAnswer) -> Void) {
    let time = min(request.deadlineMilliseconds, pool.limits.timeoutMilliseconds)
    pool.submit(.load(request), within: time) { outcome in
      if case .load(let answer) = outcome { done(answer) }
    }
  }

  public func store(_ write: OriginWrite, done: @escaping @Sendable (Result<Void, OriginError>) -> Void) {
    guard takesWrites else { return done(.failure(pool.error(.cannotStore("no closure for writes was given")))) }
    let time = min(write.deadlineMilliseconds, pool.limits.timeoutMilliseconds)
    pool.submit(.store([write]), within: time) { outcome in
      if case .store(let results) = outcome { done(results[0]) }
    }
  }

  private static func work(_ pool: OriginPool, _ load: @escaping Load, _ store: Store?) async {
    while true {
      let interruption = TaskInterruption()
      guard let job = pool.take(interruption, waits: false) else { return pool.ended() }
      pool.countAttempt()
      let task = Task { await run(job, pool, load, store) }
      interruption.watch(task)
      pool.finish(job, await task.value)
    }
  }

  private static func run(_ job: OriginJob, _ pool: OriginPool, _ load: Load, _ store: Store?) async -> OriginOutcome {
    let left = max(0, job.deadline - monotonicMilliseconds())
    let context = OriginContext(deadline: .now + .milliseconds(left))
    do {
      switch job.work {
      case .load(let request):
        let own = LoadUnderway(origin: pool.name, identity: ObjectIdentifier(pool), key: request.key)
        let value = try await LoadUnderway.$chain.withValue(job.underway + [own]) {
          try await load(request.key, context)
        }
        guard let value else { return .load(.absent(.unspecified)) }
        guard value.bytes.count <= pool.limits.valueLimitBytes else {
          return .load(.failure(pool.error(.tooLarge(limitBytes: pool.limits.valueLimitBytes))))
        }
        return .load(.value(value))
      case .store(let writes):
        for write in writes { try await store?(write, context) }
        return .store(writes.map { _ in .success(()) })
      }
    } catch let error as OriginError {
      return job.work.failed(error)
    } catch is CancellationError {
      return job.work.failed(pool.error(.timedOut(milliseconds: job.timeMilliseconds)))
    } catch {
      return job.work.failed(pool.error(.thrown("\(error)")))
    }
  }
}
