import NexusModel

/// A question that waits for its answer.
struct Probe: Sendable {
  enum Purpose: Sendable {
    /// The one of this period.
    case regular
    /// There is a hint that the member is gone.
    case urgent
    /// Is anybody there, where a lost member was?
    case contact
    /// Does the other process with my id live?
    case challenge
  }

  var purpose: Purpose
  var sequence: UInt32
  /// Nil: whoever answers is welcome.
  var target: MemberID?
  var address: NetworkAddress
  /// When others are asked to ask.
  var relayAt: UInt64
  var endsAt: UInt64
  var nacksExpected = 0
  var nacks = 0
  /// The target's host says that nobody listens, or somebody else answers there.
  var isRefused = false
}

/// A question that was asked for somebody else.
struct Relay: Sendable {
  static let limit = 256

  var sequence: UInt32
  var target: MemberID
  var requester: NetworkAddress
  var requesterSequence: UInt32
  var nackAt: UInt64
  var endsAt: UInt64
}

/// SWIM's failure detector (sections 3.1 and 4.3) with Lifeguard's scaling and nacks (section IV-A).
extension Gossip {
  mutating func onMessage(_ message: GossipMessage, from address: NetworkAddress) {
    if message.sender.id == me.member.id { return onNamesake(message, from: address) }
    var outdated: Int?
    let isDoubtful = doubts(message.sender.id)
    for update in message.updates {
      if let place = merge(update, isDoubtful: isDoubtful), outdated != own { outdated = place }
    }
    notice(message.sender, digest: message.digest)
    let place = table.place(of: message.sender.id)
    switch message.kind {
    case .ping(let sequence, _):
      // Also if somebody else was meant: the answer says who lives here.
      send(.ack(sequence: sequence, of: me.member.id), to: address, about: buddy(place) ?? outdated)
    case .pingRequest(let sequence, let target, let targetAddress):
      guard relays.count < Relay.limit else { return }
      let timeout = settings.probeTimeoutMilliseconds
      let relay = Relay(
        sequence: nextSequence(), target: target, requester: address, requesterSequence: sequence,
        nackAt: clock + timeout * 8 / 10, endsAt: clock + 4 * timeout)
      relays.append(relay)
      send(.ping(sequence: relay.sequence, target: target), to: targetAddress, about: buddy(table.place(of: target)))
    case .ack(let sequence, let id): onAnswer(sequence, of: id, from: message.sender.id)
    case .nack(let sequence):
      if let index = probes.firstIndex(where: { $0.sequence == sequence }) { probes[index].nacks += 1 }
    case .gossip:
      // Somebody missed my refutation: nobody else may be telling it any more.
      if outdated == own { send(.gossip, to: address, about: own) }
    }
  }

  mutating func onAnswer(_ sequence: UInt32, of id: MemberID, from responder: MemberID) {
    if let index = relays.firstIndex(where: { $0.sequence == sequence }) {
      guard relays[index].target == id else { return }
      let relay = relays.remove(at: index)
      return send(.ack(sequence: relay.requesterSequence, of: id), to: relay.requester)
    }
    guard let index = probes.firstIndex(where: { $0.sequence == sequence }) else { return }
    guard probes[index].target == nil || probes[index].target == id else { return onMisdirected(index, by: id) }
    let probe = probes.remove(at: index)
    switch probe.purpose {
    case .regular: health.improve()
    case .contact:
      if let place = table.place(of: id), table.isLive(place) { contacts.remove(probe.address) }
    case .urgent, .challenge: break
    }
  }

  private mutating func onMisdirected(_ index: Int, by id: MemberID) {
    guard probes[index].purpose != .challenge, let target = probes[index].target, let record = record(of: target) else {
      return
    }
    outputs.append(.misdirected(record, answeredBy: id))
    probes[index].isRefused = true
    probes[index].endsAt = clock
  }

  // MARK: The period

  /// Begins a period.
  mutating func probe() {
    nextProbeAt = clock + settings.periodMilliseconds * health.factor
    guard let place = nextTarget() else { return }
    begin(.regular, place)
  }

  private mutating func nextTarget() -> Int? {
    while let place = probeNext.popLast() {
      let id = table.entries[place].record.member.id
      if place != own, table.isLive(place), !probes.contains(where: { $0.target == id }) { return place }
    }
    for _ in 0..<(2 * round.count) {
      if cursor >= round.count { cursor = 0 }
      round.swapAt(cursor, cursor + random.below(round.count - cursor))
      let place = round[cursor]
      cursor += 1
      if place != own, table.isLive(place) { return place }
    }
    return nil
  }

  private mutating func begin(_ purpose: Probe.Purpose, _ place: Int) {
    let member = table.entries[place].record.member
    let timeout = settings.probeTimeoutMilliseconds * health.factor
    let end = purpose == .regular ? nextProbeAt : clock + timeout
    // A probe that a hint led to asks everybody at once.
    let relayAt = purpose == .urgent ? clock : clock + timeout
    ask(member.gossipAddress, member.id, purpose, relayAt: relayAt, endsAt: end, about: buddy(place))
    if purpose == .urgent { askOthers(probes.count - 1) }
  }

  mutating func ask(
    _ address: NetworkAddress, _ target: MemberID?, _ purpose: Probe.Purpose, relayAt: UInt64 = .max, endsAt: UInt64,
    about place: Int? = nil
  ) {
    let sequence = nextSequence()
    probes.append(
      Probe(
        purpose: purpose, sequence: sequence, target: target, address: address, relayAt: relayAt, endsAt: endsAt))
    send(.ping(sequence: sequence, target: target), to: address, about: place)
  }

  private mutating func askOthers(_ index: Int) {
    probes[index].relayAt = .max
    let probe = probes[index]
    guard let target = probe.target else { return }
    let helpers = randomLive(settings.indirectProbes, except: table.place(of: target) ?? own)
    probes[index].nacksExpected = helpers.count
    for helper in helpers {
      let kind = GossipMessage.Kind.pingRequest(sequence: probe.sequence, target: target, address: probe.address)
      send(kind, to: table.entries[helper].record.member.gossipAddress, about: buddy(helper))
    }
    outputs.append(.pingOverStream(probe.address, sequence: probe.sequence))
  }

  mutating func endProbes() {
    var index = 0
    while index < probes.count {
      if clock >= probes[index].endsAt {
        fail(probes.remove(at: index))
        continue
      }
      if clock >= probes[index].relayAt { askOthers(index) }
      index += 1
    }
  }

  private mutating func fail(_ probe: Probe) {
    switch probe.purpose {
    case .contact: return
    case .challenge: return onUnansweredChallenge()
    case .regular:
      // Helpers that say nothing either: it may be this node that does not hear (Lifeguard, section IV-A).
      health.worsen(by: probe.nacksExpected > 0 ? max(0, probe.nacksExpected - probe.nacks) : 1)
    case .urgent: break
    }
    guard let target = probe.target, let place = table.place(of: target) else { return }
    // It moved meanwhile: what does not answer is its old address.
    guard table.entries[place].record.member.gossipAddress == probe.address else { return }
    accuse(place, isRefused: probe.isRefused)
  }

  mutating func endRelays() {
    for index in relays.indices where clock >= relays[index].nackAt {
      relays[index].nackAt = .max
      send(.nack(sequence: relays[index].requesterSequence), to: relays[index].requester)
    }
    relays.removeAll { clock >= $0.endsAt }
  }

  // MARK: Hints

  mutating func onStreamBroken(_ address: NetworkAddress) {
    guard let place = livePlace(at: address) else { return }
    let id = table.entries[place].record.member.id
    guard !probes.contains(where: { $0.purpose == .urgent && $0.target == id }) else { return }
    begin(.urgent, place)
  }

  mutating func onStreamFailed(_ address: NetworkAddress, isRefused: Bool) {
    guard isRefused else { return }
    var isKnown = false
    for index in probes.indices where probes[index].address == address && probes[index].target != nil {
      probes[index].isRefused = true
      isKnown = true
    }
    if !isKnown { onStreamBroken(address) }
  }

  func livePlace(at address: NetworkAddress) -> Int? {
    table.entries.indices.first {
      $0 != own && table.isLive($0) && table.entries[$0].record.member.gossipAddress == address
    }
  }

  private mutating func nextSequence() -> UInt32 {
    sequence &+= 1
    return sequence
  }
}
