import NexusModel
import NexusStore

/// The slots that this node executes and has not received whole: which of their keys are settled.
///
/// A key is settled when it is known what it is: its last holder was asked for it, or has sent it. From then on only
/// this node's store says what it is, and a copy that arrives later is dropped. Before that, what this node's store has
/// of it may be older than what a holder has: nothing is read or changed. Without this, a late copy would undo a write
/// or a delete.
///
/// The set of a slot that was given away before it was whole stays with what is left of the slot, for whoever asks.
///
/// Invariant: a slot's set is touched under the lock of the slot's stripe only.
public final class IncomingSlots: @unchecked Sendable {
  private struct Name: Hashable {
    let namespace: NamespaceNumber
    let key: [UInt8]
  }

  private let sets: UnsafeMutablePointer<Set<Name>?>

  public init() {
    sets = .allocate(capacity: Slot.count)
    sets.initialize(repeating: nil, count: Slot.count)
  }

  deinit {
    sets.deinitialize(count: Slot.count)
    sets.deallocate()
  }

  /// A new set: nothing is settled.
  public func begin(_ slot: Slot) { sets[Int(slot.index)] = [] }
  /// All of the slot has arrived, or is forgotten.
  public func end(_ slot: Slot) { sets[Int(slot.index)] = nil }
  /// False for a slot that is whole.
  public func isOpen(_ slot: Slot) -> Bool { sets[Int(slot.index)] != nil }

  /// True too for a slot that is whole.
  public func isSettled(_ key: Key) -> Bool {
    guard let set = sets[Int(key.slot)] else { return true }
    return set.contains(Name(namespace: key.namespace, key: Array(key.bytes)))
  }

  public func settle(_ key: Key) {
    guard sets[Int(key.slot)] != nil else { return }
    sets[Int(key.slot)]?.insert(Name(namespace: key.namespace, key: Array(key.bytes)))
  }

  /// The settled keys of a slot that is not whole.
  public func settled(_ slot: Slot) -> [(namespace: NamespaceNumber, key: [UInt8])] {
    sets[Int(slot.index)]?.map { ($0.namespace, $0.key) } ?? []
  }
}
