import NexusModel
import NexusRing

/// What a node is a member with.
public struct ClusterConfiguration: Sendable {
  /// This node, as it presents itself.
  public var member: Member
  public var clusterName: String
  /// Empty: whoever knows the name may join.
  public var secret: String
  public var ring: RingSettings
  /// Where gossip listens: an IP address.
  public var bindHost: String
  /// Members to ask first.
  public var seeds: [NetworkAddress]
  /// There are, or will be, others to be found: until one answers this node serves nothing.
  public var expectsOthers: Bool
  /// Then it begins by itself if nobody has answered for this long; nil: it waits for as long as it takes.
  public var beginsAloneAfterMilliseconds: UInt64?

  public init(
    member: Member, clusterName: String, secret: String, ring: RingSettings, bindHost: String,
    seeds: [NetworkAddress] = [], expectsOthers: Bool = false, beginsAloneAfterMilliseconds: UInt64? = nil
  ) {
    self.member = member
    self.clusterName = clusterName
    self.secret = secret
    self.ring = ring
    self.bindHost = bindHost
    self.seeds = seeds
    self.expectsOthers = expectsOthers || !seeds.isEmpty
    self.beginsAloneAfterMilliseconds = beginsAloneAfterMilliseconds
  }

  /// In words: members whose words differ would place slots differently.
  var placementSettings: String {
    "ring-hash \(ring.hash.rawValue), virtual-nodes \(ring.virtualNodes), replicas \(ring.copies)"
  }
}
