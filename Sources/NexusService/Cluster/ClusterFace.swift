import NexusModel

/// What doors may know of the cluster and ask of it. From any thread.
public protocol ClusterFace: AnyObject, Sendable {
  /// This node.
  var myself: MemberID { get }
  /// A consistent picture, made anew when something changes.
  var picture: ClusterPicture { get }
  /// The streams between this node and others, in no particular order.
  var links: [PeerLinkReport] { get }
  /// Nil where writes have no copies.
  var replication: ReplicationReport? { get }
  /// Asks for membership of the cluster that the member at this address belongs to. Any member accepts.
  func join(_ addresses: [String]) throws(ClusterRefusal)
  /// Whether whoever sends this message knows the cluster's secret: the proof is a keyed hash of it (HMAC-SHA256), in
  /// hexadecimal digits. Never where the cluster has no secret.
  func isProof(_ proof: UnsafeRawBufferPointer, of message: [UInt8]) -> Bool
  /// Hands every slot over, then leaves. Returns at once; `picture` shows how far it is.
  func leave()
}

extension ClusterFace {
  public var links: [PeerLinkReport] { [] }
  public var replication: ReplicationReport? { nil }
  public func isProof(_ proof: UnsafeRawBufferPointer, of message: [UInt8]) -> Bool { false }
}

/// Why the cluster does not do what it was asked, in one sentence.
public struct ClusterRefusal: Error, Sendable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}

/// The cluster at one moment, as this node sees it.
public struct ClusterPicture: Sendable {
  public struct Seen: Sendable {
    public var number: MemberNumber
    public var record: MemberRecord
    /// Slots that it executes, as far as this node knows.
    public var slotCount: Int

    public init(number: MemberNumber, record: MemberRecord, slotCount: Int) {
      self.number = number
      self.record = record
      self.slotCount = slotCount
    }
  }

  public var clusterName = ""
  public var version = PlacementVersion(digest: 0)
  /// Sorted by id; this node is one of them.
  public var members: [Seen] = []
  /// Each slot's members in order, the first live one executes it or will: numbers, `copies` for every slot.
  public var places: [MemberNumber] = []
  public var copies = 1
  /// Slots on their way to this node, and from it.
  public var incomingCount = 0
  public var outgoingCount = 0
  /// Datagrams that were not let in, by reason: all reasons, also those with none.
  public var datagramsDropped: [(String, UInt64)] = []
  /// Bytes of entries sent to new owners of their slots.
  public var rebalancedBytes: UInt64 = 0
  /// Entries that other members have sent for namespaces that this one has not.
  public var entriesKeptOut: UInt64 = 0
  /// Joined, and everything that is this node's has arrived.
  public var isReady = true

  public init() {}

  public func member(_ number: MemberNumber) -> Seen? { members.first { $0.number == number } }

  /// The slot's members in order; empty where there is no placement yet.
  public func places(of slot: Slot) -> ArraySlice<MemberNumber> {
    let first = Int(slot.index) * copies
    return first + copies <= places.count ? places[first..<(first + copies)] : []
  }
}
