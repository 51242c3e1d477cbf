import NexusModel

/// The 16,384 slots' ordered lists of members: a pure function of members and settings, equal on every node.
///
/// Making one takes time in proportion to slots times members where copies are kept (see docs/placement.md).
public struct RingTable: Hashable, Sendable {
  /// Stands for no member in a raw index.
  public static let nobody: UInt16 = .max
  /// As many as raw indices can name.
  public static let membersLimit = Int(UInt16.max)
  /// Members on a list beyond those that hold the slot, where there are as many.
  public static let successors = 3

  public let settings: RingSettings
  /// By id. Raw indices point in here.
  public let members: [RingMember]
  /// The length of every list. Zero without members.
  public let depth: Int
  /// Members that hold each slot: `settings.copies`, or all where there are fewer.
  public let copies: Int
  /// The lists, slot-major: `places[slot * depth]` is the owner, then come `copies - 1` replicas, then successors.
  public let places: [UInt16]

  /// - Parameter members: in any order, ids distinct, at most `membersLimit`; may be empty.
  public init(members: [RingMember], settings: RingSettings) {
    let members = members.sorted { $0.id < $1.id }
    precondition(members.count <= Self.membersLimit, "a ring has at most \(Self.membersLimit) members")
    precondition(zip(members, members.dropFirst()).allSatisfy { $0.id != $1.id }, "two members of a ring have one id")
    self.settings = settings
    self.members = members
    copies = min(settings.copies, members.count)
    depth = min(settings.copies + Self.successors, members.count)
    places = members.isEmpty ? [] : SuccessorLists(members, settings, depth: depth).places
  }

  /// A raw index; `nobody` without members.
  public func owner(of slot: Slot) -> UInt16 {
    depth == 0 ? Self.nobody : places[Int(slot.index) * depth]
  }

  /// Owner, replicas, successors, as raw indices.
  public func list(of slot: Slot) -> ArraySlice<UInt16> {
    places[Int(slot.index) * depth..<(Int(slot.index) + 1) * depth]
  }

  /// Owner and replicas, as raw indices.
  public func holders(of slot: Slot) -> ArraySlice<UInt16> { list(of: slot).prefix(copies) }

  /// The raw index of a member; nil if it has no place.
  public func index(of id: MemberID) -> UInt16? {
    var low = 0, high = members.count
    while low < high {
      let middle = (low + high) / 2
      if members[middle].id < id { low = middle + 1 } else { high = middle }
    }
    return low < members.count && members[low].id == id ? UInt16(low) : nil
  }
}
