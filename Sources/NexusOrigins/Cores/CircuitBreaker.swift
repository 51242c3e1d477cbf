/// Leaves an origin alone that fails: its callers are told at once instead of waiting, and it has time to recover.
///
/// Closed, it looks at the last requests and opens when too many of them failed. Open, it refuses all for a while; then
/// it is half-open and lets one request through, whose outcome closes it or opens it for longer. (The pattern is
/// M. Nygard's, "Release It!".)
struct CircuitBreaker: Sendable {
  struct Policy: Hashable, Sendable {
    /// Opens at so many failures among the last `window` requests. 0: never.
    var failures: Int
    /// 1...64.
    var window: Int
    /// How long it stays open, the first time and at most.
    var open: Backoff
  }

  enum Admission: Hashable, Sendable {
    /// The outcome is to be recorded with this ticket, exactly once.
    case admitted(Ticket)
    case refused(retryAfterMilliseconds: Int)
  }

  enum Outcome: Hashable, Sendable {
    case success, failure
    /// Says nothing about the origin's health.
    case inconclusive
  }

  /// What was admitted in an earlier state says nothing about the present one.
  struct Ticket: Hashable, Sendable { fileprivate var era: UInt64 }

  private enum State {
    /// The newest request is bit 0; a set bit failed.
    case closed(failed: UInt64)
    /// `openings`: in a row, without a success between.
    case open(until: Int, openings: Int)
    case halfOpen(openings: Int)
  }

  private let policy: Policy
  private var state = State.closed(failed: 0)
  private var era: UInt64 = 0

  init(_ policy: Policy) { self.policy = policy }

  var isClosed: Bool { if case .closed = state { true } else { false } }
  var isHalfOpen: Bool { if case .halfOpen = state { true } else { false } }

  /// - Parameter now: milliseconds of a clock that never goes back.
  mutating func admit(now: Int) -> Admission {
    switch state {
    case .closed: return .admitted(Ticket(era: era))
    case .open(let until, _) where now < until: return .refused(retryAfterMilliseconds: until - now)
    case .open(_, let openings):
      enter(.halfOpen(openings: openings))
      return .admitted(Ticket(era: era))
    case .halfOpen: return .refused(retryAfterMilliseconds: policy.open.firstMilliseconds)
    }
  }

  mutating func record(_ outcome: Outcome, _ ticket: Ticket, now: Int, chance: UInt64) {
    guard ticket.era == era else { return }
    switch (state, outcome) {
    case (.closed(let failed), .success): state = .closed(failed: failed << 1)
    case (.closed(let failed), .failure):
      let failed = failed << 1 | 1
      let recent = policy.window >= 64 ? failed : failed & (1 << UInt64(policy.window) - 1)
      if policy.failures > 0 && recent.nonzeroBitCount >= policy.failures {
        open(openings: 1, now, chance)
      } else {
        state = .closed(failed: failed)
      }
    case (.halfOpen, .success): enter(.closed(failed: 0))
    case (.halfOpen(let openings), .failure): open(openings: openings + 1, now, chance)
    // It was not found out: the next one may.
    case (.halfOpen(let openings), .inconclusive): enter(.open(until: now, openings: openings))
    case (.closed, .inconclusive), (.open, _): break
    }
  }

  private mutating func open(openings: Int, _ now: Int, _ chance: UInt64) {
    enter(.open(until: now + policy.open.delayMilliseconds(after: openings, chance: chance), openings: openings))
  }

  private mutating func enter(_ next: State) {
    state = next
    era += 1
  }
}
