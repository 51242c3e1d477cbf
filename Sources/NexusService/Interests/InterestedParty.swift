import NexusModel

/// Who is told of a key's next change: a client of this node, or another member.
public struct InterestedParty: Hashable, Sendable, BitwiseCopyable {
  /// A member's number below the highest bit, or a client: 15 bits of its loop, 48 of its id.
  let word: UInt64

  private static let memberBit: UInt64 = 1 << 63
  private static let idBits: UInt64 = 48

  /// - Parameter id: below 2^48, as connections are counted.
  public static func client(_ id: UInt64, loop: Int) -> InterestedParty {
    InterestedParty(word: UInt64(loop) << idBits | id)
  }

  public static func member(_ number: MemberNumber) -> InterestedParty {
    InterestedParty(word: memberBit | UInt64(number))
  }

  public var isMember: Bool { word & Self.memberBit != 0 }
  /// Of a member.
  public var member: MemberNumber { MemberNumber(truncatingIfNeeded: word) }
  /// Of a client.
  public var loop: Int { Int(word >> Self.idBits) }
  public var client: UInt64 { word & (1 << Self.idBits - 1) }
}
