import NexusModel
import NexusService
import Synchronization

/// A task that waits for a reply, which may stop waiting at any moment. Whoever comes first, the reply or the
/// cancellation, resumes it; the other finds it gone.
final class Waiter: Sendable {
  private enum State {
    case new
    case waiting(CheckedContinuation<ValueReply, Never>)
    /// Replied before it waited, or cancelled.
    case over(ValueReply)
    case resumed
  }

  private let state = Guarded(State.new)

  func wait(_ continuation: CheckedContinuation<ValueReply, Never>) {
    let early = state.withLock { state -> ValueReply? in
      guard case .over(let reply) = state else {
        state = .waiting(continuation)
        return nil
      }
      state = .resumed
      return reply
    }
    if let early { continuation.resume(returning: early) }
  }

  func end(_ reply: ValueReply) {
    let continuation = state.withLock { state -> CheckedContinuation<ValueReply, Never>? in
      switch state {
      case .new:
        state = .over(reply)
        return nil
      case .waiting(let continuation):
        state = .resumed
        return continuation
      case .over, .resumed: return nil
      }
    }
    continuation?.resume(returning: reply)
  }
}

/// A request on its way through a loop. Let go of without a reply, as a loop does that has ended, it says so: nobody
/// waits for ever.
final class Errand: Sendable {
  let request: ValueRequest
  private let waiter: Waiter?
  private let turnstile: Turnstile

  /// - Parameter waiter: nil where nobody waits.
  init(_ request: ValueRequest, _ waiter: Waiter?, _ turnstile: Turnstile) {
    self.request = request
    self.waiter = waiter
    self.turnstile = turnstile
    turnstile.enter()
  }

  deinit {
    waiter?.end(.failed(.stopped))
    turnstile.leave()
  }

  func finish(_ reply: ValueReply) { waiter?.end(reply) }
}

/// How many requests are under way, and whether more may come.
final class Turnstile: Sendable {
  private let count = Atomic<Int>(0)
  private let closed = Atomic<Bool>(false)

  @inline(__always) var isClosed: Bool { closed.load(ordering: .relaxed) }
  func close() { closed.store(true, ordering: .relaxed) }

  func enter() { count.add(1, ordering: .relaxed) }
  func leave() { count.subtract(1, ordering: .relaxed) }
  var isEmpty: Bool { count.load(ordering: .relaxed) == 0 }
}
