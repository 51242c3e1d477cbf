import NexusModel
import NexusService
import NexusWire

/// What the peer streams of all loops tell the cluster's control. From any loop's thread; returns at once.
protocol PeerControl: AnyObject, Sendable {
  /// A connection to a member failed or ended: worth asking it by gossip now.
  func lostConnection(to member: MemberNumber)
  /// A member speaks of another placement than ours.
  func sawOtherPlacement(of member: MemberID, _ version: PlacementVersion)
  /// A message for the control itself: membership, claims, entries and the like.
  /// `answer` leads back over the same stream.
  func received(_ kind: FrameKind, _ bytes: [UInt8], from member: MemberID, _ answer: PeerAnswer?)
  /// These keys of a slot on its way here are needed now. Calls back from any thread when they are settled, or cannot
  /// be.
  func settle(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable () -> Void)
  /// Compares these keys of a slot that is executed here with more than half of its copies. Calls back from any thread
  /// when the newest of each is here, or says why it cannot be known.
  func askQuorum(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable (String?) -> Void)
  /// Two greetings that do not fit: another cluster, another secret, another protocol.
  func refused(_ address: String, _ reason: String)
}

struct SettledKey: Hashable, Sendable {
  var namespace: NamespaceNumber
  var key: [UInt8]
}

/// The way back to a member that has said something, from any thread.
protocol PeerAnswer: AnyObject, Sendable {
  func answer(_ membership: Membership)
}
