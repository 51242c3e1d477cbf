import NexusService

/// A watched descriptor's place in the loop. Places are not reused while the loop lives: a late event finds nil.
struct WatchedEntry {
  var target: (any WatchedDescriptor)?
  let descriptor: Int32
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
}
