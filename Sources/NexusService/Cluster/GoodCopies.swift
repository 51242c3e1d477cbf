import NexusModel
import Synchronization

/// Slots of which this node has a copy that reads may come from: it has a place for the slot, does not execute it, and
/// its copy was found equal with the one of whoever does. A bit for each.
///
/// Written by the control loop. A read without a lock is a guess that may be a moment old, as the copy itself may be.
public final class GoodCopies: @unchecked Sendable {
  private let words: UnsafeMutablePointer<Atomic<UInt64>>

  public init() {
    words = .allocate(capacity: SlotSet.wordCount)
    for index in 0..<SlotSet.wordCount { (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    words.deinitialize(count: SlotSet.wordCount)
    words.deallocate()
  }

  @inline(__always) public subscript(slot index: UInt16) -> Bool {
    words[Int(index >> 6)].load(ordering: .relaxed) >> UInt64(index & 63) & 1 != 0
  }

  public var slots: SlotSet { SlotSet(words: (0..<SlotSet.wordCount).map { words[$0].load(ordering: .relaxed) }) }

  public func add(_ slots: SlotSet) { each(slots) { $0.bitwiseOr($1, ordering: .relaxed) } }
  public func remove(_ slots: SlotSet) { each(slots) { $0.bitwiseAnd(~$1, ordering: .relaxed) } }

  private func each(_ slots: SlotSet, _ body: (borrowing Atomic<UInt64>, UInt64) -> Void) {
    for (index, word) in slots.words.enumerated() where word != 0 { body(words[index], word) }
  }
}
