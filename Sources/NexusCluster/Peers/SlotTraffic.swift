import NexusModel
import NexusService

/// What one loop has on its way, slot by slot: an operation never overtakes an earlier one of its slot, even while the
/// slot changes its owner.
///
/// Belongs to its loop's thread.
struct SlotTraffic {
  struct Lane: BitwiseCopyable {
    /// Sent and not answered.
    var underWay: UInt32 = 0
    /// Waiting on this node.
    var parked: UInt32 = 0
    /// Where those under way are.
    var member: MemberNumber = 0
    /// The pass over the parked in which one of this slot had to stay.
    var heldInPass: UInt16 = 0
  }

  /// Invariant: `Slot.count` lanes for the life of the value's one owner.
  private let lanes: UnsafeMutablePointer<Lane>

  init() {
    lanes = .allocate(capacity: Slot.count)
    lanes.initialize(repeating: Lane(), count: Slot.count)
  }

  func deallocate() { lanes.deallocate() }

  @inline(__always) subscript(slot: Slot) -> UnsafeMutablePointer<Lane> { lanes + Int(slot.index) }
}
