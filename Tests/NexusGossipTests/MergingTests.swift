import NexusModel
import Testing

@testable import NexusGossip

/// What makes views agree, whatever order news comes in.
@Suite struct MergingTests {
  private func randomRecords(_ random: inout GossipRandom, count: Int) -> [MemberRecord] {
    (0..<count).map { _ in
      Cast.record(
        "m\(random.below(6))", UInt64(random.below(4)), MemberStatus.allCases[random.below(4)],
        startedAt: UInt64(random.below(2)), port: UInt16(1 + random.below(2)))
    }
  }

  @Test(arguments: 1...20)
  func theOrderOfNewsMakesNoDifference(seed: Int) {
    var random = GossipRandom(seed: UInt64(seed))
    var records = randomRecords(&random, count: 60)
    var digests: Set<UInt64> = []
    for _ in 0..<4 {
      var gossip = Gossip(member: Cast.member("me"), seed: 1, now: 0)
      for index in stride(from: records.count - 1, to: 0, by: -1) { records.swapAt(index, random.below(index + 1)) }
      for record in records { _ = gossip.step(Cast.news(from: "x", [GossipUpdate(record: record)]), now: 1) }
      digests.insert(gossip.membershipDigest)
      #expect(gossip.membershipDigest == gossip.records.reduce(0) { $0 &+ $1.digest }, "seed \(seed)")
    }
    #expect(digests.count == 1, "seed \(seed)")
  }

  @Test(arguments: 1...20)
  func oneOfTwoDifferentRecordsStays(seed: Int) {
    var random = GossipRandom(seed: UInt64(seed))
    let records = randomRecords(&random, count: 40)
    for left in records {
      for right in records where left.member.id == right.member.id {
        let wins = (MemberRecord.supersedes(left, right) ? 1 : 0) + (MemberRecord.supersedes(right, left) ? 1 : 0)
        #expect(wins == (left == right ? 0 : 1), "seed \(seed): \(left) \(right)")
      }
    }
  }

  @Test func everyFieldCountsInTheDigest() {
    let record = Cast.record("a")
    var others: [MemberRecord] = []
    func vary(_ change: (inout MemberRecord) -> Void) {
      var other = record
      change(&other)
      others.append(other)
    }
    vary { $0.member.id = MemberID("b")! }
    vary { $0.member.host = "127.0.0.2" }
    vary { $0.member.peerPort = 1 }
    vary { $0.member.redisPort = 1 }
    vary { $0.member.clusterPort = 1 }
    vary { $0.member.httpPort = 1 }
    vary { $0.member.zone = "z" }
    vary { $0.member.version = "z" }
    vary { $0.member.weight = 1 }
    vary { $0.member.isLeaving = true }
    vary { $0.member.isJoining = true }
    vary { $0.member.startedAt = 1 }
    vary { $0.incarnation = 1 }
    vary { $0.status = .suspect }
    vary { $0.status = .dead }
    vary { $0.status = .left }
    #expect(Set(others.map(\.digest) + [record.digest]).count == others.count + 1)
    #expect(others.last?.digest == 0)
  }

  @Test func whoLeftLongAgoIsRememberedSilently() {
    var gossip = Cast.core("a")
    let outputs = gossip.step(Cast.news(from: "x", [GossipUpdate(record: Cast.record("b", 3, .left))]), now: 1)
    #expect(outputs.changes.isEmpty)
    _ = gossip.step(Cast.news(from: "x", [GossipUpdate(record: Cast.record("b", 3))]), now: 2)
    #expect(gossip.liveCount == 1)
    let back = gossip.step(Cast.news(from: "x", [GossipUpdate(record: Cast.record("b", 4))]), now: 3)
    #expect(back.contains(.changed(Cast.record("b", 4), old: .left)))
  }

  @Test func newsFitsTheDatagramNewestFirstAndEnds() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    for number in 0..<100 {
      _ = gossip.step(Cast.news(from: "x", [GossipUpdate(record: Cast.record("member-\(number)"))]), now: 1)
    }
    let ping = Cast.news(from: "b", [], kind: .ping(sequence: 1, target: MemberID("a")!))
    let first = gossip.step(ping, now: 2).messages(to: "b")[0]
    #expect(first.updates.first?.record.member.id.text == "member-99")
    #expect(first.updates.count >= 5)
    #expect(first.updates.reduce(0) { $0 + $1.estimatedBytes } <= GossipSettings().datagramBytes)
    var told: [String: Int] = [:]
    for _ in 0..<1000 {
      for update in gossip.step(ping, now: 2).messages(to: "b")[0].updates {
        told[update.record.member.id.text, default: 0] += 1
      }
    }
    // Four times the digits of 102 members, once of them before.
    #expect(told["member-0"] == 12 && told["member-99"] == 11)
  }

  @Test func confirmationsShortenASuspicion() {
    var suspicion = Suspicion(startedAt: 0, accuser: MemberID("a")!, live: 10, settings: GossipSettings())
    #expect(suspicion.deadline == 3000)
    var deadlines: [UInt64] = []
    // Its own accuser confirms nothing, and a fourth confirmation is none.
    for id in ["a", "b", "c", "d", "e"] {
      let counts = suspicion.confirm(MemberID(id)!)
      #expect(counts == ["b", "c", "d"].contains(id))
      deadlines.append(suspicion.deadline)
    }
    #expect(deadlines == [3000, 1800, 1100, 600, 600])
    suspicion.cap(at: 250)
    #expect(suspicion.deadline == 250)
  }

  @Test func contactsAreBoundedAndSeedsStay() {
    var contacts = Contacts(limit: 3)
    func address(_ port: UInt16) -> NetworkAddress { NetworkAddress(host: "h", port: port) }
    contacts.add(address(1), isSeed: true)
    for port in UInt16(2)...9 { contacts.add(address(port)) }
    contacts.remove(address(1))
    #expect(contacts.count == 3)
    #expect(Set((0..<6).compactMap { _ in contacts.next()?.port }) == [1, 8, 9])
  }
}
