import NexusModel

/// Gives every slot to the first member of its preferences that has room (consistent hashing with bounded loads:
/// Mirrokni, Thorup and Zadimoghaddam, 2018). Slots choose in their order, so that the outcome depends on nothing but
/// the members.
struct BoundedLoad {
  let preferences: Preferences
  let rendezvous: Rendezvous
  let weights: [Int]
  let loadPercent: Int

  init(_ members: [RingMember], _ settings: RingSettings) {
    preferences = Preferences(Ring(members, settings), memberCount: members.count)
    rendezvous = Rendezvous(members)
    weights = members.map { Int($0.weight) }
    loadPercent = settings.loadPercent
  }

  /// The owner of each slot if the members `absent` were not there. At least one must be left.
  func owners(without absent: [Int] = []) -> [UInt16] {
    var room = roomBeside(absent)
    return (0..<Slot.count).map { slot in
      let member = choice(for: slot, room)
      room[member] -= 1
      return UInt16(member)
    }
  }

  /// Slots that each member may own: its share by weight times the bound, and at least the share rounded up, so that
  /// all slots find room.
  private func roomBeside(_ absent: [Int]) -> [Int] {
    var weights = weights
    for member in absent { weights[member] = 0 }
    let total = weights.reduce(0, +)
    return weights.map { weight in
      max((Slot.count * weight + total - 1) / total, Slot.count * weight * loadPercent / (total * 100))
    }
  }

  private func choice(for slot: Int, _ room: [Int]) -> Int {
    let base = slot * Preferences.width
    for place in base..<base + Preferences.width {
      let member = preferences.members[place]
      if member == RingTable.nobody { break }
      if room[Int(member)] > 0 { return Int(member) }
    }
    return rendezvous.first(for: slot) { room[$0] > 0 }!
  }
}
