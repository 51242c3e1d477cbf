import NexusModel

/// What placement knows of a member.
public struct RingMember: Hashable, Sendable {
  public static let weightAllowed: ClosedRange<UInt16> = 1...10_000

  public let id: MemberID
  /// Its share of the slots beside the others'; what is outside 1...10,000 counts as the nearest within.
  public let weight: UInt16
  /// Copies of a slot are spread over zones. Empty: it shares its fate with no other member.
  public let zone: String

  public init(id: MemberID, weight: UInt16 = 100, zone: String = "") {
    self.id = id
    self.weight = min(max(weight, Self.weightAllowed.lowerBound), Self.weightAllowed.upperBound)
    self.zone = zone
  }

  init(_ member: Member) {
    self.init(id: member.id, weight: member.weight, zone: member.zone)
  }
}
