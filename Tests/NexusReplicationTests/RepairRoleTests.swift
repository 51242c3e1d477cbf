import NexusModel
import NexusReplication
import Testing

/// Who may drop what, who takes over, and what becomes of copies without a place.
@Suite struct RepairRoleTests {
  private func settled(_ count: Int, places: [[MemberNumber]]) -> Cast {
    let cast = Cast(count, places: places)
    cast.view((0..<count).map { MemberNumber($0) }, version: 1)
    cast.run(for: 1000)
    cast.clearTranscript()
    return cast
  }

  // MARK: Eviction

  @Test func whatTheOwnerEvictedIsDroppedByItsReplicas() {
    let cast = Cast(3, places: [[0, 1, 2]])
    for number in 0...2 { for hash: UInt64 in 1...2 { cast[number].copies.put(slot(0), hash, 10 + hash) } }
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 1000)
    cast[0].copies.remove(slot(0), cast[0].copies[slot(0), 1]!)
    cast.feed(0, .marked(slots(0), 1))
    cast.feed(0, .marked(slots(0), 2))
    cast.run(for: 1000)
    #expect(cast[1].copies[slot(0), 1] == nil && cast[2].copies[slot(0), 1] == nil)
    #expect(cast[1].copies[slot(0), 2] != nil)
    #expect(cast[0].repair.isSettled)
  }

  @Test func whatAReplicaEvictsForItselfIsNotRefilledWhileThePressureLasts() {
    let cast = settled(2, places: [[0, 1], [0, 1]])
    for number in 0...1 { cast[number].copies.put(slot(0), 1, 10) }
    cast[1].copies.remove(slot(0), cast[1].copies[slot(0), 1]!)
    cast[1].copies.partial = [slot(0)]
    cast.run(for: 20_000)
    let routine = cast.transcript.suffix(6)
    #expect(routine.allSatisfy { $0.contains("compare without 0") || $0.contains("equal") }, "\(routine)")
    #expect(cast[1].receivedPushes == 0 && cast[0].copies[slot(0), 1] != nil, "and its owner keeps it")
    // A mark does not change that, and both are settled all the same.
    cast.feed(0, .marked(slots(0), 1))
    cast.run(for: 5000)
    #expect(cast[1].receivedPushes == 0 && cast[0].repair.isSettled)
    cast[1].copies.partial = []
    cast.run(for: 20_000)
    #expect(cast[1].copies[slot(0), 1] != nil && cast[0].copies[slot(0), 1] != nil)
  }

  @Test func whoComesBackAsOwnerFollowsWhatTheCompleteCopyDropped() {
    let cast = settled(3, places: [[0, 1, 2]])
    for number in 0...2 { cast[number].copies.put(slot(0), 1, 10) }
    // 0 is away; 1 executes, deletes the key, and gives the tombstone up after the grace period.
    cast.view([1, 2], version: 2)
    cast.run(for: 1000)
    for number in 1...2 {
      cast[number].copies.slots[slot(0)] = [:]
      cast[number].copies.floors[slot(0)] = Stamp(rawValue: 20)
      cast[number].copies.put(slot(0), 2, 30)
    }
    cast.feed(0, .away)
    cast.view([0, 1, 2], version: 3)
    cast.run(for: 3000)
    #expect(cast[0].copies.slots[slot(0)]?.keys.sorted() == [2], "the old value does not come back")
    #expect(cast[1].copies.slots == cast[0].copies.slots && cast[2].copies.slots == cast[0].copies.slots)
  }

  @Test func whereTheOwnerDiedNobodyDropsAnything() {
    let cast = settled(3, places: [[0, 1, 2]])
    // 2 has a write that 1 has not, and 1 has evicted something newer.
    cast[2].copies.put(slot(0), 1, 10)
    cast[1].copies.floors[slot(0)] = Stamp(rawValue: 20)
    cast.view([1, 2], version: 2, takenOver: true)
    cast.run(for: 1000)
    #expect(cast[1].copies[slot(0), 1] != nil && cast[2].copies[slot(0), 1] != nil)
    #expect(cast[1].notes.contains(.verified(slots(0))))
  }

  // MARK: Taking over

  @Test func aTakenOverSlotIsVerifiedWhenEveryLiveMemberWasHeard() {
    let cast = Cast(3, places: [[0, 1, 2]])
    cast[2].copies.put(slot(0), 1, 10)
    cast.loses = { _, from, to in from == 2 || to == 2 }
    cast.view([1, 2], version: 1, takenOver: true)
    cast.run(for: 5000)
    #expect(cast[1].repair.unverifiedSlots == slots(0))
    cast.loses = { _, _, _ in false }
    cast.run(for: 5000)
    #expect(cast[1].repair.unverifiedSlots.isEmpty && cast[1].notes.contains(.verified(slots(0))))
    #expect(cast[1].copies[slot(0), 1] != nil)
  }

  @Test func aMemberByItselfVerifiesAtOnce() {
    let cast = Cast(2, places: [[0, 1]])
    cast.view([1], version: 1, takenOver: true)
    #expect(cast[1].notes == [.verified(slots(0)), .settled(true)])
  }

  @Test func urgentSlotsComeBeforeOthersAndAreNotHeldBackByTheRate() {
    var settings = RepairSettings()
    settings.bytesPerSecond = 100
    let cast = Cast(2, places: Array(repeating: [0, 1], count: 40), settings: settings)
    for index: UInt16 in 0..<40 { cast[1].copies.put(slot(index), 1, 10) }
    cast.view([0, 1], version: 1, takenOver: true)
    cast.run(for: 500)
    #expect(cast[0].repair.unverifiedSlots.isEmpty && cast[0].copies[slot(39), 1] != nil)
  }

  @Test func othersHearThatTheyAgreeOnlyWhenTheOwnerHasEverything() {
    let cast = Cast(3, places: [[0, 1, 2]])
    cast.loses = { _, from, to in from == 2 || to == 2 }
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 5000)
    #expect(!cast.transcript.contains { $0.contains("agreed") } && !cast[1].repair.isSettled)
    cast.loses = { _, _, _ in false }
    cast.run(for: 5000)
    #expect(cast[1].repair.isSettled && cast[1].repair.completeSlots == slots(0))
  }

  @Test func aLostAgreementIsSaidAgainWithTheNextComparison() {
    let cast = Cast(2, places: [[0, 1]])
    cast.loses = { message, _, _ in if case .agreed = message { true } else { false } }
    cast.view([0, 1], version: 1)
    cast.run(for: 1000)
    #expect(!cast[1].repair.isSettled)
    cast.run(for: 2000)
    #expect(cast[1].repair.isSettled)
  }

  @Test func whereMostMembersAreAwayNothingIsKnownToBeComplete() {
    let cast = settled(3, places: [[0, 1, 2]])
    #expect(cast[0].repair.completeSlots == slots(0))
    cast.view([0], version: 2)
    cast.run(for: 1000)
    #expect(cast[0].repair.completeSlots.isEmpty && cast[0].repair.isSettled)
  }

  // MARK: Leftovers

  @Test func leftoversAreForgottenWhenEveryMemberOfTheSlotHasThem() {
    let cast = Cast(3, places: [[0, 1]])
    cast[2].copies.put(slot(0), 1, 10)
    cast[2].copies.put(slot(0), 2, 10, isTombstone: true)
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 100)
    #expect(cast[2].repair.leftoverSlots == slots(0) && !cast[2].repair.isSettled)
    cast.run(for: 5000)
    #expect(cast[0].copies.slots == cast[1].copies.slots && cast[1].copies.keyCount(of: slot(0)) == 2)
    #expect(cast[2].notes.contains(.release(slots(0))) && cast[2].copies.keyCount(of: slot(0)) == 0)
    #expect(cast[2].repair.isSettled)
  }

  @Test func leftoversStayWhileAMemberOfTheSlotIsAwayOrOwedSomething() {
    let cast = Cast(4, places: [[0, 1, 3]])
    cast[2].copies.put(slot(0), 1, 10)
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 10_000)
    #expect(cast[0].copies[slot(0), 1] != nil && cast[2].repair.leftoverSlots == slots(0))
    cast[0].copies.owed = [slot(0)]
    cast.view([0, 1, 2, 3], version: 2)
    cast.run(for: 10_000)
    #expect(cast[2].repair.leftoverSlots == slots(0))
    cast[0].copies.owed = []
    cast.run(for: 5000)
    #expect(cast[2].repair.leftoverSlots.isEmpty)
  }

  @Test func anOldReleaseDoesNotCountForLaterLeftovers() {
    let cast = Cast(3, places: [[0, 1]])
    cast[2].copies.put(slot(0), 1, 10)
    var release: ReplicationMessage?
    cast.loses = { message, _, _ in
      if case .release = message { release = release ?? message }
      if case .release = message { return true } else { return false }
    }
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 5000)
    cast[2].copies.put(slot(0), 1, 99)
    cast.view([0, 1, 2], version: 2)
    cast.feed(2, .received(release!, from: 0))
    #expect(cast[2].copies[slot(0), 1] != nil)
  }

  @Test func anOwnerDropsFromLeftoversNothingAndTakesNothingItHasDropped() {
    let cast = Cast(3, places: [[0, 1]])
    cast.view([0, 1, 2], version: 1)
    cast.run(for: 1000)
    cast[0].copies.floors[slot(0)] = Stamp(rawValue: 50)
    cast[2].copies.put(slot(0), 1, 10)
    cast[2].copies.put(slot(0), 2, 60)
    cast.view([0, 1, 2], version: 2)
    cast.run(for: 5000)
    #expect(cast[0].copies.slots[slot(0)]?.keys.sorted() == [2])
    #expect(cast[2].repair.leftoverSlots.isEmpty)
  }
}
