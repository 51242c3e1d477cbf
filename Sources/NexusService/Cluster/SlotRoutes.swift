import NexusModel
import Synchronization

/// Where a slot's operations run.
public struct SlotRoute: Hashable, Sendable, BitwiseCopyable {
  @usableFromInline let word: UInt16

  @inlinable @inline(__always) init(word: UInt16) { self.word = word }

  /// This node executes it.
  @inlinable public static var here: SlotRoute { SlotRoute(word: 0) }
  /// This node executes it, and has not received all of its keys yet: a key is settled (`IncomingSlots`) before it is
  /// read or changed.
  @inlinable public static var incoming: SlotRoute { SlotRoute(word: 1) }
  /// This node's by placement, and another may still execute it: operations wait for the handover.
  @inlinable public static var awaited: SlotRoute { SlotRoute(word: 2) }
  /// No live member has a place for it, or this node has not joined yet.
  @inlinable public static var nowhere: SlotRoute { SlotRoute(word: 3) }
  @inlinable public static func member(_ number: MemberNumber) -> SlotRoute { SlotRoute(word: number + 16) }

  /// The other member that executes it; nil where none does.
  @inlinable public var member: MemberNumber? { word >= 16 ? word - 16 : nil }
}

/// Every slot's route, as this node sees it now. One read an operation.
///
/// Invariants: a route is written by the ownership of this node only. Where it comes from or goes to `here` or
/// `incoming`, the writer holds the lock of the slot's stripe; so whoever executes an operation under that lock and
/// has read `here` there, executes it while this node owns the slot. A read without the lock is a guess.
public final class SlotRoutes: @unchecked Sendable {
  @usableFromInline let routes: UnsafeMutablePointer<Atomic<UInt16>>
  /// False for a node by itself: every slot is here, and nobody has to look.
  @usableFromInline let clustered = Atomic<Bool>(false)
  @usableFromInline let changeCount = Atomic<UInt64>(0)

  public init() {
    routes = .allocate(capacity: Slot.count)
    for index in 0..<Slot.count { (routes + index).initialize(to: Atomic(0)) }
  }

  deinit {
    routes.deinitialize(count: Slot.count)
    routes.deallocate()
  }

  @inlinable @inline(__always) public var isClustered: Bool { clustered.load(ordering: .relaxed) }

  /// Before any loop runs.
  public func becomeClustered() {
    for index in 0..<Slot.count { routes[index].store(SlotRoute.nowhere.word, ordering: .relaxed) }
    changeCount.wrappingAdd(1, ordering: .releasing)
    clustered.store(true, ordering: .releasing)
  }

  /// Rises with every change of a route. What was read between two equal counts, with the stripe's lock taken and
  /// given back in between, was read while no route changed.
  @inlinable @inline(__always) public var changes: UInt64 { changeCount.load(ordering: .acquiring) }

  @inlinable @inline(__always) public subscript(slot: Slot) -> SlotRoute {
    SlotRoute(word: routes[Int(slot.index)].load(ordering: .relaxed))
  }

  @inlinable @inline(__always) public subscript(slot index: UInt16) -> SlotRoute {
    SlotRoute(word: routes[Int(index)].load(ordering: .relaxed))
  }

  public func set(_ slot: Slot, _ route: SlotRoute) {
    routes[Int(slot.index)].store(route.word, ordering: .relaxed)
    changeCount.wrappingAdd(1, ordering: .releasing)
  }
}
