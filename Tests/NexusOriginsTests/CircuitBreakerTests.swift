import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct CircuitBreakerTests {
  private var breaker = CircuitBreaker(
    CircuitBreaker.Policy(failures: 3, window: 5, open: Backoff(firstMilliseconds: 100, longestMilliseconds: 400)))

  /// Asks once; nil: it was refused.
  @discardableResult private mutating func ask(_ outcome: CircuitBreaker.Outcome, at now: Int) -> Bool {
    guard case .admitted(let ticket) = breaker.admit(now: now) else { return false }
    breaker.record(outcome, ticket, now: now, chance: 0)
    return true
  }

  @Test mutating func opensWhenTooManyOfTheLastRequestsFailed() {
    for outcome in [CircuitBreaker.Outcome.failure, .success, .failure, .success] { ask(outcome, at: 0) }
    #expect(breaker.isClosed)
    ask(.failure, at: 0)
    #expect(!breaker.isClosed)
    #expect(breaker.admit(now: 30) == .refused(retryAfterMilliseconds: 70))
  }

  @Test mutating func failuresLongAgoDoNotCount() {
    for _ in 0..<100 { for outcome in [CircuitBreaker.Outcome.failure, .success, .success] { ask(outcome, at: 0) } }
    #expect(breaker.isClosed)
  }

  @Test mutating func whatSaysNothingChangesNothing() {
    for _ in 0..<2 { ask(.failure, at: 0) }
    for _ in 0..<100 { ask(.inconclusive, at: 0) }
    ask(.failure, at: 0)
    #expect(!breaker.isClosed)
  }

  @Test mutating func halfOpenItLetsOneThroughAndASuccessCloses() {
    for _ in 0..<3 { ask(.failure, at: 0) }
    guard case .admitted(let probe) = breaker.admit(now: 100) else {
      Issue.record("nobody may find out whether it is well")
      return
    }
    #expect(breaker.isHalfOpen)
    for _ in 0..<3 { #expect(breaker.admit(now: 100) == .refused(retryAfterMilliseconds: 100)) }
    breaker.record(.success, probe, now: 110, chance: 0)
    #expect(breaker.isClosed)
    // It begins anew: two failures do not open it.
    for _ in 0..<2 { ask(.failure, at: 110) }
    #expect(breaker.isClosed)
  }

  @Test mutating func eachFailedProbeKeepsItOpenForLongerUpToALimit() {
    for _ in 0..<3 { ask(.failure, at: 0) }
    var now = 0
    for length in [100, 200, 400, 400, 400] {
      #expect(breaker.admit(now: now + length - 1) == .refused(retryAfterMilliseconds: 1))
      now += length
      #expect(ask(.failure, at: now))
    }
  }

  @Test mutating func aProbeThatSaysNothingLetsTheNextOneTry() {
    for _ in 0..<3 { ask(.failure, at: 0) }
    #expect(ask(.inconclusive, at: 100))
    #expect(ask(.success, at: 100))
    #expect(breaker.isClosed)
  }

  @Test mutating func whoWasAdmittedBeforeItOpenedDoesNotDecideLater() {
    guard case .admitted(let early) = breaker.admit(now: 0) else { return }
    for _ in 0..<3 { ask(.failure, at: 0) }
    breaker.record(.success, early, now: 1, chance: 0)
    #expect(!breaker.isClosed)
    guard case .admitted = breaker.admit(now: 100) else { return }
    breaker.record(.success, early, now: 100, chance: 0)
    #expect(breaker.isHalfOpen)
  }

  @Test func withoutALimitOnFailuresItNeverOpens() {
    var breaker = CircuitBreaker(
      CircuitBreaker.Policy(failures: 0, window: 64, open: Backoff(firstMilliseconds: 1, longestMilliseconds: 1)))
    for _ in 0..<1000 {
      guard case .admitted(let ticket) = breaker.admit(now: 0) else {
        Issue.record("it opened")
        return
      }
      breaker.record(.failure, ticket, now: 0, chance: 0)
    }
  }

  @Test func theWidestWindowHolds64() {
    var breaker = CircuitBreaker(
      CircuitBreaker.Policy(failures: 64, window: 64, open: Backoff(firstMilliseconds: 1, longestMilliseconds: 1)))
    for count in 1...64 {
      guard case .admitted(let ticket) = breaker.admit(now: 0) else { return }
      breaker.record(.failure, ticket, now: 0, chance: 0)
      #expect(breaker.isClosed == (count < 64))
    }
  }

  @Test func pausesDoubleUpToALimitAndAreCutByChance() {
    let backoff = Backoff(firstMilliseconds: 50, longestMilliseconds: 1000)
    #expect(
      (1...8).map { backoff.delayMilliseconds(after: $0, chance: 0) } == [50, 100, 200, 400, 800, 1000, 1000, 1000])
    var dice = Dice(seed: Dice.seed())
    for failures in [1, 2, 30, 64, .max] {
      let longest = backoff.delayMilliseconds(after: failures, chance: 0)
      for _ in 0..<200 {
        let delay = backoff.delayMilliseconds(after: failures, chance: dice.next())
        #expect((longest - longest / 2...longest).contains(delay))
      }
    }
    #expect(Backoff(firstMilliseconds: 0, longestMilliseconds: 0).delayMilliseconds(after: 9, chance: 77) == 0)
    #expect(Backoff(firstMilliseconds: .max, longestMilliseconds: 5).delayMilliseconds(after: 9, chance: 0) == 5)
  }
}
