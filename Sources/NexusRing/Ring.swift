import NexusModel

/// The circle of 2^64 positions with the virtual nodes on it, in ascending order.
struct Ring {
  /// A point's upper 48 bits are its position; the lower 16 are its member, which thus decides between equals.
  let points: [UInt64]

  /// Points in all, at most, but for one a member: past it every member has half as many, or a quarter, ...
  static let pointsLimit = 1 << 20

  /// - Parameter members: sorted by id; not empty.
  init(_ members: [RingMember], _ settings: RingSettings) {
    let counts = Self.pointCounts(members, settings.virtualNodes)
    var points: [UInt64] = []
    points.reserveCapacity(counts.reduce(0, +))
    for (index, member) in members.enumerated() {
      var name = Array(member.id.text.utf8) + [0, 0, 0, 0, 0]
      for point in 0..<counts[index] {
        for byte in 0..<4 { name[name.count - 4 + byte] = UInt8(truncatingIfNeeded: point >> (8 * byte)) }
        let position = name.withUnsafeBytes { settings.hash.digest($0) }
        points.append(position & ~0xFFFF | UInt64(index))
      }
    }
    points.sort()
    self.points = points
  }

  /// Points of each member: in proportion to its weight, `virtualNodes` for the reference weight. That is 100 while
  /// the mean weight is between 50 and 200; it goes by factors of four and not with the mean, so that a member which
  /// joins with a weight of its own does not change how many points the others have.
  static func pointCounts(_ members: [RingMember], _ virtualNodes: Int) -> [Int] {
    let total = members.reduce(0) { $0 + Int($1.weight) }
    var usual = virtualNodes
    while usual > 1 && usual * members.count > pointsLimit { usual /= 2 }
    // In sixteenths, so that it divides evenly.
    var reference = 1600
    while 16 * total > 2 * reference * members.count { reference *= 4 }
    while 2 * 16 * total < reference * members.count { reference /= 4 }
    return members.map { max(1, (usual * 16 * Int($0.weight) + reference / 2) / reference) }
  }
}

/// For each slot, the first few members that its hands meet on the ring, the nearest first.
///
/// The slots lie on the ring in their order, at equal distances, so that neighbours mostly have the same owner and
/// lists of slots stay short. A slot looks in three places: where it lies, and where the slots lie that follow it at
/// the distances `hands`; of the points ahead the nearest counts (multi-probe consistent hashing, Appleton and
/// O'Reilly, 2015). One hand alone spreads the slots far less evenly, and what overflows is what moves.
struct Preferences {
  static let width = 8
  /// Slots from where a slot lies to where its hands start: thirds of the ring, pushed off so that no two slots have
  /// the same three.
  static let hands = [0, 5_323, 11_071]
  /// Points that a hand passes. Who is not met within has so few points that rendezvous finds it as well.
  static let stepsLimit = 64

  /// Slot-major, `width` a slot, filled up with `RingTable.nobody`.
  let members: [UInt16]

  init(_ ring: Ring, memberCount: Int) {
    let starts = Self.starts(ring.points)
    let wanted = min(Self.width, memberCount)
    var members = [UInt16](repeating: RingTable.nobody, count: Slot.count * Self.width)
    // Buffers instead of arrays: the loops below run some 400,000 times for a table.
    ring.points.withUnsafeBufferPointer { points in
      members.withUnsafeMutableBufferPointer { members in
        for slot in 0..<Slot.count {
          func hand(_ number: Int) -> Hand {
            let origin = (slot + Self.hands[number]) % Slot.count
            return Hand(origin: Self.position(origin), next: starts[origin], points)
          }
          let list = UnsafeMutableBufferPointer(rebasing: members[slot * Self.width..<slot * Self.width + wanted])
          Self.fill(list, hand(0), hand(1), hand(2))
        }
      }
    }
    self.members = members
  }

  private static func fill(_ list: UnsafeMutableBufferPointer<UInt16>, _ one: Hand, _ two: Hand, _ three: Hand) {
    var one = one, two = two, three = three
    var found = 0, steps = 0
    while found < list.count && steps < stepsLimit {
      let member =
        if one.distance <= two.distance && one.distance <= three.distance {
          one.take()
        } else if two.distance <= three.distance {
          two.take()
        } else {
          three.take()
        }
      var place = 0
      while place < found && list[place] != member { place += 1 }
      if place == found {
        list[found] = member
        found += 1
      }
      steps += 1
    }
  }

  private static func position(_ slot: Int) -> UInt64 { UInt64(slot) << 50 }

  /// For each slot, the first point at or past its position; past the last comes the first.
  private static func starts(_ points: [UInt64]) -> [Int] {
    var next = 0
    return (0..<Slot.count).map { slot in
      while next < points.count && points[next] < position(slot) { next += 1 }
      return next == points.count ? 0 : next
    }
  }

  private struct Hand {
    private let points: UnsafeBufferPointer<UInt64>
    private let origin: UInt64
    private var next: Int
    private(set) var distance: UInt64

    init(origin: UInt64, next: Int, _ points: UnsafeBufferPointer<UInt64>) {
      self.points = points
      self.origin = origin
      self.next = next
      distance = (points[next] & ~0xFFFF) &- origin
    }

    /// The member whose point comes next; the hand moves on past it.
    mutating func take() -> UInt16 {
      let member = UInt16(truncatingIfNeeded: points[next])
      next = next + 1 == points.count ? 0 : next + 1
      distance = (points[next] & ~0xFFFF) &- origin
      return member
    }
  }
}
