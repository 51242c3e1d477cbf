import NexusModel

/// Views merge like sets, line by line: whatever order news comes in, the result is the same.
extension Gossip {
  /// Returns the place of the member in question if this node knows better than that.
  /// - Parameter isDoubtful: it comes from somebody who was cut off from this node.
  @discardableResult
  mutating func merge(_ update: GossipUpdate, isDoubtful: Bool) -> Int? {
    let record = update.record
    if record.member.id == me.member.id {
      let isOld = record.incarnation < me.incarnation
      meetMyself(record)
      return isOld ? own : nil
    }
    guard let place = table.place(of: record.member.id) else {
      let place = table.insert(record)
      round.append(place)
      settle(place, old: nil, accuser: update.accuser)
      return nil
    }
    let known = table.entries[place].record
    if supersedes(record, known) {
      if isDoubtful, doubts(record, place) { return suspect(record, place) }
      table.replace(place, with: record)
      settle(place, old: known, accuser: update.accuser)
    } else if record.incarnation == known.incarnation, record.status == .suspect, known.status == .suspect {
      confirm(place, accuser: update.accuser)
    } else if known != record {
      return place
    }
    return nil
  }

  /// This node itself found out.
  mutating func become(_ status: MemberStatus, _ place: Int) {
    var record = table.entries[place].record
    let old = record
    record.status = status
    table.replace(place, with: record)
    settle(place, old: old, accuser: status == .suspect ? me.member.id : nil)
  }

  /// What follows from a new line in the table, wherever it came from.
  private mutating func settle(_ place: Int, old: MemberRecord?, accuser: MemberID?) {
    let record = table.entries[place].record
    lastChangeAt = clock
    suspicions[place] = nil
    leftAt[place] = nil
    if let old, !old.status.isLive, record.status.isLive {
      let moment = clock, patience = settings.doubtMilliseconds
      returnedAt = returnedAt.filter { moment < $0.value + patience }
      returnedAt[record.member.id] = clock
    }
    switch record.status {
    case .alive: contacts.remove(record.member.gossipAddress)
    case .suspect: suspect(place, accuser: accuser)
    case .dead:
      contacts.add(record.member.gossipAddress)
      wake(place, .forgetting, after: settings.forgetAfterMilliseconds)
    case .left:
      // Who said goodbye need not be looked for; who was forgotten may live behind a broken network.
      if let old, old.status.isLive {
        if record.member.isLeaving || record.incarnation > old.incarnation {
          contacts.remove(record.member.gossipAddress)
        } else {
          contacts.add(record.member.gossipAddress)
        }
      }
      leftAt[place] = clock
      wake(place, .tombstone, after: settings.rememberLeftMilliseconds)
    }
    tell(place)
    // That somebody unknown left long ago is no news to the outside.
    if old == nil, record.status == .left { return }
    outputs.append(.changed(record, old: old?.status))
  }

  private mutating func wake(_ place: Int, _ purpose: Deadlines.Purpose, after milliseconds: UInt64) {
    let version = table.entries[place].version
    timers.add(Deadlines.Timer(at: clock + milliseconds, purpose: purpose, place: place, version: version))
  }

  // MARK: Suspicion

  /// Whoever was lost to this node until just now may have lost all others by the same cut: that they died is no news
  /// before they had the time to refute it.
  func doubts(_ sender: MemberID) -> Bool {
    guard let place = table.place(of: sender) else { return false }
    if !table.isLive(place) { return true }
    guard let since = returnedAt[sender] else { return false }
    return clock < since + settings.doubtMilliseconds
  }

  private func doubts(_ record: MemberRecord, _ place: Int) -> Bool {
    guard record.status == .dead else { return false }
    return table.entries[place].record.status == .alive || suspicions[place]?.isOfDoubt == true
  }

  /// The member gets the shortest suspicion to refute its death.
  private mutating func suspect(_ dead: MemberRecord, _ place: Int) -> Int? {
    let known = table.entries[place].record
    var record = dead
    record.status = .suspect
    guard supersedes(record, known) else { return nil }
    table.replace(place, with: record)
    settle(place, old: known, accuser: nil)
    suspicions[place]?.becomeDoubt()
    rewake(place)
    return nil
  }

  private mutating func suspect(_ place: Int, accuser: MemberID?) {
    let record = table.entries[place].record
    let suspicion = Suspicion(
      startedAt: clock, accuser: accuser ?? record.member.id, live: table.liveCount, settings: settings)
    suspicions[place] = suspicion
    wake(place, .suspicion, after: suspicion.deadline - clock)
    // Some go and see for themselves, so that suspicions are confirmed, or not, without waiting for their turn.
    if accuser != me.member.id, random.below(table.liveCount) < 2 * (settings.suspicionConfirmations + 1) {
      probeNext.append(place)
    }
  }

  private mutating func confirm(_ place: Int, accuser: MemberID?) {
    guard let accuser, suspicions[place]?.confirm(accuser) == true else { return }
    rewake(place)
    tell(place)
  }

  /// The member at this place did not answer a probe of this node.
  mutating func accuse(_ place: Int, isRefused: Bool) {
    switch table.entries[place].record.status {
    case .alive:
      become(.suspect, place)
      // The accused hears of it first: if it lives, it can still refute in time (Lifeguard, section IV-C).
      send(.gossip, to: table.entries[place].record.member.gossipAddress, about: place)
      spread()
    case .suspect: confirm(place, accuser: me.member.id)
    case .dead, .left: return
    }
    guard isRefused else { return }
    suspicions[place]?.cap(at: clock + settings.refusedSuspicionMilliseconds)
    rewake(place)
  }

  private mutating func rewake(_ place: Int) {
    guard let suspicion = suspicions[place] else { return }
    wake(place, .suspicion, after: max(suspicion.deadline, clock) - clock)
  }

  // MARK: Telling

  /// Queues this member's line to be told.
  mutating func tell(_ place: Int) { news.put(place, news: table.renewNews(of: place)) }

  /// The times that each member tells a piece of news.
  var tellings: Int { settings.disseminationFactor * digits(table.liveCount) }

  /// News to a few at random, now.
  mutating func spread() {
    for place in randomLive(settings.gossipFanout, except: own) where !news.isEmpty {
      let message = compose(.gossip, about: buddy(place))
      if !message.updates.isEmpty {
        outputs.append(.send(message, to: table.entries[place].record.member.gossipAddress))
      }
    }
  }

  /// A message to a member that is not taken for alive tells it so first (Lifeguard's buddy system).
  func buddy(_ place: Int?) -> Int? {
    guard let place, table.entries[place].record.status != .alive else { return nil }
    return place
  }

  mutating func send(_ kind: GossipMessage.Kind, to address: NetworkAddress, about place: Int? = nil) {
    outputs.append(.send(compose(kind, about: place), to: address))
  }

  private mutating func compose(_ kind: GossipMessage.Kind, about place: Int?) -> GossipMessage {
    let sender = GossipSender(me.member)
    let accuserBytes = 4 + MemberID.longest
    var budget = settings.datagramBytes - GossipMessage.headerBytes(sender)
    var updates: [GossipUpdate] = []
    if let place {
      updates.append(update(place))
      budget -= updates[0].estimatedBytes
    }
    let places = news.take(
      from: table, budgetBytes: budget, accuserBytes: accuserBytes, limit: tellings, present: place)
    for place in places { updates.append(update(place)) }
    return GossipMessage(sender: sender, digest: table.digest, kind: kind, updates: updates)
  }

  private mutating func update(_ place: Int) -> GossipUpdate {
    let record = table.entries[place].record
    guard record.status == .suspect, let accusers = suspicions[place]?.accusers else {
      return GossipUpdate(record: record)
    }
    // My own word first; then any.
    let accuser = accusers.contains(me.member.id) ? me.member.id : accusers[random.below(accusers.count)]
    return GossipUpdate(record: record, accuser: accuser)
  }

  /// Up to `count` different live members at random, never this node.
  mutating func randomLive(_ count: Int, except excluded: Int) -> [Int] {
    var chosen: [Int] = []
    let total = table.entries.count
    for _ in 0..<(4 * count + 8) where chosen.count < count {
      let place = random.below(total)
      if place != own, place != excluded, table.isLive(place), !chosen.contains(place) { chosen.append(place) }
    }
    // Few are left among many: take them in order from anywhere.
    let others = table.liveCount - (table.isLive(own) ? 1 : 0) - (excluded != own && table.isLive(excluded) ? 1 : 0)
    var place = random.below(total)
    while chosen.count < min(count, others) {
      if place != own, place != excluded, table.isLive(place), !chosen.contains(place) { chosen.append(place) }
      place = (place + 1) % total
    }
    return chosen
  }
}
