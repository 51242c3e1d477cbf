import NexusModel
import NexusRing
import Testing

@testable import NexusCluster

@Suite("News of members")
struct MembershipNewsTests {
  func record(
    _ status: MemberStatus, joining: Bool = false, leaving: Bool = false, startedAt: UInt64 = 1
  ) -> MemberRecord {
    var member = Member(id: MemberID("n2")!, host: "10.0.0.2", peerPort: 7946, startedAt: startedAt)
    (member.isJoining, member.isLeaving) = (joining, leaving)
    return MemberRecord(member: member, incarnation: 0, status: status)
  }

  func told(_ records: MemberRecord...) -> [String] {
    var news = MembershipNews()
    return records.flatMap { news.note($0) }.map(\.rawValue)
  }

  @Test("a life: joined, suspected, cleared, dead, back, leaving, left, each once")
  func life() {
    #expect(
      told(
        record(.alive, joining: true), record(.alive), record(.alive), record(.suspect), record(.suspect),
        record(.alive), record(.suspect), record(.dead), record(.dead), record(.alive), record(.alive, leaving: true),
        record(.left, leaving: true), record(.left, leaving: true))
        == ["joined", "suspected", "cleared", "suspected", "dead", "back", "leaving", "left"])
  }

  @Test("who only looks for a cluster is no news, nor are members that left before")
  func nobody() {
    #expect(told(record(.alive, joining: true), record(.suspect, joining: true), record(.dead, joining: true)) == [])
    #expect(told(record(.left)) == [])
    #expect(told(record(.dead)) == ["dead"], "it has places in the placement")
  }

  @Test("a process that is there again before anybody missed it has restarted")
  func restarting() {
    #expect(
      told(record(.alive), record(.alive, joining: true, startedAt: 2), record(.alive, startedAt: 2))
        == ["joined", "restarted"])
    #expect(
      told(record(.alive), record(.dead), record(.alive, joining: true, startedAt: 2), record(.alive, startedAt: 2))
        == ["joined", "dead", "back"])
  }

  @Test("slots that move are counted by where from and where to, in ranges")
  func moves() throws {
    func placement(_ names: [String], dead: String? = nil) throws -> Placement {
      let records = names.map { name in
        MemberRecord(
          member: Member(id: MemberID(name)!, host: "h", peerPort: 1), incarnation: 0,
          status: name == dead ? .dead : .alive)
      }
      return Placement(of: records, settings: try RingSettings(hash: .xxh3, virtualNodes: 150, copies: 2))
    }
    let (two, three) = (try placement(["a", "b"]), try placement(["a", "b", "c"]))
    #expect(SlotMoves(from: three, to: three).moves.isEmpty)
    let first = SlotMoves(from: nil, to: two).moves
    #expect(first.allSatisfy { $0.from == nil } && first.reduce(0) { $0 + $1.slots.count } == Slot.count)
    let grown = SlotMoves(from: two, to: three).moves
    #expect(grown.contains { $0.to == MemberID("c") && $0.slots.count > 1000 })
    for move in grown {
      let slots = move.slots.ranges.flatMap { $0.map { Slot(index: $0) } }
      #expect(SlotSet(slots) == move.slots)
      for slot in slots {
        #expect(two.executingOwner(of: slot) == move.from && three.executingOwner(of: slot) == move.to)
      }
    }
    let lost = SlotMoves(from: three, to: try placement(["a", "b", "c"], dead: "c")).moves
    #expect(!lost.isEmpty && lost.allSatisfy { $0.from == MemberID("c") })
  }
}
