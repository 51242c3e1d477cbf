import NexusModel
import NexusRing
import NexusService

/// The numbers that this node has given to members, and what follows from the membership in terms of them.
///
/// Belongs to the control loop's thread.
struct Roster {
  private var ids: [MemberID] = []
  private var numbers: [MemberID: MemberNumber] = [:]

  /// Its own first: number 0.
  mutating func number(of id: MemberID) -> MemberNumber {
    if let number = numbers[id] { return number }
    let number = MemberNumber(ids.count)
    ids.append(id)
    numbers[id] = number
    return number
  }

  func knownNumber(of id: MemberID) -> MemberNumber? { numbers[id] }

  func id(of number: MemberNumber) -> MemberID? { Int(number) < ids.count ? ids[Int(number)] : nil }

  func directory(_ records: [MemberRecord], _ placement: Placement, isMember: Bool) -> PeerDirectory {
    var entries = [PeerDirectory.Entry?](repeating: nil, count: ids.count)
    for record in records where record.status != .left {
      guard let number = numbers[record.member.id] else { continue }
      entries[Int(number)] = PeerDirectory.Entry(
        id: record.member.id, address: NetworkAddress(host: record.member.host, port: record.member.peerPort),
        isLive: record.status.isLive)
    }
    return PeerDirectory(
      entries: entries, version: isMember ? placement.version : PlacementVersion(digest: 0))
  }

  func view(_ records: [MemberRecord], _ placement: Placement) -> OwnershipView {
    // Who is still joining executes nothing and is asked nothing.
    let live = records.filter { $0.status.isLive && !$0.member.isJoining }.map(\.member.id).sorted()
    let byIndex = placement.members.map { numbers[$0] ?? OwnershipView.nobody }
    return OwnershipView(
      version: placement.version, live: live.map { OwnershipView.Seat(number: numbers[$0]!, id: $0) },
      owners: placement.executing.map { $0 == RingTable.nobody ? OwnershipView.nobody : byIndex[Int($0)] })
  }

  func places(_ placement: Placement) -> (places: [MemberNumber], copies: Int) {
    let copies = placement.table.copies
    guard copies > 0 else { return ([], 1) }
    let byIndex = placement.members.map { numbers[$0] ?? OwnershipView.nobody }
    var places: [MemberNumber] = []
    places.reserveCapacity(Slot.count * copies)
    for slot in 0..<Slot.count {
      for index in placement.table.holders(of: Slot(index: UInt16(slot))) { places.append(byIndex[Int(index)]) }
    }
    return (places, copies)
  }

  func seen(_ records: [MemberRecord], _ routes: SlotRoutes) -> [ClusterPicture.Seen] {
    var counts = [Int](repeating: 0, count: ids.count)
    for slot in 0..<Slot.count {
      switch routes[slot: UInt16(slot)] {
      case .here, .incoming: counts[0] += 1
      case let route: if let member = route.member, Int(member) < counts.count { counts[Int(member)] += 1 }
      }
    }
    return records.compactMap { record in
      numbers[record.member.id].map {
        ClusterPicture.Seen(number: $0, record: record, slotCount: counts[Int($0)])
      }
    }.sorted { $0.record.member.id < $1.record.member.id }
  }
}
