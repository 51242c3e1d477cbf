import NexusService

extension OriginFigures {
  mutating func count(_ outcome: OriginOutcome) {
    let errors = outcome.errors
    switch outcome {
    case .load:
      loads += 1
      loadFailures += errors.count
    case .store(let results):
      stores += results.count
      storeFailures += errors.count
    }
    for error in errors {
      switch error.cause {
      case .timedOut, .outcomeUnknown: timeouts += 1
      case .refusedByBreaker, .tooBusy, .stopping: refused += 1
      default: break
      }
    }
  }
}
