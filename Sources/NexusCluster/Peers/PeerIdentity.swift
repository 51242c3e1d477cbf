import NexusModel
import NexusService

/// Who this node is to others, and what it knows that strangers do not.
struct PeerIdentity: Sendable {
  /// The versions of the peer protocol that this build understands.
  static let protocolVersions: ClosedRange<UInt32> = 1...1
  static let path = "/nexuscache.Peer/Exchange"

  var id: MemberID
  var clusterName: String
  var productVersion: String
  /// What all members must have alike, in words.
  var placementSettings: String
  var key: ClusterKey
  /// Milliseconds since 1970 when this process started: its streams have higher numbers than those of an earlier one.
  var startedAt: UInt64 = 0
}

/// The members that this node can reach, by its numbers for them. Made anew by the control loop when something changes.
final class PeerDirectory: Sendable {
  struct Entry: Sendable {
    var id: MemberID
    var address: NetworkAddress
    var isLive: Bool
  }

  /// By number; nil where a number means nobody (any more).
  let entries: [Entry?]
  let version: PlacementVersion

  init(entries: [Entry?], version: PlacementVersion) {
    self.entries = entries
    self.version = version
  }

  static let empty = PeerDirectory(entries: [], version: PlacementVersion(digest: 0))

  func entry(_ number: MemberNumber) -> Entry? { Int(number) < entries.count ? entries[Int(number)] : nil }

  func number(of id: MemberID) -> MemberNumber? {
    entries.firstIndex { $0?.id == id }.map { MemberNumber($0) }
  }
}
