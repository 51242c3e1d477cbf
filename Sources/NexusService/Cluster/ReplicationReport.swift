import NexusModel

/// How far other members' copies of this node's slots are, and what was sent and taken since the start.
public struct ReplicationReport: Sendable {
  /// Another member that has copies of slots that this one has a place for, or should have.
  public struct Replica: Sendable {
    public var id: MemberID
    public var number: MemberNumber
    public var isLive: Bool
    /// Sent to it and not confirmed.
    public var lagEffects = 0
    public var lagBytes = 0
    /// Since the oldest of these was sent.
    public var lagMilliseconds: UInt64 = 0

    public init(id: MemberID, number: MemberNumber, isLive: Bool) {
      self.id = id
      self.number = number
      self.isLive = isLive
    }
  }

  /// Sorted by id.
  public var replicas: [Replica] = []
  /// Changes sent, once for each member that gets them.
  public var sent: UInt64 = 0
  /// Keys noted instead.
  public var hinted: UInt64 = 0
  /// By the members that they were sent to.
  public var refusedThere: UInt64 = 0
  /// Of other members' changes: taken, no news, refused, and of these for clocks that were too far ahead.
  public var applied: UInt64 = 0
  public var older: UInt64 = 0
  public var refusedHere: UInt64 = 0
  public var tooFarAhead: UInt64 = 0

  public init() {}
}
