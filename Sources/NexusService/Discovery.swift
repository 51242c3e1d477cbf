import NexusModel

/// The port through which a node learns where others are, before and beside gossip: what it finds are addresses to
/// try, not members. Whether somebody of this cluster answers there is for gossip to see.
///
/// `start` once, then `deregister` where the node leaves for good, then `stop` once.
public protocol Discovery: AnyObject, Sendable {
  /// Makes the member known to others, where this kind of discovery can, and begins to look for them. Returns at once:
  /// failures are logged and tried again for as long as it takes.
  ///
  /// - Parameter events: called on a thread of the adapter's, one call at a time, never after `stop` has returned.
  func start(_ member: Member, events: @escaping @Sendable (DiscoveryEvent) -> Void)
  /// The member leaves: others shall find it no more. Waits for that, but not longer than so many milliseconds; false
  /// if it could not be done.
  @discardableResult func deregister(timeoutMilliseconds: Int) -> Bool
  /// Ends everything that `start` began. What is registered stays, for a node that only restarts.
  func stop()
}

public enum DiscoveryEvent: Hashable, Sendable {
  /// Somebody may be reached there. Not said twice without `gone` between.
  case found(NetworkAddress)
  /// Nobody is expected there any more. Where a source cannot be asked, what it said last stands.
  case gone(NetworkAddress)
}
