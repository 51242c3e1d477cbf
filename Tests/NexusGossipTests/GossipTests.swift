import NexusModel
import Testing

@testable import NexusGossip

/// One node, fed by hand.
@Suite struct GossipTests {
  @Test func aPingIsAnswered() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    let outputs = gossip.step(Cast.news(from: "b", [], kind: .ping(sequence: 5, target: MemberID("a")!)), now: 10)
    #expect(outputs.messages(to: "b").map(\.kind) == [.ack(sequence: 5, of: MemberID("a")!)])
    #expect(outputs.messages.first?.digest == gossip.membershipDigest)
  }

  @Test func whoDoesNotAnswerIsProbedByOthersThenSuspectedThenDeadThenForgotten() throws {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c")])
    let outputs = gossip.idle(until: 60_000)
    #expect(outputs.contains { if case .pingOverStream = $0 { true } else { false } })
    #expect(outputs.messages.contains { if case .pingRequest = $0.kind { true } else { false } })
    let fate = outputs.changes.filter { $0.member.id.text == "b" }.map(\.status)
    #expect(fate == [.suspect, .dead, .left])
    #expect(gossip.liveCount == 1)
  }

  @Test func silenceOfTheWholeWorldIsBlamedOnMyself() {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c"), Cast.record("d"), Cast.record("e")])
    _ = gossip.idle(until: 1000)
    #expect(gossip.healthScore >= 2)
  }

  @Test func aSuspicionOfMyselfIsRefuted() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    let outputs = gossip.step(
      Cast.news(from: "b", [GossipUpdate(record: Cast.record("a", 0, .suspect), accuser: MemberID("b")!)]), now: 10)
    #expect(gossip.me.incarnation == 1 && gossip.me.status == .alive)
    #expect(outputs.messages(to: "b").contains { $0.updates.contains { $0.record == gossip.me } })
    #expect(gossip.healthScore == 1)
  }

  @Test func whoWasLostIsNotBelievedWhenItSaysThatOthersAreDead() {
    let b = Cast.record("b"), lost = Cast.record("c", 0, .dead)
    var gossip = Cast.core("a", knowing: [b, lost])
    let back = [Cast.record("c", 1), Cast.record("b", 0, .dead)]
    let news = Cast.news(from: "c", back.map { GossipUpdate(record: $0) })
    #expect(gossip.step(news, now: 10).changes.map(\.status) == [.alive, .suspect])
    let list = GossipInput.state(GossipState(sender: GossipSender(Cast.member("c")), records: back))
    for again in [news, list] { #expect(gossip.step(again, now: 20).changes.isEmpty) }
    var silence = gossip
    _ = gossip.step(Cast.news(from: "b", [GossipUpdate(record: Cast.record("b", 1))]), now: 30)
    #expect(gossip.record(of: b.member.id)?.status == .alive)
    // It is no lie for ever.
    #expect(silence.idle(until: 1000).changes.contains(Cast.record("b", 0, .dead)))
    // Nobody else's word is doubted.
    _ = gossip.step(Cast.news(from: "x", [GossipUpdate(record: Cast.record("b", 1, .dead))]), now: 40)
    #expect(gossip.record(of: b.member.id)?.status == .dead)
  }

  @Test func myRefutationIsRepeatedToWhoMissedIt() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    let suspicion = [GossipUpdate(record: Cast.record("a", 0, .suspect), accuser: MemberID("b")!)]
    _ = gossip.step(Cast.news(from: "b", suspicion), now: 10)
    for now in UInt64(11)...200 { _ = gossip.step(.tick, now: now) }
    let outputs = gossip.step(
      Cast.news(from: "b", suspicion, kind: .ping(sequence: 1, target: MemberID("a")!)), now: 201)
    #expect(outputs.messages(to: "b").first?.updates.first?.record == gossip.me)
  }

  @Test func aRestartedMemberStandsAboveItsFormerSelf() {
    var gossip = Gossip(member: Cast.member("a", startedAt: 2000), seed: 1, now: 0)
    let former = Cast.record("a", 7, .dead, startedAt: 1000)
    let state = GossipState(
      sender: GossipSender(Cast.member("b")), records: [former, Cast.record("b")])
    let outputs = gossip.step(.state(state), now: 5)
    #expect(gossip.me == MemberRecord(member: Cast.member("a", startedAt: 2000), incarnation: 8, status: .alive))
    #expect(outputs.changes.contains(gossip.me))
  }

  @Test func aPauseIsNotTheOthersFault() {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c")])
    let outputs = gossip.idle(until: 250) + gossip.step(.tick, now: 60_000)
    #expect(!outputs.changes.contains { $0.status == .dead })
    #expect(gossip.healthScore > 0)
  }

  @Test func aRefusedConnectionAndSilenceMakeAShortPath() {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c")])
    let address = Cast.member("b").gossipAddress
    let hint = gossip.step(.streamBroken(address), now: 1)
    #expect(hint.contains { if case .pingOverStream(address, _) = $0 { true } else { false } })
    _ = gossip.step(.streamFailed(address, isRefused: true), now: 2)
    _ = gossip.idle(until: 500)
    #expect(gossip.record(of: MemberID("b")!)?.status == .dead)
  }

  @Test func aRefusedConnectionAloneHarmsNobodyWhoAnswers() throws {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c")])
    let address = Cast.member("b").gossipAddress
    let hint = gossip.step(.streamBroken(address), now: 1)
    _ = gossip.step(.streamFailed(address, isRefused: true), now: 2)
    guard case .ping(let sequence, _)? = hint.messages(to: "b").first?.kind else {
      Issue.record("no ping: \(hint)")
      return
    }
    _ = gossip.step(Cast.news(from: "b", [], kind: .ack(sequence: sequence, of: MemberID("b")!)), now: 3)
    let later = gossip.idle(until: 199)
    #expect(!later.changes.contains { $0.member.id.text == "b" })
  }

  @Test func anotherWhoAnswersInsteadIsReported() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    let pings = gossip.idle(until: 200).messages(to: "b")
    guard case .ping(let sequence, _)? = pings.first(where: { if case .ping = $0.kind { true } else { false } })?.kind
    else {
      Issue.record("no ping: \(pings)")
      return
    }
    let outputs = gossip.step(Cast.news(from: "x", [], kind: .ack(sequence: sequence, of: MemberID("x")!)), now: 201)
    #expect(outputs.contains(.misdirected(Cast.record("b"), answeredBy: MemberID("x")!)))
  }

  @Test func askedToAskANodeSaysWhatItHears() {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c")])
    let request = GossipMessage.Kind.pingRequest(
      sequence: 9, target: MemberID("c")!, address: Cast.member("c").gossipAddress)
    let asked = gossip.step(Cast.news(from: "b", [], kind: request), now: 1)
    guard case .ping(let sequence, _)? = asked.messages(to: "c").first?.kind else {
      Issue.record("not asked: \(asked)")
      return
    }
    // Nothing for a while: the asker learns that it is heard. An answer that comes late is still passed on.
    let nacks = gossip.idle(until: 90).messages(to: "b").filter { $0.kind == .nack(sequence: 9) }
    #expect(nacks.count == 1)
    let late = gossip.step(Cast.news(from: "c", [], kind: .ack(sequence: sequence, of: MemberID("c")!)), now: 91)
    #expect(late.messages(to: "b").map(\.kind) == [.ack(sequence: 9, of: MemberID("c")!)])
  }

  @Test func differingDigestsLeadToOneExchangeASecond() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    var exchanges = 0
    for now in stride(from: UInt64(2000), to: 5000, by: 50) {
      let input = Cast.news(from: "b", [], kind: .ping(sequence: 1, target: MemberID("a")!), digest: 1)
      exchanges += gossip.step(input, now: now).synchronized.count
    }
    #expect((2...3).contains(exchanges))
    let agreed = Cast.news(from: "b", [], digest: gossip.membershipDigest)
    let quiet = gossip.step(agreed, now: 9000)
    #expect(quiet.synchronized.isEmpty)
  }

  @Test func aGoodbyeEnds() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    let outputs = gossip.step(.leave, now: 10) + gossip.idle(until: 5000)
    #expect(outputs.messages(to: "b").contains { $0.updates.contains { $0.record.status == .left } })
    #expect(outputs.last == .departed)
    #expect(gossip.isStopped && gossip.nextDeadline == nil)
    let after = gossip.step(.tick, now: 6000)
    #expect(after.isEmpty)
  }

  @Test func aLonelyNodeLeavesAtOnce() {
    var gossip = Cast.core("a")
    let outputs = gossip.step(.leave, now: 10)
    #expect(outputs.contains(.departed))
  }

  @Test func seedsAreAskedUntilOneAnswers() {
    var gossip = Cast.core("a")
    let seed = NetworkAddress(host: "10.0.0.9", port: 7946)
    var asked = gossip.step(.join([seed]), now: 0).synchronized
    asked += gossip.idle(until: 2000).synchronized
    #expect(asked.count >= 4 && asked.allSatisfy { $0 == seed })
    // A datagram to the seed that comes back from myself: it is one of my own addresses.
    let mine = GossipMessage(sender: GossipSender(gossip.me.member), digest: 0, kind: .gossip, updates: [])
    _ = gossip.step(.received(mine, from: seed), now: 2001)
    let later = gossip.idle(until: 5000)
    #expect(later.synchronized.isEmpty)
  }

  @Test func myOwnWordIsMineToChange() {
    var gossip = Cast.core("a", knowing: [Cast.record("b")])
    var changed = Cast.member("a", startedAt: 5)
    changed.id = MemberID("z")!
    changed.weight = 250
    let outputs = gossip.step(.change(changed), now: 1)
    #expect(gossip.me.member.id.text == "a" && gossip.me.member.startedAt == 1000)
    #expect(gossip.me.member.weight == 250 && gossip.me.incarnation == 1)
    #expect(outputs.contains(.digestChanged(gossip.membershipDigest)))
  }

  @Test func tombstonesAreForgottenWithoutATrace() {
    var gossip = Cast.core("a", knowing: [Cast.record("b"), Cast.record("c", 3, .left), Cast.record("d", 3, .left)])
    #expect(gossip.records.count == 4)
    let before = gossip.membershipDigest
    var now: UInt64 = 0
    // B keeps answering.
    while now < 3_700_000 {
      now = gossip.nextDeadline!
      for message in gossip.step(.tick, now: now).messages(to: "b") {
        guard case .ping(let sequence, _) = message.kind else { continue }
        _ = gossip.step(
          Cast.news(
            from: "b", [], kind: .ack(sequence: sequence, of: MemberID("b")!), digest: gossip.membershipDigest),
          now: now)
      }
    }
    #expect(gossip.records.count == 2)
    #expect(gossip.membershipDigest == before)
    #expect(gossip.record(of: MemberID("b")!)?.status == .alive)
  }
}
