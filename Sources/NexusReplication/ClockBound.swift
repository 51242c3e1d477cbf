import NexusModel

/// How far ahead of this node's time another member's stamps may be. One that is further ahead is refused: following
/// it would put every later write of this node into the future, and the next member's after it.
public struct ClockBound: Sendable, Equatable {
  public var aheadMilliseconds: Int64

  public init(aheadMilliseconds: Int64) { self.aheadMilliseconds = aheadMilliseconds }

  public func accepts(_ stamp: Stamp, now: UnixMilliseconds) -> Bool {
    stamp.milliseconds <= now + aheadMilliseconds
  }
}
