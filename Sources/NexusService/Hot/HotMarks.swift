import NexusModel
import Synchronization

/// Tells whether copies of hot keys here are still good: each bears the mark of its slot from before it was asked for,
/// and is good while that is the mark. One for all loops: what one loop hears of spoils the copies of all.
public final class HotMarks: @unchecked Sendable {
  public struct Mark: Hashable, Sendable, BitwiseCopyable {
    let slot: UInt32
    let all: UInt32
    let routes: UInt64
  }

  private let slots: UnsafeMutablePointer<Atomic<UInt32>>
  private let all = Atomic<UInt32>(0)
  private let routes: SlotRoutes

  init(_ routes: SlotRoutes) {
    self.routes = routes
    slots = .allocate(capacity: Slot.count)
    for index in 0..<Slot.count { (slots + index).initialize(to: Atomic(0)) }
  }

  deinit {
    slots.deinitialize(count: Slot.count)
    slots.deallocate()
  }

  /// A slot that goes to another member has another mark too.
  @inline(__always) public func mark(of slot: UInt16) -> Mark {
    Mark(
      slot: slots[Int(slot)].load(ordering: .acquiring), all: all.load(ordering: .acquiring), routes: routes.changes)
  }

  /// Some key of the slot was changed, or is about to be.
  @inline(__always) public func changed(_ slot: Slot) {
    slots[Int(slot.index)].wrappingAdd(1, ordering: .acquiringAndReleasing)
  }

  /// Nothing is known of what others do any more, or everything has changed.
  public func changedAll() { all.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}
