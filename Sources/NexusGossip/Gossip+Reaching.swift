import NexusModel

/// Joining, leaving, exchanging full states, and looking for those who were lost.
extension Gossip {
  private static let seedsAtOnce = 3
  /// Where more news than this comes at once, the others get it from exchanges of their own.
  private static let newsOfOneState = 32

  mutating func onJoin(_ addresses: [NetworkAddress]) {
    for address in addresses where address != me.member.gossipAddress { contacts.add(address, isSeed: true) }
    if phase == .running { reach() }
  }

  /// Tries an address or some at which somebody may be.
  mutating func reach() {
    let isAlone = table.liveCount <= 1
    let pause = isAlone && clock < 30_000 ? settings.joinMilliseconds : settings.reconnectMilliseconds
    nextReachAt = clock + pause + UInt64(random.below(Int(pause / 4) + 1))
    guard phase == .running else { return }
    if isAlone {
      for _ in 0..<min(Self.seedsAtOnce, contacts.count) {
        guard let address = contacts.next(), address != me.member.gossipAddress else { continue }
        outputs.append(.synchronize(with: address))
        greet(address)
      }
    } else if contacts.count > 0 {
      var live: Set<NetworkAddress> = []
      for entry in table.entries where entry.record.status.isLive { live.insert(entry.record.member.gossipAddress) }
      for _ in 0..<contacts.count {
        guard let address = contacts.next(), !live.contains(address) else { continue }
        return greet(address)
      }
    }
  }

  /// A datagram only: a stream follows if somebody answers.
  private mutating func greet(_ address: NetworkAddress) {
    let place = table.entries.firstIndex { $0.record.member.gossipAddress == address && $0.record.status >= .dead }
    ask(
      address, nil, .contact, endsAt: clock + 2 * settings.probeTimeoutMilliseconds * health.factor, about: place)
  }

  // MARK: Full states

  mutating func onState(_ state: GossipState) {
    let mine = GossipSender(me.member)
    if state.sender.id == mine.id {
      if state.sender != mine { onRival(state.sender) }
      return
    }
    let isNew = table.place(of: state.sender.id) == nil
    let isDoubtful = doubts(state.sender.id)
    let queued = news, before = outputs.count
    lastSynchronizeAt = clock
    for record in state.records where mergesStates {
      let update = GossipUpdate(record: record, accuser: record.status == .suspect ? state.sender.id : nil)
      merge(update, isDoubtful: isDoubtful)
    }
    if outputs.count - before > Self.newsOfOneState {
      news = queued
      tell(own)
    } else if isNew {
      tell(own)
    }
  }

  /// Differing digests are news on the way, for a while; after that, something was missed.
  mutating func notice(_ sender: GossipSender, digest: UInt64) {
    guard digest != table.digest, phase == .running, clock >= nextSynchronizeAt else { return }
    if let place = table.place(of: sender.id), table.isLive(place) {
      let settled = settings.periodMilliseconds * UInt64(1 + digits(table.liveCount))
      let isLate = clock - lastSynchronizeAt >= 5 * settings.synchronizeMilliseconds
      guard clock - lastChangeAt >= settled || isLate else { return }
    } else if let record = record(of: sender.id), record.member.isLeaving {
      return
    }
    nextSynchronizeAt = clock + settings.synchronizeMilliseconds
    lastSynchronizeAt = clock
    outputs.append(.synchronize(with: sender.address))
  }

  // MARK: My own record

  mutating func onChange(_ member: Member) {
    guard phase == .running else { return }
    var member = member
    member.id = me.member.id
    member.startedAt = me.member.startedAt
    announce(over: me.incarnation, member)
  }

  mutating func onLeave() {
    guard phase == .running else { return }
    phase = .leaving(until: clock + settings.leaveMilliseconds)
    announce(over: me.incarnation)
    if table.liveCount == 0 {
      phase = .departed
      outputs.append(.departed)
    }
  }

  /// Says what I am under an incarnation above this one.
  mutating func announce(over incarnation: UInt64, _ member: Member? = nil) {
    let old = me.status
    let status = phase == .running ? MemberStatus.alive : .left
    let next = max(incarnation, me.incarnation)
    let record = MemberRecord(
      member: member ?? me.member, incarnation: next == .max ? next : next + 1, status: status)
    table.replace(own, with: record)
    lastChangeAt = clock
    tell(own)
    outputs.append(.changed(record, old: old))
    spread()
  }
}
