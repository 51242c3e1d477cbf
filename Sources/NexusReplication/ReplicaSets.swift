import NexusModel

/// Who has a copy of which slot, who executes it, and which slots two members share, as one node sees it.
///
/// A value made anew whenever the placement or the set of live members changes (some 100 us), so that every question
/// afterwards is an array read or a bit set.
public struct ReplicaSets: Sendable {
  /// Where nobody executes a slot, or a place is not taken.
  public static let nobody = MemberNumber.max

  public enum Role: Sendable {
    /// The first live member of the slot's list.
    case owner
    case replica
    case none
  }

  public let me: MemberNumber
  /// Alive or suspected, this node among them; ascending.
  public let live: [MemberNumber]
  private let copies: Int
  private let places: [MemberNumber]
  private let owners: [MemberNumber]

  /// Index into `groups` of each slot's other members, dead ones too. As long as the places go: at most `Slot.count`.
  public private(set) var groupOfSlot: [UInt16] = []
  /// Distinct lists of members without this node, in the order of their places.
  public private(set) var groups: [[MemberNumber]] = []

  private var placed: [SlotSet]
  private var executed: [SlotSet]
  /// Slots of which more than half of the members are alive, and of which all are.
  public private(set) var majorityIsLive = SlotSet()
  public private(set) var everyoneIsLive = SlotSet()

  /// - Parameters:
  ///   - places: each slot's members in order, `copies` for every slot; slots without places may be left out at the
  /// end.
  ///   - owners: for each slot, who executes it by placement: its first live member or who stands in; `nobody`.
  public init(
    me: MemberNumber, copies: Int, places: [MemberNumber], owners: [MemberNumber], live: some Sequence<MemberNumber>
  ) {
    precondition(copies > 0 && places.count == owners.count * copies, "\(copies) places and an owner for every slot")
    self.me = me
    self.live = live.sorted()
    self.copies = copies
    self.places = places
    self.owners = owners
    let highest = max(me, self.live.last ?? 0, places.lazy.filter { $0 != Self.nobody }.max() ?? 0)
    placed = Array(repeating: SlotSet(), count: Int(highest) + 1)
    executed = placed
    for slot in owners.indices {
      let index = Slot(index: UInt16(slot))
      for place in 0..<copies where places[slot * copies + place] != Self.nobody {
        placed[Int(places[slot * copies + place])].insert(index)
      }
      if owners[slot] != Self.nobody { executed[Int(owners[slot])].insert(index) }
    }
    countTheLiving(highest)
    groupSlots()
  }

  private mutating func countTheLiving(_ highest: MemberNumber) {
    var isLive = [Bool](repeating: false, count: Int(highest) + 1)
    for member in live { isLive[Int(member)] = true }
    for slot in owners.indices {
      var taken = 0
      var living = 0
      for place in 0..<copies where places[slot * copies + place] != Self.nobody {
        taken += 1
        if isLive[Int(places[slot * copies + place])] { living += 1 }
      }
      if living * 2 > taken { majorityIsLive.insert(Slot(index: UInt16(slot))) }
      if living == taken { everyoneIsLive.insert(Slot(index: UInt16(slot))) }
    }
  }

  /// Neighbouring slots often have the same members: the dictionary is asked where they change.
  private mutating func groupSlots() {
    groupOfSlot.reserveCapacity(owners.count)
    var known: [[MemberNumber]: UInt16] = [:]
    for slot in owners.indices {
      let list = places[(slot * copies)..<((slot + 1) * copies)]
      if slot > 0, list.elementsEqual(places[((slot - 1) * copies)..<(slot * copies)]) {
        groupOfSlot.append(groupOfSlot[slot - 1])
        continue
      }
      let others = list.filter { $0 != me && $0 != Self.nobody }
      let group = known[others] ?? UInt16(groups.count)
      if known.updateValue(group, forKey: others) == nil { groups.append(others) }
      groupOfSlot.append(group)
    }
  }

  // MARK: Slots

  /// Of how many slots, from the first on, the places are known.
  public var slotCount: Int { owners.count }

  /// Every member of the slot but this node, in the order of the places; dead ones too: what they miss is noted.
  public func others(of slot: Slot) -> [MemberNumber] {
    Int(slot.index) < groupOfSlot.count ? groups[Int(groupOfSlot[Int(slot.index)])] : []
  }

  public func members(of slot: Slot) -> ArraySlice<MemberNumber> {
    let first = Int(slot.index) * copies
    return first < places.count ? places[first..<(first + copies)].prefix { $0 != Self.nobody } : []
  }

  public func owner(of slot: Slot) -> MemberNumber? {
    guard Int(slot.index) < owners.count, owners[Int(slot.index)] != Self.nobody else { return nil }
    return owners[Int(slot.index)]
  }

  public func role(in slot: Slot) -> Role {
    if owner(of: slot) == me { return .owner }
    return slots(of: me).contains(slot) ? .replica : .none
  }

  // MARK: Members

  public func isLive(_ member: MemberNumber) -> Bool { live.contains(member) }

  /// Of which this member has a copy, or ought to.
  public func slots(of member: MemberNumber) -> SlotSet {
    Int(member) < placed.count ? placed[Int(member)] : SlotSet()
  }

  public func slots(executedBy member: MemberNumber) -> SlotSet {
    Int(member) < executed.count ? executed[Int(member)] : SlotSet()
  }

  /// Of which this node and the other one both have a copy.
  public func shared(with member: MemberNumber) -> SlotSet { slots(of: me).intersection(slots(of: member)) }
}
