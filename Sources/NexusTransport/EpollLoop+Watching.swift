import NexusService

/// A watched descriptor's place in the loop. Places are not reused while the loop lives: a late event finds nil.
struct WatchedEntry {
  var target: (any WatchedDescriptor)?
  let descriptor: Int32
  /// When `ready` is to be called even without an event, in monotonic nanoseconds; `never` where it need not.
  var deadline = Self.never

  static let never = UInt64.max
}

/// Descriptors that doors drive themselves.
extension EpollLoop {
  /// Calls `ready` on this loop's thread when the descriptor is readable, and in time. On the loop's thread, or before
  /// the runtime has started.
  public func watch(_ target: any WatchedDescriptor) {
    watched.append(WatchedEntry(target: target, descriptor: target.descriptor))
    poller.add(target.descriptor, token: Token.watched(watched.count - 1), .read)
  }

  /// On the loop's thread, before the descriptor is closed.
  public func unwatch(_ target: any WatchedDescriptor) {
    for index in watched.indices where watched[index].target === target {
      poller.remove(watched[index].descriptor)
      watched[index].target = nil
    }
  }

  /// Asks every watched descriptor how long it can wait, before the loop sleeps.
  func watchedMilliseconds() -> Int {
    var least = Int.max
    for index in watched.indices {
      guard let timeout = watched[index].target?.nextTimeout() else {
        watched[index].deadline = WatchedEntry.never
        continue
      }
      let milliseconds = max(0, timeout)
      watched[index].deadline = milliseconds == 0 ? 0 : monotonicNanoseconds &+ UInt64(milliseconds) &* 1_000_000
      least = min(least, milliseconds)
    }
    return least
  }

  func runWatchedDue() {
    for index in watched.indices where watched[index].deadline != WatchedEntry.never {
      if watched[index].deadline <= monotonicNanoseconds { watched[index].target?.ready() }
    }
  }
}
