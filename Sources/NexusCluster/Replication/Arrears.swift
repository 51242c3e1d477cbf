import NexusModel
import NexusService

/// What loops have not brought to other members, so that something else has to. From any loop's thread; returns at
/// once.
///
/// A loop asks in between whether it has been done (`LoopReplicator.settle`), by the number that each call carries:
/// numbers of one loop and member rise, and what was told with a number is settled with it and with every later one.
protocol Arrears: AnyObject, Sendable {
  /// Effects on these slots were sent to the member and not confirmed before the connection was lost, or were refused:
  /// it may lack them.
  func mark(_ slots: SlotSet, for member: MemberNumber, loop: Int, number: UInt64)
  /// These keys were changed, and the member was not sent how.
  func hint(_ keys: HintedKeys, for member: MemberNumber, loop: Int, number: UInt64)
  /// Effects of this member brought news of slots that this node executes, or that the member does not: whoever shares
  /// them may lack it.
  func merged(_ slots: SlotSet, from member: MemberNumber)
}

/// Keys of slots that this node executes, with the stamps of their newest versions.
struct HintedKeys: Sendable {
  struct Key: Sendable {
    var namespace: NamespaceNumber
    var slot: Slot
    var stamp: Stamp
    /// This version was evicted.
    var isEvicted: Bool
    /// Where the key ends in `bytes`; it begins where the one before it ends.
    var end: Int
  }

  private(set) var keys: [Key] = []
  private(set) var bytes: [UInt8] = []

  mutating func add(
    _ key: UnsafeRawBufferPointer, _ namespace: NamespaceNumber, _ slot: Slot, _ stamp: Stamp, isEvicted: Bool
  ) {
    bytes += key
    keys.append(Key(namespace: namespace, slot: slot, stamp: stamp, isEvicted: isEvicted, end: bytes.count))
  }

  var slots: SlotSet { SlotSet(keys.map(\.slot)) }
}
