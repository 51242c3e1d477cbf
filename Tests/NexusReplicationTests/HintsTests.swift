import NexusModel
import NexusReplication
import Testing

@Suite struct HintsTests {
  private final class Notes {
    var hints: Hints
    init(limitBytes: Int = 1 << 20, portionCount: Int = 256) {
      hints = Hints(limitBytes: limitBytes, portionCount: portionCount)
    }
    func step(_ input: Hints.Input) -> [Hints.Output] { hints.step(input) }
  }

  private func hint(_ hash: UInt64, _ stamp: UInt64 = 1, slot index: UInt16 = 0, isEvicted: Bool = false)
    -> Hints.Hint
  {
    Hints.Hint(
      slot: Slot(index: index), version: KeyVersion(hash: hash, stamp: Stamp(rawValue: stamp)), isEvicted: isEvicted)
  }

  private func pushed(_ outputs: [Hints.Output]) -> (portion: UInt64, hints: [Hints.Hint])? {
    guard outputs.count == 1, case .push(let portion, let hints, _) = outputs[0] else { return nil }
    return (portion, hints)
  }

  @Test func whatWasMissedIsSentWhenTheMemberIsReachable() throws {
    let notes = Notes()
    #expect(notes.step(.missed(hint(1), by: 7)).isEmpty)
    #expect(notes.step(.missed(hint(2), by: 7)).isEmpty)
    let portion = try #require(pushed(notes.step(.reachable(7))))
    #expect(Set(portion.hints) == [hint(1), hint(2)])
    #expect(notes.hints.hasHint(in: slot(0), for: 7), "what is under way has not arrived")
    #expect(notes.step(.delivered(portion: portion.portion, 7)).isEmpty)
    #expect(notes.hints.count == 0 && notes.hints.slots.isEmpty)
  }

  @Test func aKeyHasOneHintWithItsNewestStamp() throws {
    let notes = Notes()
    for stamp: UInt64 in [3, 9, 5] { _ = notes.step(.missed(hint(1, stamp), by: 7)) }
    #expect(notes.hints.count == 1)
    #expect(try #require(pushed(notes.step(.reachable(7)))).hints == [hint(1, 9)])
  }

  @Test func anEvictionReplacesTheVersionThatItEnds() throws {
    let notes = Notes()
    _ = notes.step(.missed(hint(1, 4), by: 7))
    _ = notes.step(.missed(hint(1, 4, isEvicted: true), by: 7))
    #expect(try #require(pushed(notes.step(.reachable(7)))).hints == [hint(1, 4, isEvicted: true)])
  }

  @Test func portionsAreBoundedAndFollowOneAnother() throws {
    let notes = Notes(portionCount: 2)
    for hash: UInt64 in 1...5 { _ = notes.step(.missed(hint(hash), by: 7)) }
    var seen: Set<Hints.Hint> = []
    var portion = pushed(notes.step(.reachable(7)))
    while let current = portion {
      #expect(current.hints.count <= 2)
      seen.formUnion(current.hints)
      portion = pushed(notes.step(.delivered(portion: current.portion, 7)))
    }
    #expect(seen.count == 5 && notes.hints.count == 0)
  }

  @Test func aPortionThatFailedIsSentAgain() throws {
    let notes = Notes()
    _ = notes.step(.missed(hint(1, 3), by: 7))
    let first = try #require(pushed(notes.step(.reachable(7))))
    // Missed again while it was under way.
    _ = notes.step(.unreachable(7))
    _ = notes.step(.missed(hint(1, 8), by: 7))
    #expect(notes.step(.failed(portion: first.portion, 7)).isEmpty)
    #expect(notes.step(.delivered(portion: first.portion, 7)).isEmpty, "late news of a portion that failed")
    #expect(try #require(pushed(notes.step(.reachable(7)))).hints == [hint(1, 8)])
  }

  @Test func pastTheBoundTheMemberWithMostIsMarkedInstead() {
    let notes = Notes(limitBytes: 4 * Hints.bytesPerHint)
    #expect(notes.step(.missed(hint(1, slot: 9), by: 7)).isEmpty)
    for hash: UInt64 in 1...3 { _ = notes.step(.missed(hint(hash, slot: UInt16(hash)), by: 8)) }
    #expect(notes.step(.missed(hint(4, slot: 4), by: 8)) == [.mark(slots(1, 2, 3, 4), 8)])
    #expect(notes.hints.count(for: 8) == 0 && notes.hints.count(for: 7) == 1)
    // What is missed afterwards is noted anew: the mark may have been worked off by then.
    #expect(notes.step(.missed(hint(1, slot: 1), by: 8)).isEmpty)
    #expect(notes.hints.hasHint(in: slot(1), for: 8))
  }

  @Test func whatIsNoLongerTheMembersIsForgotten() throws {
    let notes = Notes()
    _ = notes.step(.missed(hint(1, slot: 1), by: 7))
    _ = notes.step(.missed(hint(2, slot: 2), by: 7))
    _ = notes.step(.forget(slots(1), 7))
    #expect(try #require(pushed(notes.step(.reachable(7)))).hints == [hint(2, slot: 2)])
  }
}
