import NexusModel
import NexusReplication
import Testing

@Suite struct TombstoneCollectionTests {
  private static let day: UnixMilliseconds = 86_400_000
  private let version = PlacementVersion(digest: 5)

  /// A member that executes slot 0, with others 1 and 2, and its clocks.
  private final class Member {
    var collection: TombstoneCollection
    var facts = TombstoneCollection.Facts(
      isSettled: true, agreed: slots(0), confirmedThrough: 10 * day, tombstones: 1)
    var now: UInt64 = 0
    var time: UnixMilliseconds = 10 * day

    init() {
      collection = TombstoneCollection(startedAt: 1)
    }

    func step(_ input: TombstoneCollection.Input) -> [TombstoneCollection.Output] {
      collection.step(input, facts, owned: { $0 == 1 ? slots(3, 4) : SlotSet() }, now: now, time: time)
    }

    /// A round begins: its number.
    func begin() -> UInt64? {
      now += 10_000
      time += 10_000
      facts.confirmedThrough = time
      for case .send(.askSettled(let id, _), _) in step(.tick) { return id }
      return nil
    }
  }

  private func member(isAnyoneAway: Bool = false) -> Member {
    let member = Member()
    _ = member.step(.view(version, others: [1, 2], isAnyoneAway: isAnyoneAway))
    return member
  }

  private func answer(_ id: UInt64, isSettled: Bool = true, version: PlacementVersion? = nil) -> ReplicationMessage {
    .settledAnswer(id: id, version: version ?? self.version, isSettled: isSettled, tombstones: 0)
  }

  @Test func tombstonesGoWhenEveryoneSaysThatItIsSettled() throws {
    let member = member()
    let id = try #require(member.begin())
    #expect(member.step(.received(answer(id), from: 1)).isEmpty)
    let upTo = Stamp(milliseconds: member.time - 130_000)
    #expect(
      member.step(.received(answer(id), from: 2)) == [
        .collect(slots(0), upTo: upTo, raisingFloor: false),
        .send(.collect(version: version, slots(0), upTo: upTo), to: 1),
        .send(.collect(version: version, slots(0), upTo: upTo), to: 2),
      ])
  }

  @Test func oneThatIsNotSettledOrSeesAnotherPlacementEndsTheRound() throws {
    let member = member()
    for message in [answer(0, isSettled: false), answer(0, version: PlacementVersion(digest: 6))] {
      let id = try #require(member.begin())
      guard case .settledAnswer(_, let version, let isSettled, _) = message else { continue }
      let late = ReplicationMessage.settledAnswer(id: id, version: version, isSettled: isSettled, tombstones: 1)
      #expect(member.step(.received(late, from: 1)).isEmpty)
      #expect(member.step(.received(answer(id), from: 2)).isEmpty)
    }
  }

  @Test func nobodyIsAskedWhileSomebodyIsAwayOrThisNodeIsNotSettled() {
    let away = member(isAnyoneAway: true)
    #expect(away.begin() == nil)
    let unsettled = member()
    unsettled.facts.isSettled = false
    #expect(unsettled.begin() == nil)
  }

  @Test func answersToAnEarlierRoundOrViewDoNotCount() throws {
    let member = member()
    let old = try #require(member.begin())
    let id = try #require(member.begin())
    _ = member.step(.received(answer(id), from: 1))
    #expect(member.step(.received(answer(old), from: 2)).isEmpty)
    _ = member.step(.view(version, others: [1, 2], isAnyoneAway: false))
    #expect(member.step(.received(answer(id), from: 2)).isEmpty, "the view came back to what it was")
  }

  @Test func whatIsNotConfirmedYetStays() throws {
    let member = member()
    let id = try #require(member.begin())
    member.facts.confirmedThrough = member.time - 500_000
    _ = member.step(.received(answer(id), from: 1))
    let outputs = member.step(.received(answer(id), from: 2))
    #expect(outputs.first == .collect(slots(0), upTo: Stamp(milliseconds: member.time - 500_000), raisingFloor: false))
  }

  @Test func nobodyIsAskedWhereNobodyHasTombstones() throws {
    let member = member()
    member.facts.tombstones = 0
    let id = try #require(member.begin(), "others may have some")
    _ = member.step(.received(answer(id), from: 1))
    _ = member.step(.received(answer(id), from: 2))
    #expect(member.begin() == nil)
    _ = member.step(.received(.settledAnswer(id: id, version: version, isSettled: true, tombstones: 3), from: 2))
    #expect(member.begin() != nil)
  }

  @Test func aReplicaLetsGoWhatItsOwnerSays() {
    let member = member()
    let upTo = Stamp(milliseconds: 77)
    #expect(
      member.step(.received(.collect(version: version, slots(0, 3), upTo: upTo), from: 1)) == [
        .collect(slots(3), upTo: upTo, raisingFloor: false)
      ])
    let other = PlacementVersion(digest: 9)
    #expect(member.step(.received(.collect(version: other, slots(3), upTo: upTo), from: 1)).isEmpty)
  }

  @Test func itAnswersHonestly() {
    let member = member()
    func ask(_ version: PlacementVersion) -> [TombstoneCollection.Output] {
      member.step(.received(.askSettled(id: 4, version: version), from: 2))
    }
    let yes = ReplicationMessage.settledAnswer(id: 4, version: version, isSettled: true, tombstones: 1)
    let no = ReplicationMessage.settledAnswer(id: 4, version: version, isSettled: false, tombstones: 1)
    #expect(ask(version) == [.send(yes, to: 2)])
    #expect(ask(PlacementVersion(digest: 6)) == [.send(no, to: 2)])
    member.facts.isSettled = false
    #expect(ask(version) == [.send(no, to: 2)])
  }

  @Test func afterTheGracePeriodTheyGoAnyway() {
    let member = member(isAnyoneAway: true)
    member.now = 60_000
    let upTo = Stamp(milliseconds: member.time - 3_600_000)
    #expect(member.step(.tick) == [.collect(.all, upTo: upTo, raisingFloor: true)])
  }
}
