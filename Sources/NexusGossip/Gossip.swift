import NexusModel

/// The membership of one node: SWIM with suspicion (Das, Gupta, Motivala, DSN 2002) and Lifeguard (Dadgar, Phillips,
/// Currey, DSN 2018), as a value. It does nothing by itself: inputs go in, outputs come out in the order in which they
/// are to be carried out. Times are milliseconds of a clock that only goes forward; each node has its own.
///
/// The shell owes it a `tick` when `nextDeadline` comes, and before that tick whatever has been received. If inputs
/// come late, this node was not running in between (paused, or starved of processor time): that time does not count,
/// since nobody could be heard in it.
public struct Gossip: Sendable {
  enum Phase: Hashable, Sendable {
    case running
    /// Goodbyes are being said.
    case leaving(until: UInt64)
    case departed
    /// Another process has this id with more right.
    case stopped
  }

  public let settings: GossipSettings
  var phase = Phase.running
  var table = MemberTable()
  /// This node's own place in the table.
  var own = 0
  var health: LocalHealth
  var news = Dissemination()
  var timers = Deadlines()
  /// By place in the table: who is suspect.
  var suspicions: [Int: Suspicion] = [:]
  var random: GossipRandom
  var outputs: [GossipOutput] = []

  /// Milliseconds in which this node ran: `now` without the pauses.
  var clock: UInt64 = 0
  private var lastNow: UInt64

  // Probing.
  var sequence: UInt32
  var probes: [Probe] = []
  var relays: [Relay] = []
  var nextProbeAt: UInt64 = 0
  var nextGossipAt: UInt64 = 0
  /// Places in the order of probing: behind `cursor` those of this round, shuffled as it goes on (section 4.3).
  var round: [Int] = []
  var cursor = 0
  /// Suspects of others, to be probed before the round goes on.
  var probeNext: [Int] = []

  // Finding others.
  var contacts: Contacts
  var nextReachAt: UInt64 = 0
  var lastChangeAt: UInt64 = 0
  var lastSynchronizeAt: UInt64 = 0
  var nextSynchronizeAt: UInt64 = 0

  var rival: Rival?
  var reportedRival: GossipSender?

  /// Which of two records of one member stays. Checks plant a wrong one here to see that it is found out.
  package var supersedes: @Sendable (MemberRecord, MemberRecord) -> Bool = MemberRecord.supersedes
  /// False is such a planted bug too: full states are received and not merged.
  package var mergesStates = true

  /// `member` is what the node says of itself; equal seeds and inputs give equal outputs.
  public init(member: Member, settings: GossipSettings = GossipSettings(), seed: UInt64, now: UInt64) {
    self.settings = settings
    health = LocalHealth(limit: settings.healthLimit)
    random = GossipRandom(seed: seed)
    contacts = Contacts(limit: settings.contactLimit)
    lastNow = now
    sequence = UInt32(truncatingIfNeeded: random.next())
    own = table.insert(MemberRecord(member: member, incarnation: 0, status: .alive))
    begin()
  }

  /// Another member of the same cluster, that knows what `other` knows: a simulation of a thousand members need not
  /// tell each of them a thousand records.
  package init(sharing other: Gossip, as id: MemberID, seed: UInt64, now: UInt64) {
    self = other
    random = GossipRandom(seed: seed)
    sequence = UInt32(truncatingIfNeeded: random.next())
    own = table.place(of: id) ?? other.own
    news = Dissemination()
    round = Array(table.entries.indices)
    cursor = random.below(round.count)
    lastNow = now
    nextProbeAt = clock + UInt64(random.below(Int(settings.periodMilliseconds)))
    begin()
  }

  private mutating func begin() {
    tell(own)
    // Nodes that start at once should not probe at once for ever.
    nextProbeAt = clock + UInt64(random.below(Int(settings.periodMilliseconds))) + 1
  }

  public var me: MemberRecord { table.entries[own].record }

  /// Of all records, this node's among them, in whatever order they are known. Equal digests: equal memberships, apart
  /// from those that left.
  public var membershipDigest: UInt64 { table.digest }

  /// Every record, this node's too, in no particular order; with those that left, while they are remembered.
  public var records: [MemberRecord] { table.entries.map(\.record) }

  public func record(of id: MemberID) -> MemberRecord? { table.place(of: id).map { table.entries[$0].record } }

  /// Alive and suspect, this node too.
  public var liveCount: Int { table.liveCount }

  /// 0 is good: see `LocalHealth`.
  public var healthScore: Int { health.score }

  public var isStopped: Bool { phase == .stopped || phase == .departed }

  /// To be sent, and answered with, over a stream.
  public var fullState: GossipState { GossipState(sender: GossipSender(me.member), records: records) }

  private var hasOthers: Bool { table.liveCount > (table.isLive(own) ? 1 : 0) }

  /// When the next tick is due, on the shell's clock; nil: never again.
  public var nextDeadline: UInt64? { isStopped ? nil : lastNow + (max(clock, dueAt) - clock) }

  public mutating func step(_ input: GossipInput, now: UInt64) -> [GossipOutput] {
    advance(to: now)
    guard !isStopped else { return [] }
    let digest = table.digest
    switch input {
    case .tick: onTick()
    case .received(let message, let address): onMessage(message, from: address)
    case .join(let addresses): onJoin(addresses)
    case .leave: onLeave()
    case .change(let member): onChange(member)
    case .state(let state): onState(state)
    case .streamAnswered(let sequence, let id): onAnswer(sequence, of: id, from: id)
    case .streamFailed(let address, let isRefused): onStreamFailed(address, isRefused: isRefused)
    case .streamBroken(let address): onStreamBroken(address)
    }
    if table.digest != digest { outputs.append(.digestChanged(table.digest)) }
    let result = outputs
    outputs = []
    return result
  }

  private mutating func advance(to now: UInt64) {
    let elapsed = now > lastNow ? now - lastNow : 0
    let expected = max(clock, dueAt) - clock + settings.periodMilliseconds
    if elapsed > expected { health.worsen() }
    clock += min(elapsed, expected)
    lastNow = max(lastNow, now)
  }

  private var dueAt: UInt64 {
    var due = min(nextProbeAt, nextReachAt)
    if !news.isEmpty, hasOthers { due = min(due, nextGossipAt) }
    if let timer = timers.next { due = min(due, timer) }
    for probe in probes { due = min(due, probe.relayAt, probe.endsAt) }
    for relay in relays { due = min(due, relay.nackAt, relay.endsAt) }
    if case .leaving(let until) = phase { due = min(due, until) }
    return due
  }

  private mutating func onTick() {
    while let timer = timers.takeDue(clock) { onTimer(timer) }
    endProbes()
    endRelays()
    if clock >= nextProbeAt { probe() }
    if clock >= nextReachAt { reach() }
    if clock >= nextGossipAt, !news.isEmpty, hasOthers {
      spread()
      nextGossipAt = clock + settings.gossipMilliseconds
    }
    if case .leaving(let until) = phase, news.isEmpty || clock >= until {
      phase = .departed
      outputs.append(.departed)
    }
  }

  private mutating func onTimer(_ timer: Deadlines.Timer) {
    let entry = table.entries[timer.place]
    guard entry.version == timer.version else { return }
    switch timer.purpose {
    case .suspicion:
      // Confirmations set further timers: the first one that the deadline agrees with counts.
      guard let suspicion = suspicions[timer.place], suspicion.deadline <= clock else { return }
      become(.dead, timer.place)
    case .forgetting: become(.left, timer.place)
    case .tombstone: forget()
    }
  }

  /// The tombstones whose time is over, all at once.
  private mutating func forget() {
    var dropped: Set<Int> = []
    for (place, entry) in table.entries.enumerated() where entry.record.status == .left && place != own {
      if (leftAt[place] ?? 0) + settings.rememberLeftMilliseconds <= clock { dropped.insert(place) }
    }
    let moves = table.compact(dropping: dropped)
    own = moves[own] ?? own
    news.move(moves)
    timers.move(moves)
    round = round.compactMap { moves[$0] }
    cursor = min(cursor, round.count)
    probeNext = probeNext.compactMap { moves[$0] }
    suspicions = moved(suspicions, moves)
    leftAt = moved(leftAt, moves)
  }

  /// When members that were lost came back, for as long as it matters.
  var returnedAt: [MemberID: UInt64] = [:]

  /// By place: since when a member has left.
  var leftAt: [Int: UInt64] = [:]

  private func moved<Value>(_ values: [Int: Value], _ moves: [Int?]) -> [Int: Value] {
    var result: [Int: Value] = [:]
    for (place, value) in values {
      if let place = moves[place] { result[place] = value }
    }
    return result
  }
}
