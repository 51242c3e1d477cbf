import NexusModel
import NexusService
import NexusStore
import NexusWire

/// What one loop writes in one turn into slots that the same other members have copies of: encoded once, for all of
/// them.
///
/// Lies in raw memory of its loop.
struct ReplicaSet: BitwiseCopyable {
  static let membersMost = 7

  /// A stretch of the entries, which may travel as a frame of its own.
  struct Cut: BitwiseCopyable {
    var bytes: Int
    var count: Int
  }

  var members: InlineArray<7, MemberNumber> = .init(repeating: 0)
  private(set) var memberCount = 0
  /// The entries of this turn as they stand within `Effects`, and their slots in the same order.
  private(set) var bytes = OutputBuffer(capacity: 0)
  private(set) var slots: UnsafeMutablePointer<UInt16>
  private(set) var count = 0
  private var capacity = 0
  /// Where frames may end, beside the end of all.
  private(set) var cuts: UnsafeMutablePointer<Cut>
  private(set) var cutCount = 0
  private var cutCapacity = 0
  private var lastCut = 0
  /// It has entries in this turn.
  var isDirty = false
  /// The last piece of work that wrote into it.
  var work: UInt64 = 0
  /// The numbers that this turn's entries have for each member; 0: they were not sent to it.
  var firsts: InlineArray<7, UInt64> = .init(repeating: 0)
  var lasts: InlineArray<7, UInt64> = .init(repeating: 0)
  /// This turn's waits for it, by level, as places among them and 1; 0: none.
  var waits: InlineArray<3, UInt32> = .init(repeating: 0)

  /// Behind so many bytes a frame may end.
  private static let cutBytes = 96 * 1024
  /// What stays of the buffer between turns.
  private static let keptBytes = 256 * 1024

  init(_ members: [MemberNumber]) {
    precondition(members.count <= Self.membersMost, "a slot has at most \(Self.membersMost) other members")
    slots = .allocate(capacity: 1)
    cuts = .allocate(capacity: 1)
    memberCount = members.count
    for (index, member) in members.enumerated() { self.members[index] = member }
  }

  func deallocate() {
    bytes.deallocate()
    slots.deallocate()
    cuts.deallocate()
  }

  /// The member's place in the set; nil if it is not in it.
  func place(of member: MemberNumber) -> Int? { (0..<memberCount).first { members[$0] == member } }

  @inline(__always) mutating func append(_ change: Change) {
    if count == capacity { grow() }
    slots[count] = change.key.slot
    count &+= 1
    Effects.append(
      WireEntry(change.version, key: change.key.bytes, namespace: UInt32(change.key.namespace)), to: &bytes)
    if bytes.count &- lastCut > Self.cutBytes { cut() }
  }

  @inline(never) private mutating func grow() {
    let larger = UnsafeMutablePointer<UInt16>.allocate(capacity: max(256, capacity * 2))
    larger.initialize(from: slots, count: count)
    slots.deallocate()
    slots = larger
    capacity = max(256, capacity * 2)
  }

  @inline(never) private mutating func cut() {
    if cutCount == cutCapacity {
      let larger = UnsafeMutablePointer<Cut>.allocate(capacity: max(16, cutCapacity * 2))
      larger.initialize(from: cuts, count: cutCount)
      cuts.deallocate()
      cuts = larger
      cutCapacity = max(16, cutCapacity * 2)
    }
    (cuts + cutCount).initialize(to: Cut(bytes: bytes.count, count: count))
    cutCount += 1
    lastCut = bytes.count
  }

  /// Where the stretch with this number begins and ends; nil behind the last.
  func stretch(_ index: Int) -> (from: Cut, to: Cut)? {
    let from = index == 0 ? Cut(bytes: 0, count: 0) : cuts[index - 1]
    if index < cutCount { return (from, cuts[index]) }
    let end = Cut(bytes: bytes.count, count: count)
    return index == cutCount && end.count > from.count ? (from, end) : nil
  }

  mutating func note(_ numbers: ClosedRange<UInt64>, for place: Int) {
    if firsts[place] == 0 { firsts[place] = numbers.lowerBound }
    lasts[place] = numbers.upperBound
  }

  mutating func forget(_ place: Int) { (firsts[place], lasts[place]) = (0, 0) }

  /// What was written has left.
  mutating func endTurn() {
    bytes.count = 0
    bytes.shrink(to: Self.keptBytes)
    (count, cutCount, lastCut) = (0, 0, 0)
    isDirty = false
    firsts = .init(repeating: 0)
    lasts = .init(repeating: 0)
    waits = .init(repeating: 0)
  }
}
