import NexusModel
import NexusReplication
import Testing

@Suite("Members that went without leaving")
struct AwayMembersTests {
  private static let (one, other) = (MemberID("one")!, MemberID("other")!)
  private static let hour: UInt64 = 3_600_000

  @Test("are waited for as long as the grace period, although the membership has forgotten them")
  func longGrace() {
    var members = AwayMembers(graceMilliseconds: 24 * Self.hour)
    members.note(away: [], present: [Self.one, Self.other], now: 0)
    #expect(!members.isAnyoneAway(now: 0))
    members.note(away: [Self.one], present: [Self.other], now: 1000)
    members.note(away: [], present: [Self.other], now: 2 * Self.hour)
    #expect(members.isAnyoneAway(now: 24 * Self.hour))
    #expect(!members.isAnyoneAway(now: 24 * Self.hour + 1000))
    members.note(away: [], present: [Self.other], now: 25 * Self.hour)
    #expect(!members.isAnyoneAway(now: 25 * Self.hour))
  }

  @Test("are waited for as long as they are known, although the grace period is over")
  func shortGrace() {
    var members = AwayMembers(graceMilliseconds: 60_000)
    members.note(away: [Self.one], present: [], now: 0)
    #expect(members.isAnyoneAway(now: Self.hour))
    members.note(away: [Self.one], present: [], now: Self.hour)
    #expect(members.isAnyoneAway(now: Self.hour))
    members.note(away: [], present: [], now: Self.hour + 1)
    #expect(!members.isAnyoneAway(now: Self.hour + 1))
  }

  @Test("are not waited for once they are back, or have said goodbye")
  func back() {
    var members = AwayMembers(graceMilliseconds: Self.hour)
    members.note(away: [Self.one, Self.other], present: [], now: 0)
    members.note(away: [Self.other], present: [Self.one], now: 10)
    #expect(members.isAnyoneAway(now: 10))
    members.note(away: [], present: [Self.one, Self.other], now: 20)
    #expect(!members.isAnyoneAway(now: 20))
  }
}
