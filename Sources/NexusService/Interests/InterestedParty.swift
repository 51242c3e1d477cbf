import NexusModel

/// Who is told of a key's next change: a client of this node, a stream of another member, or that member whole.
public struct InterestedParty: Hashable, Sendable, BitwiseCopyable {
  /// A member's number below the highest bit; or a client or (the second bit) a stream: 14 bits of its loop, 48 of its
  /// id.
  let word: UInt64

  private static let memberBit: UInt64 = 1 << 63
  private static let streamBit: UInt64 = 1 << 62
  private static let idBits: UInt64 = 48

  /// - Parameter id: below 2^48, as connections are counted.
  public static func client(_ id: UInt64, loop: Int) -> InterestedParty {
    InterestedParty(word: UInt64(loop) << idBits | id)
  }

  /// Another member's stream to this loop, over which it is told. `id` as that of a client: each stream has its own.
  public static func stream(_ id: UInt64, loop: Int) -> InterestedParty {
    InterestedParty(word: streamBit | UInt64(loop) << idBits | id)
  }

  public static func member(_ number: MemberNumber) -> InterestedParty {
    InterestedParty(word: memberBit | UInt64(number))
  }

  public var isMember: Bool { word & Self.memberBit != 0 }
  /// Of a member.
  public var member: MemberNumber { MemberNumber(truncatingIfNeeded: word) }
  public var isStream: Bool { word & (Self.memberBit | Self.streamBit) == Self.streamBit }
  /// Of a client or stream.
  public var loop: Int { Int((word & ~Self.streamBit) >> Self.idBits) }
  public var client: UInt64 { word & (1 << Self.idBits - 1) }
  public var stream: UInt64 { client }
}
