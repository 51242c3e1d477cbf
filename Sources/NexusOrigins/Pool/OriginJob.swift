import NexusService

/// What an origin is asked to do.
enum OriginWork: Sendable {
  case load(OriginRequest)
  /// Different keys, in any order.
  case store([OriginWrite])

  func failed(_ error: OriginError) -> OriginOutcome {
    switch self {
    case .load: .load(.failure(error))
    case .store(let writes): .store(writes.map { _ in .failure(error) })
    }
  }
}

enum OriginOutcome: Sendable {
  case load(OriginAnswer)
  /// One result per write.
  case store([Result<Void, OriginError>])

  var errors: [OriginError] {
    switch self {
    case .load(.failure(let error)): [error]
    case .load: []
    case .store(let results): results.compactMap { if case .failure(let error) = $0 { error } else { nil } }
    }
  }

  /// What this says of the origin's health: that it answered, even if with a refusal, or that it did not.
  var verdict: CircuitBreaker.Outcome { errors.contains { $0.cause.isSymptom } ? .failure : .success }
}

extension OriginError.Cause {
  /// The next attempt may go better.
  var mayPass: Bool {
    switch self {
    case .timedOut, .unreachable, .garbage, .outcomeUnknown, .refusedByBreaker, .tooBusy: true
    case .wrongStatus(let status): status == 408 || status == 425 || status == 429 || status >= 500
    case .tooLarge, .wrongType, .rejected, .unsuitableKey, .thrown, .cannotStore, .stopping: false
    }
  }

  /// The origin is not well; anything else is about one key.
  var isSymptom: Bool {
    switch self {
    case .timedOut, .unreachable, .garbage, .outcomeUnknown: true
    case .wrongStatus: mayPass
    default: false
    }
  }
}

/// A request on its way. Invariant: what can change is touched under the pool's lock only.
final class OriginJob: @unchecked Sendable {
  enum Phase {
    case waiting
    case running(any Interruption)
    case answered
  }

  let work: OriginWork
  let answer: @Sendable (OriginOutcome) -> Void
  let deadline: Int
  let timeMilliseconds: Int
  let retries: Int
  let ticket: CircuitBreaker.Ticket
  /// How many jobs had been finished when this one came.
  let finishedBefore: Int
  /// The loads of which the one who asks is part.
  let underway = LoadUnderway.chain
  var phase = Phase.waiting

  init(
    _ work: OriginWork, deadline: Int, timeMilliseconds: Int, retries: Int, ticket: CircuitBreaker.Ticket,
    finishedBefore: Int, answer: @escaping @Sendable (OriginOutcome) -> Void
  ) {
    self.work = work
    self.deadline = deadline
    self.timeMilliseconds = timeMilliseconds
    self.retries = retries
    self.ticket = ticket
    self.finishedBefore = finishedBefore
    self.answer = answer
  }

  var keysToStore: [[UInt8]] { if case .store(let writes) = work { writes.map(\.key) } else { [] } }

  /// Why it has failed if its time is over now.
  var lateness: OriginError.Cause {
    if case .running = phase, case .store = work {
      return .outcomeUnknown("no answer within \(timeMilliseconds) ms")
    }
    return .timedOut(milliseconds: timeMilliseconds)
  }
}

/// Jobs that wait for a worker, in the order in which they came.
struct JobQueue {
  private var jobs: [OriginJob] = []
  /// What is before has been taken.
  private var head = 0

  var count: Int { jobs.count - head }
  var isEmpty: Bool { count == 0 }

  mutating func append(_ job: OriginJob) { jobs.append(job) }

  /// Takes the first whose keys nobody writes: writes of one key are made one after another.
  mutating func takeFirst(besides busyKeys: Set<[UInt8]>) -> OriginJob? {
    var passed: Set<[UInt8]> = []
    for index in head..<jobs.count {
      let keys = jobs[index].keysToStore
      if keys.contains(where: { busyKeys.contains($0) || passed.contains($0) }) {
        passed.formUnion(keys)
        continue
      }
      return take(at: index)
    }
    return nil
  }

  mutating func remove(where matches: (OriginJob) -> Bool) {
    jobs.removeSubrange(..<head)
    head = 0
    jobs.removeAll(where: matches)
  }

  private mutating func take(at index: Int) -> OriginJob {
    guard index == head else { return jobs.remove(at: index) }
    let job = jobs[head]
    head += 1
    if head == jobs.count || head > 256 && head > jobs.count / 2 {
      jobs.removeSubrange(..<head)
      head = 0
    }
    return job
  }
}
