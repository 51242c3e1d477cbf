import NexusModel
import NexusRing

/// Which slots another member executes from one placement on than before.
struct SlotMoves {
  struct Move {
    /// Nil: nobody.
    var from: MemberID?
    var to: MemberID?
    var slots: SlotSet
  }

  /// By the members' names.
  private(set) var moves: [Move] = []

  init(from old: Placement?, to new: Placement) {
    struct Ends: Hashable {
      var from: MemberID?
      var to: MemberID?
    }
    var found: [Ends: SlotSet] = [:]
    for index in 0..<Slot.count {
      let slot = Slot(index: UInt16(index))
      let ends = Ends(from: old?.executingOwner(of: slot), to: new.executingOwner(of: slot))
      if ends.from != ends.to { found[ends, default: SlotSet()].insert(slot) }
    }
    moves = found.map { Move(from: $0.from, to: $0.to, slots: $1) }
      .sorted { ($0.from?.text ?? "", $0.to?.text ?? "") < ($1.from?.text ?? "", $1.to?.text ?? "") }
  }
}

extension SlotSet {
  /// Runs of neighbours, in order.
  var ranges: [ClosedRange<UInt16>] {
    var ranges: [ClosedRange<UInt16>] = []
    forEach { slot in
      if let last = ranges.last, last.upperBound + 1 == slot.index {
        ranges[ranges.count - 1] = last.lowerBound...slot.index
      } else {
        ranges.append(slot.index...slot.index)
      }
    }
    return ranges
  }
}
