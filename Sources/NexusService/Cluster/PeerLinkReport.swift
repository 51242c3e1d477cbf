import NexusModel

/// One stream between this node and another member. There is one for each loop that has something to say, and one of
/// the control's.
public struct PeerLinkReport: Sendable {
  /// Who opened it: this node sends operations `to` the member, or executes those that come `from` it.
  public enum Direction: String, Sendable { case to, from }

  public var direction: Direction
  public var member: MemberID
  public var openedAt: UnixMilliseconds
  /// What this node has to send over it and could not yet.
  public var queuedBytes: Int

  public init(direction: Direction, member: MemberID, openedAt: UnixMilliseconds, queuedBytes: Int) {
    self.direction = direction
    self.member = member
    self.openedAt = openedAt
    self.queuedBytes = queuedBytes
  }
}
