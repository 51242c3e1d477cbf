import NexusModel
import Testing

@Suite struct SlotSetTests {
  private let some = SlotSet([0, 1, 2, 63, 64, 100, 16_383].map { Slot(index: $0) })

  @Test func itHoldsWhatWasPutIn() {
    #expect(some.count == 7)
    #expect(some.contains(Slot(index: 63)) && some.contains(Slot(index: 64)) && !some.contains(Slot(index: 65)))
    #expect(some.slots.map(\.index) == [0, 1, 2, 63, 64, 100, 16_383])
    #expect(some.ranges == [0..<3, 63..<65, 100..<101, 16_383..<16_384])
    #expect("\(some)" == "0-2 63-64 100 16383")
    #expect(SlotSet().isEmpty && SlotSet.all.count == Slot.count && SlotSet.all.ranges == [0..<Slot.count])
  }

  @Test func setsCombineAsSetsDo() {
    let other = SlotSet(60..<110)
    #expect(some.intersection(other).slots.map(\.index) == [63, 64, 100])
    #expect(some.subtracting(other).slots.map(\.index) == [0, 1, 2, 16_383])
    #expect(some.union(other).count == 54)
    #expect(some.intersects(other) && !some.intersects(SlotSet(3..<63)))
    #expect(some.union(other).subtracting(other) == some.subtracting(other))
  }

  @Test func theFirstFewAreTheLowest() {
    #expect(some.first(4).slots.map(\.index) == [0, 1, 2, 63])
    #expect(some.first(0).isEmpty)
    #expect(some.first(1000) == some)
  }

  /// Every operation against the same one on a `Set`, on sets near one another and far apart, empty and emptied.
  @Test func operationsAgreeWithThoseOfAPlainSet() {
    let samples: [Set<UInt16>] = [
      [], [0], [16_383], [5, 6, 7], [64, 65, 130], [0, 16_383], [200, 300, 8000], Set(60..<200), Set(16_000..<16_384),
    ]
    for left in samples {
      for right in samples {
        let a = slots(left), b = slots(right)
        #expect(a.union(b) == slots(left.union(right)))
        #expect(a.intersection(b) == slots(left.intersection(right)))
        #expect(a.subtracting(b) == slots(left.subtracting(right)))
        #expect(a.intersects(b) == !left.isDisjoint(with: right))
        let back = a.union(b).subtracting(b).union(a)
        #expect(back == a && back.hashValue == a.hashValue && back.count == left.count && back.isEmpty == left.isEmpty)
        #expect(back.slots.map(\.index) == left.sorted() && back.first(2).slots == Array(back.slots.prefix(2)))
      }
    }
  }

  private func slots(_ indices: Set<UInt16>) -> SlotSet { SlotSet(indices.map { Slot(index: $0) }) }

  @Test func changingACopyLeavesTheOriginal() {
    var copy = some
    copy.remove(Slot(index: 63))
    copy.insert(Slot(index: 5))
    #expect(copy.count == 7 && copy != some && some.contains(Slot(index: 63)))
    #expect(SlotSet(words: copy.words) == copy)
  }
}
