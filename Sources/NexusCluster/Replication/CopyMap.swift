import NexusModel
import NexusService

/// Which other members have a place for each slot, as the placement says now: one set of members for many slots.
///
/// Made by the control loop, read by all. Its sets have the numbers that `CopySets` gave them for good.
final class CopyMap: @unchecked Sendable {
  /// The number of the set without members.
  static let nobody = 0

  /// Invariant: `Slot.count` elements each, constant from `init` on.
  let setOf: UnsafeMutablePointer<UInt16>
  /// Members that live and have a place for the slot; this one counts where it has none, for it may execute the slot.
  let live: UnsafeMutablePointer<UInt8>
  /// A bit for each slot that this node has a place for.
  private let mine: UnsafeMutablePointer<UInt64>
  /// By number. At most seven members each.
  let sets: [[MemberNumber]]
  let configuredCopies: Int
  /// This one included.
  let liveMembers: Int

  init(
    sets: [[MemberNumber]], setOf: [UInt16], live: [UInt8], mine: [UInt64], configuredCopies: Int, liveMembers: Int
  ) {
    func raw<Element>(_ elements: [Element]) -> UnsafeMutablePointer<Element> {
      let memory = UnsafeMutablePointer<Element>.allocate(capacity: elements.count)
      memory.initialize(from: elements, count: elements.count)
      return memory
    }
    precondition(setOf.count == Slot.count && live.count == Slot.count && mine.count == Slot.count / 64)
    self.sets = sets
    self.setOf = raw(setOf)
    self.live = raw(live)
    self.mine = raw(mine)
    self.configuredCopies = configuredCopies
    self.liveMembers = liveMembers
  }

  /// Before there is a placement.
  convenience init(configuredCopies: Int) {
    self.init(
      sets: [[]], setOf: Array(repeating: 0, count: Slot.count), live: Array(repeating: 1, count: Slot.count),
      mine: Array(repeating: 0, count: Slot.count / 64), configuredCopies: configuredCopies, liveMembers: 1)
  }

  deinit {
    setOf.deallocate()
    live.deallocate()
    mine.deallocate()
  }

  func isMine(_ slot: UInt16) -> Bool { mine[Int(slot >> 6)] >> UInt64(slot & 63) & 1 != 0 }
}

/// Gives sets of members their numbers: while the process lives, a number means no other set.
///
/// Belongs to the control loop's thread.
struct CopySets {
  private var numbers: [[MemberNumber]: UInt16] = [[]: 0]
  private var sets: [[MemberNumber]] = [[]]

  /// - Parameters:
  ///   - places: each slot's members in order, `copies` for each, as `ClusterPicture` has them.
  ///   - live: numbers of the members that live, this one's among them.
  mutating func map(
    _ places: [MemberNumber], copies: Int, myself: MemberNumber, live: Set<MemberNumber>, configuredCopies: Int
  ) -> CopyMap {
    var setOf = [UInt16](repeating: 0, count: Slot.count)
    var liveOf = [UInt8](repeating: 1, count: Slot.count)
    var mine = [UInt64](repeating: 0, count: Slot.count / 64)
    // Neighbouring slots mostly have the same members.
    var last: ArraySlice<MemberNumber> = []
    for slot in 0..<Slot.count where (slot + 1) * copies <= places.count {
      let members = places[(slot * copies)..<((slot + 1) * copies)]
      if slot > 0, members.elementsEqual(last) {
        setOf[slot] = setOf[slot - 1]
        liveOf[slot] = liveOf[slot - 1]
      } else {
        let others = Set(members).subtracting([myself, OwnershipView.nobody]).sorted()
        setOf[slot] = number(of: others)
        liveOf[slot] = UInt8(others.count { live.contains($0) } + 1)
      }
      if members.contains(myself) { mine[slot >> 6] |= 1 << UInt64(slot & 63) }
      last = members
    }
    return CopyMap(
      sets: sets, setOf: setOf, live: liveOf, mine: mine, configuredCopies: configuredCopies, liveMembers: live.count)
  }

  private mutating func number(of members: [MemberNumber]) -> UInt16 {
    if let number = numbers[members] { return number }
    precondition(sets.count < Int(UInt16.max), "more sets of members than there are numbers")
    let number = UInt16(sets.count)
    sets.append(members)
    numbers[members] = number
    return number
  }
}
