import NexusModel
import Testing

@testable import NexusService

/// Two halves of a torn cluster have executed one slot. What a key is in one history says nothing about the other.
@Suite struct HistoriesTests {
  private static let slot = Slot(index: 9)
  private static let me = MemberID("me")!
  private static let (near, far) = (holding("near", 1), holding("far", 2))

  private static func holding(_ member: String, _ number: UInt64) -> Holding {
    Holding(member: MemberID(member)!, number: number)
  }

  /// What becomes of the key `k`, where each holder that is asked gives its answer.
  private func fate(
    _ sources: [KeySource], hasLocal: Bool = false, _ answers: [Holding: WritableKeyPath<KeyFetched<String>, [String]>]
  ) -> [KeyFetchEffect<String>] {
    var fetches = KeyFetches<String>(startedAt: 1)
    let execute = OwnershipOutput.execute(SlotSet([Self.slot]), sources: sources, keepsSettled: false)
    _ = fetches.follow(execute, now: 0) { _, _ in hasLocal }
    var effects = fetches.want(["k"], of: Self.slot, waiter: 7, now: 0) { _, _ in hasLocal }
    var fate: [KeyFetchEffect<String>] = []
    while !effects.isEmpty {
      let effect = effects.removeFirst()
      guard case .send(let fetch, let member) = effect else {
        fate.append(effect)
        continue
      }
      var answer = KeyFetched<String>(id: fetch.id)
      answer[keyPath: answers[Holding(member: member, number: fetch.holding)] ?? \.unknown] = ["k"]
      effects += fetches.answered(answer, by: member, now: 0) { _, _ in hasLocal }
    }
    #expect(fate.last == .ready(waiter: 7))
    return fate.dropLast().filter { $0 != .settle(Self.slot, found: [], absent: [], overridesLocal: true) }
  }

  private func settled(
    found: [String] = [], absent: [String] = [], overridesLocal: Bool
  ) -> [KeyFetchEffect<String>] {
    [.settle(Self.slot, found: found, absent: absent, overridesLocal: overridesLocal)]
  }

  @Test func withinAHistoryWhatTheNearestSaysIsSo() {
    let row: [KeySource] = [.holder(Self.near), .holder(Self.far)]
    #expect(fate(row, [Self.near: \.absent, Self.far: \.found]) == settled(absent: ["k"], overridesLocal: true))
    #expect(fate(row, [Self.near: \.unknown, Self.far: \.found]) == settled(found: ["k"], overridesLocal: true))
    let old: [KeySource] = [.holder(Self.near), .local]
    #expect(fate(old, hasLocal: true, [Self.near: \.absent]) == settled(absent: ["k"], overridesLocal: true))
  }

  @Test func whatDoesNotExistInOneHistoryIsLookedForInTheOther() {
    let two: [KeySource] = [.holder(Self.near), .otherHistory, .holder(Self.far)]
    #expect(fate(two, [Self.near: \.absent, Self.far: \.found]) == settled(found: ["k"], overridesLocal: true))
    #expect(fate(two, [Self.near: \.absent, Self.far: \.absent]) == settled(absent: ["k"], overridesLocal: true))
    #expect(fate(two, [Self.near: \.absent, Self.far: \.unknown]) == settled(absent: ["k"], overridesLocal: false))
    #expect(fate(two, [Self.near: \.found, Self.far: \.found]) == settled(found: ["k"], overridesLocal: true))
    // It is this node's own: it stays as it is.
    let own: [KeySource] = [.holder(Self.near), .otherHistory, .local]
    #expect(fate(own, hasLocal: true, [Self.near: \.absent]) == settled(absent: ["k"], overridesLocal: false))
    #expect(fate(own, hasLocal: true, [Self.near: \.found]) == settled(found: ["k"], overridesLocal: true))
  }

  @Test func whoWasAwayHasAHistoryOfItsOwnUnlessTheOtherKnowsIt() {
    let own = Kept(number: 5, lineage: Lineage(), claim: nil, claimant: nil)
    func lineage(behind: [Holding]) -> Lineage {
      let held = HeldSlots(slots: SlotSet([Self.slot]), holding: Self.near, behind: behind)
      return Succession(handedOver: held, own: own, me: Self.me) { _ in true }.lineage
    }
    let stranger = lineage(behind: [])
    #expect(stranger.behind == [.holder(Self.near), .otherHistory, .local])
    #expect(stranger.localCopy == .other)
    let heir = lineage(behind: [Holding(member: Self.me, number: 5)])
    #expect(heir.behind == [.holder(Self.near), .local])
    #expect(heir.localCopy == .older)
    // What has arrived leaves nothing to look for in this node's own store.
    #expect(stranger.without(Self.near).isWhole)
  }

  @Test func holdersThatDoNotKnowOfOneAnotherAreHistories() {
    let slots = SlotSet([Self.slot])
    let apart = [HeldSlots(slots: slots, holding: Self.near), HeldSlots(slots: slots, holding: Self.far)]
    let own = Kept(number: 5, lineage: Lineage(), claim: nil, claimant: nil)
    func behind(_ held: [HeldSlots], own: Kept? = nil) -> [KeySource] {
      Succession(held, own: own, me: Self.me) { _ in true }.lineage.behind
    }
    #expect(behind(apart) == [.holder(Self.near), .otherHistory, .holder(Self.far)])
    let row = [apart[1], HeldSlots(slots: slots, holding: Self.near, behind: [Self.far])]
    #expect(behind(row) == [.holder(Self.near), .holder(Self.far)])
    let withOwn: [KeySource] = [
      .holder(Self.near), .otherHistory, .holder(Self.far), .otherHistory, .local,
    ]
    #expect(behind(apart, own: own) == withOwn)
  }
}
