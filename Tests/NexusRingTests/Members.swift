import NexusModel
import NexusRing

/// Members named alike, as operators name them.
func members(_ count: Int, named name: String = "node", zones: Int = 0, weight: (Int) -> UInt16 = { _ in 100 })
  -> [RingMember]
{
  (0..<count).map { number in
    RingMember(
      id: MemberID("\(name)-\(number)")!, weight: weight(number), zone: zones == 0 ? "" : "zone-\(number % zones)")
  }
}

func records(_ members: [RingMember], _ status: MemberStatus = .alive) -> [MemberRecord] {
  members.map { member in
    let facts = Member(id: member.id, host: "127.0.0.1", peerPort: 7946, zone: member.zone, weight: member.weight)
    return MemberRecord(member: facts, incarnation: 1, status: status)
  }
}

func settings(
  _ hash: RingHash = .xxh3, virtualNodes: Int = 150, copies: Int = 1, loadPercent: Int = 105
) -> RingSettings {
  try! RingSettings(hash: hash, virtualNodes: virtualNodes, copies: copies, loadPercent: loadPercent)
}

let slots = (0..<UInt16(Slot.count)).map { Slot(index: $0) }

extension RingTable {
  /// Slots owned, by raw index.
  var owned: [Int] {
    var counts = [Int](repeating: 0, count: members.count)
    for slot in slots { counts[Int(owner(of: slot))] += 1 }
    return counts
  }

  func ownerID(_ slot: Slot) -> MemberID { members[Int(owner(of: slot))].id }

  func holderIDs(_ slot: Slot) -> [MemberID] { holders(of: slot).map { members[Int($0)].id } }
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Chance: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
    bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
    return bits ^ bits >> 31
  }
}
