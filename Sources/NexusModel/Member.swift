/// A member's name: unique in its cluster, chosen by its operator (`--node-id`) or drawn at random.
public struct MemberID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public static let longest = 64

  /// 1 to 64 of `A-Z a-z 0-9 . _ -`.
  public let text: String

  /// Nil if the text is empty, too long, or has other characters.
  public init?(_ text: String) {
    guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy(Self.isAllowed) else { return nil }
    self.text = text
  }

  private static func isAllowed(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
    case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
    default: false
    }
  }

  public var description: String { text }

  /// By bytes, so that every machine sorts alike.
  public static func < (left: MemberID, right: MemberID) -> Bool {
    left.text.utf8.lexicographicallyPrecedes(right.text.utf8)
  }
}

/// A member's number on this node, in the order of first meeting. While the process lives it means no other member.
/// Another node has other numbers: they are in no message.
public typealias MemberNumber = UInt16

/// What a member says of itself. Only the member itself changes it, by a new incarnation.
public struct Member: Hashable, Sendable {
  public var id: MemberID
  /// Where the others reach it: an IP address without brackets.
  public var host: String
  /// Gossip (UDP) and peer streams (TCP).
  public var peerPort: UInt16
  /// 0: that door is closed.
  public var redisPort: UInt16
  /// The Redis port that answers MOVED, for cluster clients; 0: none.
  public var clusterPort: UInt16
  public var httpPort: UInt16
  /// Copies of a slot are spread over zones. Empty: none named.
  public var zone: String
  /// Its share of the slots beside the others': 100 is usual, 1...10,000.
  public var weight: UInt16
  /// It hands its slots over and will then leave: no slot is placed on it any more.
  public var isLeaving: Bool
  /// It looks for the cluster that it is to belong to: no slot is placed on it yet.
  public var isJoining: Bool
  /// The product's version, for people.
  public var version: String
  /// Milliseconds since 1970 when its process started: tells a restarted member from its former self.
  public var startedAt: UInt64

  public init(
    id: MemberID, host: String, peerPort: UInt16, redisPort: UInt16 = 0, clusterPort: UInt16 = 0,
    httpPort: UInt16 = 0, zone: String = "", weight: UInt16 = 100, isLeaving: Bool = false,
    isJoining: Bool = false, version: String = "",
    startedAt: UInt64 = 0
  ) {
    self.id = id
    self.host = host
    self.peerPort = peerPort
    self.redisPort = redisPort
    self.clusterPort = clusterPort
    self.httpPort = httpPort
    self.zone = zone
    self.weight = weight
    self.isLeaving = isLeaving
    self.isJoining = isJoining
    self.version = version
    self.startedAt = startedAt
  }
}

/// What a member is taken for. At one incarnation the later case wins (SWIM, section 4.2).
public enum MemberStatus: UInt8, Comparable, Sendable, CaseIterable {
  case alive
  /// It does not answer: dead soon, unless it refutes by a higher incarnation.
  case suspect
  /// Failed. It keeps its places, which its replicas fill, until it returns or is forgotten.
  case dead
  /// Gone for good: it left, or was dead for so long that its places are given to others.
  case left

  public static func < (left: MemberStatus, right: MemberStatus) -> Bool { left.rawValue < right.rawValue }

  /// It is asked and answers.
  public var isLive: Bool { self < .dead }
}

/// One line of the membership: views merge line by line, the higher (incarnation, status) wins.
public struct MemberRecord: Hashable, Sendable {
  public var member: Member
  public var incarnation: UInt64
  public var status: MemberStatus

  public init(member: Member, incarnation: UInt64, status: MemberStatus) {
    self.member = member
    self.incarnation = incarnation
    self.status = status
  }
}

/// The digest of all that placement depends on: nodes whose digests agree have the same table.
public struct PlacementVersion: Hashable, Sendable, BitwiseCopyable {
  public let digest: UInt64

  /// 16 hexadecimal digits.
  public var text: String {
    let digits = String(digest, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
  }

  public init(digest: UInt64) { self.digest = digest }
}
