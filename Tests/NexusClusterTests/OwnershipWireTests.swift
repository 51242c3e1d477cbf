import NexusModel
import NexusService
import NexusWire
import Testing

@testable import NexusCluster

/// What ownerships say to one another survives the way.
@Suite struct OwnershipWireTests {
  private static let slots = SlotSet(0..<3).union(SlotSet(700..<1400)).union(SlotSet(16_383..<16_384))
  private static let holding = Holding(member: MemberID("n-2")!, number: 1 << 60)
  private static let held = HeldSlots(
    slots: slots, holding: holding, behind: [Holding(member: MemberID("n-1")!, number: 7), holding],
    settled: [Holding(member: MemberID("n-3")!, number: 0)])
  private static let version = PlacementVersion(digest: 0xFEDC_BA98_7654_3210)

  private static var messages: [OwnershipMessage] {
    var answer = SlotClaimAnswer(id: 5, ask: 9, version: version)
    answer.handedOver = [held, HeldSlots(slots: SlotSet(9..<10), holding: holding)]
    answer.notMine = SlotSet(20..<30)
    answer.held = [held]
    answer.stopped = [SlotsOfHolding(number: 3, slots: slots)]
    answer.later = SlotSet(40..<50)
    answer.executed = SlotSet(41..<42)
    answer.unverified = SlotSet(9..<10)
    return [
      .claim(SlotClaim(id: 1 << 50, ask: 2, version: version, live: .max, slots: .all)), .claimAnswer(answer),
      .claimAnswer(SlotClaimAnswer(id: 0, ask: 0, version: PlacementVersion(digest: 0))),
      .offer(SlotOffer(version: version, executed: slots, held: [held])), .offer(SlotOffer(version: version)),
      .pull(id: 12, SlotsOfHolding(number: 4, slots: slots)), .gone(SlotsOfHolding(number: 0, slots: SlotSet())),
      .confirm(SlotsOfHolding(number: 1, slots: slots)), .forgotten(SlotsOfHolding(number: 2, slots: .all)),
    ]
  }

  private func encoded(_ message: OwnershipMessage) -> [UInt8] {
    var bytes = OutputBuffer(capacity: 64)
    defer { bytes.deallocate() }
    OwnershipPost(message).encode(to: &bytes)
    return Array(bytes.bytes)
  }

  @Test func everyMessageReadsBackAsItWas() throws {
    for message in Self.messages {
      let bytes = encoded(message)
      #expect(try bytes.withUnsafeBytes { try OwnershipPost(decoding: $0).message } == message)
    }
  }

  @Test func aMessageCutShortIsAnErrorOrAnotherMessage() {
    for message in Self.messages {
      let bytes = encoded(message)
      for count in 0..<bytes.count {
        let read = try? bytes.prefix(count).withUnsafeBytes { try OwnershipPost(decoding: $0).message }
        #expect(read == nil || read != message, "\(count) bytes of \(bytes.count)")
      }
    }
  }
}
