import NexusModel
import NexusReplication
import Testing

@Suite struct ReplicaSetsTests {
  /// Four slots of three copies on members 0 to 3; member 3 is dead.
  private let sets = ReplicaSets(
    me: 0, copies: 3, places: [0, 1, 2] + [1, 0, 3] + [3, 2, 1] + [3, 0, 2], owners: [0, 1, 2, 0], live: [0, 1, 2])

  @Test func aSlotHasItsMembersAndOneThatExecutesIt() {
    #expect(sets.members(of: slot(1)) == [1, 0, 3])
    #expect(sets.owner(of: slot(1)) == 1)
    #expect(sets.owner(of: slot(3)) == 0)
    #expect((0...4).map { sets.role(in: slot($0)) } == [.owner, .replica, .none, .owner, .none])
  }

  @Test func aWriteGoesToEveryOtherMemberDeadOnesToo() {
    #expect((0...4).map { sets.others(of: slot($0)) } == [[1, 2], [1, 3], [3, 2, 1], [3, 2], []])
  }

  @Test func slotsWithTheSameOthersShareAGroup() {
    let places: [MemberNumber] = [0, 1, 1, 0, 0, 1, 2, 1, 0, 2]
    let sets = ReplicaSets(me: 0, copies: 2, places: places, owners: [0, 1, 0, 2, 0], live: [0, 1, 2])
    #expect(sets.groups == [[1], [2, 1], [2]])
    #expect(sets.groupOfSlot == [0, 0, 0, 1, 2])
  }

  @Test func membersShareSlots() {
    #expect(sets.slots(of: 0) == slots(0, 1, 3))
    #expect(sets.slots(executedBy: 0) == slots(0, 3))
    #expect(sets.shared(with: 2) == slots(0, 3))
    #expect(sets.slots(of: 9).isEmpty)
  }

  @Test func slotsAreCountedByTheirLivingMembers() {
    #expect(sets.everyoneIsLive == slots(0))
    #expect(sets.majorityIsLive == slots(0, 1, 2, 3))
    let alone = ReplicaSets(me: 0, copies: 2, places: [0, 1, 1, 2], owners: [0, 0], live: [0])
    #expect(alone.majorityIsLive.isEmpty)
    // All of slot 1's members are dead: member 0 stands in.
    #expect(alone.role(in: slot(1)) == .owner && alone.slots(of: 0) == slots(0))
  }

  @Test func aPlaceThatNobodyTakesIsNoMember() {
    let nobody = ReplicaSets.nobody
    let sets = ReplicaSets(me: 0, copies: 2, places: [0, nobody], owners: [0], live: [0])
    #expect(sets.members(of: slot(0)) == [0] && sets.others(of: slot(0)).isEmpty)
    #expect(sets.everyoneIsLive == slots(0))
  }
}
