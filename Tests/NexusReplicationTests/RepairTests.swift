import NexusModel
import NexusReplication
import NexusTestSupport
import Testing

/// Members with the real core, that hear one another at once: what is said, and what becomes equal.
@Suite struct RepairTests {
  /// One slot on members 0 and 1, executed by 0.
  private func pair(_ settings: RepairSettings = RepairSettings()) -> Cast {
    Cast(2, places: [[0, 1]], settings: settings)
  }

  private func settle(_ cast: Cast, _ live: [MemberNumber], version: UInt64 = 1) {
    cast.view(live, version: version)
    cast.run(for: 1000)
    cast.clearTranscript()
  }

  @Test func membersThatAgreeSayTwoSmallMessagesAnInterval() {
    let cast = pair()
    cast[0].copies.put(slot(0), 1, 10)
    cast[1].copies.put(slot(0), 1, 10)
    settle(cast, [0, 1])
    cast.run(for: 2000)
    #expect(cast.transcript == ["0>1 compare", "1>0 equal"])
    #expect(cast[0].repair.isSettled && cast[1].repair.isSettled)
    #expect(cast[0].repair.agreedAt(1) != nil)
  }

  @Test func aNewReplicaIsFilledAndBothAreSettled() {
    let cast = pair()
    for hash: UInt64 in 1...3 { cast[0].copies.put(slot(0), hash, 10 + hash) }
    cast[0].copies.put(slot(0), 4, 20, isTombstone: true)
    cast.view([0, 1], version: 1)
    cast.run(for: 1000)
    #expect(
      cast.transcript == [
        "0>1 digests of 0?", "1>0 1 digests", "0>1 inventories of [0]?", "1>0 0 versions", "0>1 digests of 0?",
        "1>0 1 digests", "0>1 agreed 0",
      ])
    #expect(cast[1].copies.slots == cast[0].copies.slots)
    #expect(cast[1].receivedPushes == 4)
    #expect(cast[0].repair.isSettled && cast[1].repair.isSettled)
  }

  @Test func eachSideGetsWhatItLacksAndTheNewestWins() {
    let cast = pair()
    cast[0].copies.put(slot(0), 1, 10)
    cast[0].copies.put(slot(0), 2, 10)
    cast[0].copies.put(slot(0), 3, 30, isTombstone: true)
    cast[1].copies.put(slot(0), 1, 20)
    cast[1].copies.put(slot(0), 3, 10)
    cast[1].copies.put(slot(0), 4, 10)
    settle(cast, [0, 1])
    #expect(cast[0].copies.slots == cast[1].copies.slots)
    #expect(cast[0].copies[slot(0), 1]?.stamp == Stamp(rawValue: 20))
    #expect(cast[1].copies[slot(0), 3]?.isTombstone == true)
    #expect(cast[0].repair.agreedEverywhere == slots(0))
  }

  @Test func aTombstoneReachesWhoHasNothingOfItsKey() {
    let cast = pair()
    cast[1].copies.put(slot(0), 5, 10, isTombstone: true)
    settle(cast, [0, 1])
    #expect(cast[0].copies[slot(0), 5]?.isTombstone == true, "digests of entries are equal, those with tombstones not")
  }

  @Test func whatIsNotExpectedIsFoundByTheRoutine() {
    let cast = pair()
    settle(cast, [0, 1])
    cast[1].copies.put(slot(0), 1, 10)
    cast.run(for: 10_000)
    #expect(cast[0].copies[slot(0), 1] != nil)
    #expect(cast[0].notes.contains(.divergent(1)) && cast[0].notes.last == .divergent(0))
    #expect(cast[0].repair.isSettled, "a slot in ten thousand that differs does not make a member unready")
  }

  @Test func aSlotThatIsWrittenIsPutOff() {
    let cast = pair()
    settle(cast, [0, 1])
    // Every look finds something new under way.
    for round: UInt64 in 1...15 {
      cast[0].copies.put(slot(0), round, 10 * round)
      cast.run(for: 300)
      cast[1].copies.put(slot(0), round, 10 * round)
    }
    cast.run(for: 5000)
    #expect(cast.transcript.contains("0>1 digests of 0?"))
    #expect(!cast.transcript.contains { $0.contains("inventories") })
    #expect(cast[1].receivedPushes == 0)
  }

  @Test func lostMessagesAreAskedAgain() {
    let cast = pair()
    for hash: UInt64 in 1...50 { cast[0].copies.put(slot(0), hash, 10) }
    for hash: UInt64 in 40...90 { cast[1].copies.put(slot(0), hash, 20) }
    var dice = Dice(seed: 7)
    cast.loses = { _, _, _ in dice.chance(40) }
    cast.view([0, 1], version: 1)
    cast.run(for: 60_000)
    #expect(cast[0].copies.slots == cast[1].copies.slots)
    #expect(cast[0].repair.isSettled && cast[1].repair.isSettled)
  }

  @Test func aMemberThatDoesNotAnswerIsLeftAlone() {
    let cast = pair()
    cast.loses = { _, _, _ in true }
    cast.view([0, 1], version: 1)
    cast.run(for: 20_000)
    #expect(cast.transcript.count < 30, "four questions, then a rest of an interval")
    #expect(!cast[0].repair.isSettled)
    cast.loses = { _, _, _ in false }
    cast.run(for: 4000)
    #expect(cast[0].repair.isSettled)
  }

  @Test func whatIsPushedInVainIsTriedLessAndLessOften() {
    let cast = pair()
    cast[0].copies.put(slot(0), 1, 10)
    cast.losesPushes = true
    cast.view([0, 1], version: 1)
    cast.run(for: 120_000)
    #expect((5...12).contains(cast.transcript.count { $0.contains("inventories of") }))
    cast.losesPushes = false
    cast.run(for: 130_000)
    #expect(cast[1].copies[slot(0), 1] != nil && cast[0].repair.isSettled)
  }

  @Test func aChangedPlacementEndsEveryExchange() {
    let cast = Cast(3, places: [[0, 1], [1, 2]])
    cast[0].copies.put(slot(0), 1, 10)
    cast.view([0, 1, 2], version: 1)
    cast.view(1, sees: [0, 1], version: 2)
    cast.run(for: 3000)
    #expect(cast.transcript.contains("1>0 other version") && cast[0].notes.contains(.synchronize(1)))
    #expect(cast[1].copies[slot(0), 1] == nil, "nothing is exchanged between views")
    cast.view(0, sees: [0, 1], version: 2)
    cast.run(for: 3000)
    #expect(cast[1].copies[slot(0), 1] != nil)
  }

  @Test func whoStartsAnewAtTheSameVersionIsNoticedAndFilledAgain() {
    let cast = pair()
    cast[0].copies.put(slot(0), 1, 10)
    settle(cast, [0, 1])
    cast.restart(1)
    cast.view(1, sees: [0, 1], version: 1)
    #expect(!cast[1].repair.isSettled)
    cast.run(for: 4000)
    #expect(cast[1].copies[slot(0), 1] != nil && cast[1].repair.isSettled)
  }

  @Test func aMarkedSlotIsComparedAgainTombstonesAndAll() {
    let cast = pair()
    settle(cast, [0, 1])
    cast[0].copies.put(slot(0), 1, 10, isTombstone: true)
    cast.run(for: 10_000)
    #expect(cast[1].copies[slot(0), 1] == nil, "no routine sees it")
    cast.feed(0, .marked(slots(0), 1))
    #expect(!cast[0].repair.isSettled)
    cast.run(for: 1000)
    #expect(cast[1].copies[slot(0), 1]?.isTombstone == true && cast[0].repair.isSettled)
  }

  @Test func whatCameFromOneMemberIsBroughtToTheOthers() {
    let cast = Cast(3, places: [[0, 1, 2]])
    cast[2].copies.put(slot(0), 1, 10, isTombstone: true)
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 2000)
    #expect(cast[1].copies[slot(0), 1]?.isTombstone == true)
  }

  @Test func aReplicaThatGotSomethingFromElsewhereSaysSo() {
    let cast = Cast(3, places: [[0, 1, 2]])
    settle(cast, [0, 1, 2])
    cast[1].copies.put(slot(0), 1, 10, isTombstone: true)
    cast.feed(1, .merged(slots(0), from: 2))
    cast.run(for: 1000)
    #expect(cast.transcript.first == "1>0 differ 0")
    #expect(cast[2].copies[slot(0), 1]?.isTombstone == true)
  }

  @Test func manySlotsAreComparedInFewMessages() {
    let cast = Cast(2, places: Array(repeating: [0, 1], count: 4000))
    for index: UInt16 in 0..<4000 { cast[0].copies.put(slot(index), UInt64(index), 10) }
    for index: UInt16 in 0..<3990 { cast[1].copies.put(slot(index), UInt64(index), 10) }
    cast.view([0, 1], version: 1)
    cast.run(for: 2000)
    #expect(cast[0].repair.isSettled && cast[1].repair.isSettled)
    #expect(cast.transcript.count < 20)
    #expect(cast[1].receivedPushes == 10)
  }

  @Test func aSlotOfManyKeysIsExchangedInRanges() {
    var settings = RepairSettings()
    settings.keysPerInventories = 100
    settings.keysPerPortion = 30
    let cast = pair(settings)
    for hash: UInt64 in 0..<1000 { cast[1].copies.put(slot(0), RepairDigest.mix(hash), 10) }
    for hash: UInt64 in 990..<1010 { cast[0].copies.put(slot(0), RepairDigest.mix(hash), 20) }
    cast.view([0, 1], version: 1)
    cast.run(for: 10_000)
    #expect(cast[0].copies.slots == cast[1].copies.slots)
    #expect(cast[0].copies.keyCount(of: slot(0)) == 1010 && cast[0].repair.isSettled)
    #expect(cast.transcript.allSatisfy { !$0.hasSuffix("versions") || Int($0.split(separator: " ")[1])! <= 150 })
  }

  @Test func bytesAreLimitedToTheRate() {
    var settings = RepairSettings()
    settings.bytesPerSecond = 1000
    settings.keysPerPortion = 1
    let cast = pair(settings)
    for hash: UInt64 in 1...100 { cast[0].copies.put(slot(0), hash, 10) }
    cast.view([0, 1], version: 1)
    cast.run(for: 5000)
    #expect((55...65).contains(cast[1].copies.keyCount(of: slot(0))), "1,000 bytes at once, then 10 keys a second")
    cast.run(for: 10_000)
    #expect(cast[0].copies.slots == cast[1].copies.slots)
    #expect(cast[0].repair.bytesMoved == 10_000)
  }

  @Test func stampsTooFarAheadAreNotTakenAndReported() {
    let cast = pair()
    cast[0].copies.highestAccepted = Stamp(rawValue: 100)
    cast[1].copies.put(slot(0), 1, 500)
    cast.view([0, 1], version: 1)
    cast.run(for: 3000)
    #expect(cast[0].notes.contains(.ahead(1, Stamp(rawValue: 500))))
    #expect(cast[0].copies.keyCount(of: slot(0)) == 0 && !cast[0].repair.isSettled)
    cast[0].copies.highestAccepted = Stamp(rawValue: 1000)
    cast.run(for: 60_000)
    #expect(cast[0].copies.keyCount(of: slot(0)) == 1 && cast[0].repair.isSettled)
  }

  @Test func aMissedFlushIsMadeUpFor() {
    let cast = pair()
    cast[1].copies.put(slot(0), 1, 10)
    cast[1].copies.put(slot(0), 2, 90)
    cast[0].copies.flush(FlushStamp(namespace: 0, stamp: Stamp(rawValue: 50)))
    settle(cast, [0, 1])
    #expect(cast[1].copies.flushes == cast[0].copies.flushes)
    #expect(cast[0].copies.slots[slot(0)]?.keys.sorted() == [2] && cast[1].copies.slots[slot(0)]?.keys.sorted() == [2])
    #expect(cast[0].repair.isSettled)
  }
}
