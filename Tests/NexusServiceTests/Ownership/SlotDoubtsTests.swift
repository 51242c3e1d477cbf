import NexusModel
import NexusService
import Testing

@Suite("Slots that may lack what other members have")
struct SlotDoubtsTests {
  private static let slots = SlotSet(10..<20)
  private static let slot = Slot(index: 10)

  private func handover(_ slots: SlotSet, unverified: SlotSet = SlotSet()) -> OwnershipMessage {
    var answer = SlotClaimAnswer(id: 1, ask: 2, version: PlacementVersion(digest: 3))
    answer.handedOver = [HeldSlots(slots: slots, holding: Holding(member: MemberID("n-2")!, number: 4))]
    answer.unverified = unverified
    return .claimAnswer(answer)
  }

  private func unverified(_ message: OwnershipMessage) -> SlotSet {
    guard case .claimAnswer(let answer) = message else { return .all }
    return answer.unverified
  }

  @Test("what nobody hands over is verified first")
  func takenOver() {
    var doubts = SlotDoubts()
    #expect(doubts.execute(Self.slots, from: []) == Self.slots)
    #expect(doubts.unverified == Self.slots && doubts.isWhole(Self.slot))
    #expect(doubts.verified(SlotSet(0..<12)) == SlotSet(10..<12))
    #expect(doubts.unverified == SlotSet(12..<20))
  }

  @Test("what its owner hands over is trusted once all of it has come")
  func handedOver() {
    var doubts = SlotDoubts()
    doubts.follow(handover(Self.slots))
    #expect(doubts.execute(Self.slots, from: [2, 3]).isEmpty)
    doubts.follow(nil)
    #expect(!doubts.isWhole(Self.slot))
    for slot in Self.slots.slots { for _ in 0..<2 { doubts.arrived(slot) } }
    #expect(doubts.whole(Self.slots).isEmpty && doubts.unverified.isEmpty && doubts.isWhole(Self.slot))
  }

  @Test("whose holder dies before it has sent all of it is verified")
  func deserted() {
    var doubts = SlotDoubts()
    doubts.follow(handover(Self.slots))
    _ = doubts.execute(Self.slots, from: [2])
    doubts.follow(nil)
    for slot in SlotSet(10..<15).slots { doubts.arrived(slot) }
    #expect(doubts.whole(Self.slots) == SlotSet(15..<20))
    #expect(doubts.unverified == SlotSet(15..<20))
  }

  @Test("an owner that doubts what it hands over says so, again and again, and the next one doubts it too")
  func passedOn() {
    var doubts = SlotDoubts()
    _ = doubts.execute(Self.slots, from: [])
    _ = doubts.verified(SlotSet(10..<12))
    doubts.stop(Self.slots)
    #expect(doubts.unverified.isEmpty)
    let message = doubts.completed(handover(Self.slots))
    #expect(unverified(message) == SlotSet(12..<20))
    #expect(unverified(doubts.completed(handover(Self.slots))) == SlotSet(12..<20), "the answer may have been lost")

    var next = SlotDoubts()
    next.follow(message)
    #expect(next.execute(Self.slots, from: [2]) == SlotSet(12..<20))
    next.follow(nil)
    #expect(next.holders(of: Slot(index: 13)) == [2], "it is asked too, whether it has a place or not")
    // Whatever comes first, both are needed: all that the holder has, and all that the members have.
    #expect(next.verified(SlotSet(12..<13)) == SlotSet(12..<13) && !next.isWhole(Slot(index: 12)))
    for slot in Self.slots.slots { next.arrived(slot) }
    #expect(next.whole(Self.slots).isEmpty)
    #expect(next.unverified == SlotSet(13..<20))
    next.stop(SlotSet(13..<14))
    #expect(unverified(next.completed(handover(SlotSet(13..<14)))) == SlotSet(13..<14))

    // Once it is forgotten, or executed and verified here, it is in doubt no more.
    doubts.forget(SlotSet(12..<13))
    #expect(unverified(doubts.completed(handover(Self.slots))) == SlotSet(13..<20))
    #expect(doubts.execute(Self.slots, from: []) == Self.slots)
    #expect(doubts.verified(Self.slots) == Self.slots)
    doubts.stop(Self.slots)
    #expect(unverified(doubts.completed(handover(Self.slots))).isEmpty)
  }

  @Test("what a dead owner left with others is verified, although they keep it for the next one")
  func succession() {
    var doubts = SlotDoubts()
    doubts.follow(.claimAnswer(SlotClaimAnswer(id: 1, ask: 2, version: PlacementVersion(digest: 3))))
    #expect(doubts.execute(Self.slots, from: [2]) == Self.slots)
  }

  @Test("what comes late to slots that are executed already does not put them in doubt")
  func lateHolder() {
    var doubts = SlotDoubts()
    _ = doubts.execute(Self.slots, from: [])
    _ = doubts.verified(Self.slots)
    #expect(doubts.execute(Self.slots, from: [3]).isEmpty)
    #expect(doubts.whole(Self.slots).isEmpty && doubts.unverified.isEmpty, "it died: nothing of it was relied on")
  }
}
