import NexusService

/// Whether the other side still lives: any byte from it says so, and it is asked when none has come for a while.
struct Keepalive {
  private enum State {
    case heard
    case silent(since: Int)
    case asked(at: Int)
  }

  enum Action { case nothing, ask, lost }

  private var state = State.heard

  mutating func onBytes() { state = .heard }

  /// Times are milliseconds of a clock that never goes back.
  mutating func step(nowMilliseconds now: Int, _ limits: MessageStreamLimits) -> Action {
    guard limits.keepaliveIntervalMilliseconds > 0 else { return .nothing }
    switch state {
    case .heard:
      state = .silent(since: now)
      return .nothing
    case .silent(let since):
      guard now - since >= limits.keepaliveIntervalMilliseconds else { return .nothing }
      state = .asked(at: now)
      return .ask
    case .asked(let at):
      return now - at >= limits.keepaliveTimeoutMilliseconds ? .lost : .nothing
    }
  }
}
