import NexusModel

/// Makes each slot's ordered list of members.
///
/// - First its owner.
/// - Then who would own it if the owner's zone were not there (without zones: if the owner were not there). So the
///   replicas are as balanced as the owners. And where no zones are named, a member that goes leaves its slots to the
///   very members that hold them, and one that joins has the former owner of each of its slots as first replica.
/// - Then further replicas, in zones not yet on the list while there are any, under a looser bound.
/// - Then further successors, which hold nothing but know that it is their turn.
struct SuccessorLists {
  /// The most that a member holds at one place of the lists, in percent of its share.
  static let replicaLoadPercent = 125

  private let members: [RingMember]
  private let load: BoundedLoad
  private let depth: Int
  private let copies: Int
  /// Members with the same number share their fate.
  private let zones: [Int]
  private let zoneCount: Int
  private(set) var places: [UInt16]

  /// - Parameter members: sorted by id; not empty.
  init(_ members: [RingMember], _ settings: RingSettings, depth: Int) {
    self.members = members
    self.depth = depth
    copies = min(settings.copies, members.count)
    load = BoundedLoad(members, settings)
    (zones, zoneCount) = Self.number(members)
    places = [UInt16](repeating: RingTable.nobody, count: Slot.count * depth)
    let owners = load.owners()
    fill(0, owners)
    guard depth > 1 else { return }
    // The lists of a cluster that keeps no copies are asked only when data is lost already: any order will do.
    let heirs = copies > 1 ? inheritors(owners, groups: members.indices.map { [$0] }, of: Array(members.indices)) : []
    if copies > 1 { fill(1, zoneCount > 1 && zoneCount < members.count ? otherZones(owners) : heirs) }
    for place in min(copies, 2)..<depth { extend(to: place, heirs) }
  }

  private mutating func fill(_ place: Int, _ chosen: [UInt16]) {
    for slot in 0..<Slot.count { places[slot * depth + place] = chosen[slot] }
  }

  /// Zones by number, in the order of their first members. Who names none has one of its own.
  private static func number(_ members: [RingMember]) -> (zones: [Int], count: Int) {
    var numbers: [String: Int] = [:]
    var count = 0
    let zones = members.map { member in
      if !member.zone.isEmpty, let known = numbers[member.zone] { return known }
      numbers[member.zone] = count
      count += 1
      return count - 1
    }
    return (zones, count)
  }

  private func otherZones(_ owners: [UInt16]) -> [UInt16] {
    var groups = [[Int]](repeating: [], count: zoneCount)
    for member in members.indices { groups[zones[member]].append(member) }
    return inheritors(owners, groups: groups, of: zones)
  }

  /// For each slot its owner if the group of its present owner were not there.
  private func inheritors(_ owners: [UInt16], groups: [[Int]], of group: [Int]) -> [UInt16] {
    var slots = [[Int]](repeating: [], count: groups.count)
    for slot in 0..<Slot.count { slots[group[Int(owners[slot])]].append(slot) }
    var chosen = owners
    for (number, absent) in groups.enumerated() where !slots[number].isEmpty {
      let without = load.owners(without: absent)
      for slot in slots[number] { chosen[slot] = without[slot] }
    }
    return chosen
  }

  /// Appends one member to every list.
  private mutating func extend(to place: Int, _ heirs: [UInt16]) {
    let isReplica = place < copies
    let total = load.weights.reduce(0, +)
    var room = load.weights.map { weight in
      isReplica ? Slot.count * weight * Self.replicaLoadPercent / (total * 100) + 1 : Slot.count
    }
    for slot in 0..<Slot.count {
      let start = slot * depth
      let chosen = places.withUnsafeBufferPointer { places in
        let list = UnsafeBufferPointer(rebasing: places[start..<start + place])
        return next(for: slot, list, room, heir: heirs.isEmpty ? nil : heirs[slot], wantsNewZone: isReplica)
      }
      places[start + place] = chosen
      room[Int(chosen)] -= 1
    }
  }

  private func next(
    for slot: Int, _ list: UnsafeBufferPointer<UInt16>, _ room: [Int], heir: UInt16?, wantsNewZone: Bool
  ) -> UInt16 {
    let newZone = wantsNewZone && hasNewZone(list)
    func fits(_ member: UInt16) -> Bool {
      for listed in list where listed == member || newZone && zones[Int(listed)] == zones[Int(member)] {
        return false
      }
      return true
    }
    if let heir, fits(heir) { return heir }
    let base = slot * Preferences.width
    for place in base..<base + Preferences.width {
      let member = load.preferences.members[place]
      if member == RingTable.nobody { break }
      if room[Int(member)] > 0 && fits(member) { return member }
    }
    let best =
      load.rendezvous.first(for: slot) { room[$0] > 0 && fits(UInt16($0)) }
      ?? load.rendezvous.first(for: slot) { fits(UInt16($0)) }
    return UInt16(best!)
  }

  /// Whether there is a zone that no member of the list is in.
  private func hasNewZone(_ list: UnsafeBufferPointer<UInt16>) -> Bool {
    var seen = 0
    for place in list.indices {
      var earlier = 0
      while earlier < place && zones[Int(list[earlier])] != zones[Int(list[place])] { earlier += 1 }
      if earlier == place { seen += 1 }
    }
    return seen < zoneCount
  }
}
