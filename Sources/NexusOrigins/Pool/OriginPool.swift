import NexusService

/// The requests of one origin: how many run at a time, which wait, and that each is answered in time and once.
///
/// Workers take jobs and may hang in them for as long as they like: deadlines are watched by a thread of their own, so
/// that a hanging origin takes a worker, never a caller. What is watched and what may wait is bounded; idle workers
/// end.
final class OriginPool: @unchecked Sendable {
  struct State {
    var isStopping = false
    var breaker: CircuitBreaker
    var waiting = JobQueue()
    /// Waiting and running, not answered yet.
    var live: [ObjectIdentifier: OriginJob] = [:]
    /// Of writes that a worker makes, answered or not.
    var busyKeys: Set<[UInt8]> = []
    /// Workers there are, those that have nothing to do, and those with a job, answered or not.
    var workers = 0
    var idle = 0
    /// Workers that have been begun and have not let go of everything yet.
    var present = 0
    var running = 0
    var finished = 0
    /// When the watch looks next; nil while it does not run.
    var watchLooksAt: Int?
    var figures = OriginFigures()
  }

  enum Condition { static let work = 0, deadlines = 1, ended = 2 }

  let name: String
  let limits: OriginLimits
  let state: Monitor<State>
  /// Begins one more worker; false if there is none to have.
  private let beginWorker: @Sendable (OriginPool) -> Bool

  init(name: String, limits: OriginLimits, beginWorker: @escaping @Sendable (OriginPool) -> Bool) {
    self.name = name
    self.limits = limits
    self.beginWorker = beginWorker
    state = Monitor(State(breaker: CircuitBreaker(limits.breakerPolicy)), conditions: 3)
  }

  func error(_ cause: OriginError.Cause) -> OriginError { OriginError(origin: name, cause) }

  // MARK: The caller's side

  private enum Admission {
    case refused(OriginError.Cause)
    case queued(beginsWorker: Bool, beginsWatch: Bool)
  }

  func submit(
    _ work: OriginWork, within milliseconds: Int, retries: Int? = nil,
    answer: @escaping @Sendable (OriginOutcome) -> Void
  ) {
    let now = monotonicMilliseconds()
    let time = min(max(0, milliseconds), 86_400_000)
    let admission = state.withLock { state in
      admit(&state, now) { ticket, finished in
        OriginJob(
          work, deadline: now + time, timeMilliseconds: time, retries: retries ?? limits.retries, ticket: ticket,
          finishedBefore: finished, answer: answer)
      }
    }
    switch admission {
    case .refused(let cause):
      let outcome = work.failed(error(cause))
      state.withLock { $0.figures.count(outcome) }
      answer(outcome)
    case .queued(let beginsWorker, let beginsWatch):
      if beginsWatch && !beginThread({ self.watchDeadlines() }) { cannotBegin { $0.watchLooksAt = nil } }
      if beginsWorker && !beginWorker(self) {
        cannotBegin {
          $0.workers -= 1
          $0.present -= 1
        }
      }
    }
  }

  private func admit(_ state: inout State, _ now: Int, _ job: (CircuitBreaker.Ticket, Int) -> OriginJob)
    -> Admission
  {
    if state.isStopping { return .refused(.stopping) }
    let ticket: CircuitBreaker.Ticket
    switch state.breaker.admit(now: now) {
    case .refused(let milliseconds): return .refused(.refusedByBreaker(retryAfterMilliseconds: milliseconds))
    case .admitted(let admitted): ticket = admitted
    }
    guard state.waiting.count < limits.queue + limits.connections - state.running else {
      state.breaker.record(.inconclusive, ticket, now: now, chance: 0)
      return .refused(.tooBusy(waiting: state.waiting.count))
    }
    let job = job(ticket, state.finished)
    state.live[ObjectIdentifier(job)] = job
    state.waiting.append(job)
    let beginsWorker = state.waiting.count > state.idle && state.workers < limits.connections
    if beginsWorker {
      state.workers += 1
      state.present += 1
    } else {
      self.state.signal(Condition.work)
    }
    let beginsWatch = state.watchLooksAt == nil
    if beginsWatch || job.deadline < state.watchLooksAt! {
      state.watchLooksAt = job.deadline
      if !beginsWatch { self.state.signal(Condition.deadlines) }
    }
    return .queued(beginsWorker: beginsWorker, beginsWatch: beginsWatch)
  }

  /// The system has no thread to give. If others can do the work it will be done; if not, those who wait are told.
  private func cannotBegin(_ undo: (inout State) -> Void) {
    let failed = state.withLock { state -> [OriginJob] in
      undo(&state)
      if state.workers > 0 && state.watchLooksAt != nil { return [] }
      let jobs = Array(state.live.values)
      let error = error(.unreachable("this process can have no further thread"))
      for job in jobs { settle(job, &state, job.work.failed(error), .inconclusive, 0) }
      return jobs
    }
    for job in failed {
      job.answer(job.work.failed(error(.unreachable("this process can have no further thread"))))
    }
  }

  // MARK: The workers' side

  /// The next job. Nil: this worker has been counted out and ends, since there is nothing to do for long (for workers
  /// that do not wait: now) or the pool stops.
  ///
  /// - Parameter isIdle: `finish` has counted this worker among the idle ones already.
  func take(_ interruption: any Interruption, waits: Bool, isIdle: Bool = false) -> OriginJob? {
    var isIdle = isIdle
    let leaving = waits ? monotonicMilliseconds() + limits.idleMilliseconds : 0
    return state.wait(on: Condition.work) { state in
      if isIdle { state.idle -= 1 }
      isIdle = false
      if let job = state.waiting.takeFirst(besides: state.busyKeys) {
        interruption.begin(job)
        job.phase = .running(interruption)
        state.busyKeys.formUnion(job.keysToStore)
        state.running += 1
        return .done(job)
      }
      if state.isStopping || !waits || monotonicMilliseconds() >= leaving {
        state.workers -= 1
        return .done(nil)
      }
      state.idle += 1
      isIdle = true
      return .until(leaving)
    }
  }

  /// A worker that was counted out has let go of all it had.
  func ended() {
    state.withLock { $0.present -= 1 }
    state.signalAll(Condition.ended)
  }

  /// - Parameter becomesIdle: the worker will take another. It counts as idle before the answer is given, so that who
  ///   asks again at once, on hearing it, is served by this worker and no other is begun.
  func finish(_ job: OriginJob, _ outcome: OriginOutcome, becomesIdle: Bool = false) {
    let now = monotonicMilliseconds()
    let isAnswered = state.withLock { state in
      state.running -= 1
      state.finished += 1
      if becomesIdle { state.idle += 1 }
      let keys = job.keysToStore
      state.busyKeys.subtract(keys)
      if !keys.isEmpty && !state.waiting.isEmpty { self.state.signal(Condition.work) }
      if case .answered = job.phase { return true }
      settle(job, &state, outcome, outcome.verdict, now)
      return false
    }
    if !isAnswered { job.answer(outcome) }
  }

  func countAttempt() { state.withLock { $0.figures.attempts += 1 } }

  /// Marks it as answered. Whoever does so calls `answer`, after the lock.
  private func settle(
    _ job: OriginJob, _ state: inout State, _ outcome: OriginOutcome, _ verdict: CircuitBreaker.Outcome, _ now: Int
  ) {
    job.phase = .answered
    state.live[ObjectIdentifier(job)] = nil
    state.breaker.record(verdict, job.ticket, now: now, chance: UInt64.random(in: 0 ... .max))
    state.figures.count(outcome)
  }

  // MARK: Deadlines

  private struct Late {
    var job: OriginJob
    var outcome: OriginOutcome
    var interruption: (any Interruption)?
  }

  private func watchDeadlines() {
    while let late = nextLate() {
      for entry in late {
        entry.interruption?.raise(for: entry.job)
        entry.job.answer(entry.outcome)
      }
    }
  }

  /// Those whose time is over, when there are any. Nil when the pool stops or has long been idle: the watch ends.
  private func nextLate() -> [Late]? {
    let leaving = monotonicMilliseconds() + limits.idleMilliseconds
    return state.wait(on: Condition.deadlines) { state in
      let now = monotonicMilliseconds()
      let late = expire(&state, now)
      if !late.isEmpty { return .done(late) }
      if state.isStopping || state.live.isEmpty && now >= leaving {
        state.watchLooksAt = nil
        return .done(nil)
      }
      let earliest = state.live.values.map(\.deadline).min() ?? max(now + 1, leaving)
      state.watchLooksAt = earliest
      return .until(earliest)
    }
  }

  private func expire(_ state: inout State, _ now: Int) -> [Late] {
    var late: [Late] = []
    for job in state.live.values where job.deadline <= now {
      late.append(Late(job: job, outcome: job.work.failed(error(job.lateness)), interruption: nil))
    }
    guard !late.isEmpty else { return [] }
    for index in late.indices {
      let job = late[index].job
      // Who waited for a worker in vain says something of the origin only if no worker came back meanwhile.
      var verdict = CircuitBreaker.Outcome.failure
      switch job.phase {
      case .running(let interruption): late[index].interruption = interruption
      case .waiting, .answered: if state.finished != job.finishedBefore { verdict = .inconclusive }
      }
      settle(job, &state, late[index].outcome, verdict, now)
    }
    state.waiting.remove { if case .answered = $0.phase { true } else { false } }
    return late
  }

  // MARK: The end

  /// Answers everything with `stopping` and waits a little for the workers; one that hangs ends when it comes back.
  func stop(graceMilliseconds: Int = 500) {
    let stopped = state.withLock { state -> [Late] in
      state.isStopping = true
      let jobs = state.live.values.map { job -> Late in
        var late = Late(job: job, outcome: job.work.failed(error(.stopping)), interruption: nil)
        if case .running(let interruption) = job.phase {
          late.interruption = interruption
          if case .store = job.work { late.outcome = job.work.failed(error(.outcomeUnknown("it is being stopped"))) }
        }
        settle(job, &state, late.outcome, .inconclusive, 0)
        return late
      }
      state.waiting = JobQueue()
      self.state.signalAll(Condition.work)
      self.state.signalAll(Condition.deadlines)
      return jobs
    }
    for entry in stopped {
      entry.interruption?.raise(for: entry.job)
      entry.job.answer(entry.outcome)
    }
    let patience = monotonicMilliseconds() + graceMilliseconds
    state.wait(on: Condition.ended) { state -> Monitor<State>.Wait<Void> in
      state.present == 0 || monotonicMilliseconds() >= patience ? .done(()) : .until(patience)
    }
  }

  var figures: OriginFigures {
    state.withLock { state in
      var figures = state.figures
      figures.running = state.running
      figures.waiting = state.waiting.count
      figures.breaker = state.breaker.isClosed ? .closed : state.breaker.isHalfOpen ? .halfOpen : .open
      return figures
    }
  }
}
