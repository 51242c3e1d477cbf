import NexusModel

/// The other process that claims this node's id, while it is being found out whether it lives.
struct Rival: Sendable {
  var sender: GossipSender
  /// Its highest claim.
  var incarnation: UInt64
  var attemptsLeft: Int
  /// How often it came back over a claim of mine. A dead one cannot: only its old news comes, with one highest claim.
  var returns = 0
}

/// What others say of this node, and what another process says in its name.
extension Gossip {
  private static let challenges = 3
  /// Claims over mine from an elder that never answers a challenge: it lives behind a one-way network.
  private static let returnsOfTheLiving = 3

  mutating func meetMyself(_ record: MemberRecord) {
    let mine = me
    guard record.incarnation >= mine.incarnation, record != mine else { return }
    let claim = GossipSender(record.member), mySelf = GossipSender(mine.member)
    if claim == mySelf || claim.address == mySelf.address {
      // Suspicion, or my former self at this address: refuted (SWIM, section 4.2).
      guard record.incarnation > mine.incarnation || record.status > mine.status || claim != mySelf else { return }
      if record.status > .alive, claim == mySelf { health.worsen() }
      announce(over: record.incarnation)
    } else if record.status >= .dead || phase != .running {
      announce(over: record.incarnation)
    } else if mySelf.isElder(than: claim) {
      // I know that I live, and have the right.
      announce(over: record.incarnation)
      challenge(claim, record.incarnation)
    } else if var known = rival, known.sender == claim {
      if record.incarnation > known.incarnation {
        known.incarnation = record.incarnation
        known.returns += known.attemptsLeft == 0 ? 1 : 0
        rival = known
        if known.returns >= Self.returnsOfTheLiving { return onRival(claim) }
      }
      if known.attemptsLeft == 0 { announce(over: record.incarnation) }
    } else {
      challenge(claim, record.incarnation)
    }
  }

  /// Asks the other process whether it lives. Whatever it answers carries who it is.
  private mutating func challenge(_ claim: GossipSender, _ incarnation: UInt64) {
    guard rival?.sender != claim || rival?.attemptsLeft == 0 else { return }
    rival = Rival(
      sender: claim, incarnation: incarnation, attemptsLeft: Self.challenges, returns: rival?.returns ?? 0)
    outputs.append(.synchronize(with: claim.address))
    challengeAgain()
  }

  private mutating func challengeAgain() {
    guard let rival else { return }
    ask(rival.sender.address, me.member.id, .challenge, endsAt: clock + settings.periodMilliseconds)
  }

  mutating func onUnansweredChallenge() {
    guard var known = rival, known.attemptsLeft > 0 else { return }
    known.attemptsLeft -= 1
    rival = known
    if known.attemptsLeft > 0 { return challengeAgain() }
    // Nobody there: that was my former self, at its old address.
    if known.incarnation >= me.incarnation { announce(over: known.incarnation) }
  }

  /// A message under my id: from the other process, or my own that came back.
  mutating func onNamesake(_ message: GossipMessage, from address: NetworkAddress) {
    guard message.sender != GossipSender(me.member) else { return contacts.removeMine(address) }
    // The later one learns who it meets by whatever comes back.
    if GossipSender(me.member).isElder(than: message.sender) {
      if case .ping(let sequence, _) = message.kind {
        send(.ack(sequence: sequence, of: me.member.id), to: address)
      } else {
        send(.gossip, to: address)
      }
    }
    onRival(message.sender)
  }

  /// Another process with my id lives: that is certain now. One of the two stops.
  mutating func onRival(_ other: GossipSender) {
    let mine = GossipSender(me.member)
    let mustStop = other.isElder(than: mine)
    if mustStop || reportedRival != other {
      outputs.append(.conflict(GossipConflict(mine: mine, other: other, mustStop: mustStop)))
    }
    reportedRival = other
    if mustStop {
      phase = .stopped
    } else if rival?.sender == other {
      rival = nil
    }
  }
}
