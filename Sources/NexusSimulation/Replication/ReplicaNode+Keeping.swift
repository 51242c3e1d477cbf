import NexusModel
import NexusReplication

/// What `ReplicaKeeper` does: carries out what repair, hints, reads and the collection of tombstones decide.
extension ReplicaNode {
  var keeperDeadline: UInt64 {
    sets == nil ? .max : min(min(repair.nextWake, collection.nextWake), min(reads.nextDeadline, hintsAt))
  }

  /// `ReplicaKeeper.due`.
  func keep() {
    guard sets != nil, now >= keeperDeadline else { return }
    if now >= repair.nextWake { run(.tick) }
    if now >= collection.nextWake { runCollection(.tick) }
    if now >= reads.nextDeadline { runReads(.tick) }
    guard now >= hintsAt else { return }
    hintsAt = now + 250
    for portion in portions where now >= portion.until {
      runHints(.failed(portion: portion.number, portion.member))
    }
    portions.removeAll { now >= $0.until }
    if hints.count > 0 { reachLiveMembers() }
    if awayMembers.isAnyoneAway(now: now) != isAnyoneAway { tellCollection() }
    settleArrears()
    untraced = lagMilliseconds > 300 ? SlotSet() : repair.agreedEverywhere.subtracting(hints.slots)
    trace()
  }

  private func reachLiveMembers() {
    for member in sets?.live ?? [] where member != number { runHints(.reachable(member)) }
  }

  /// What expires here leaves a tombstone, unless every member of its slot has all that this node has.
  private func trace() {
    let wanted = executed.subtracting(untraced)
    if wanted == traced { return }
    store.leaveTraces(true, in: wanted.subtracting(traced))
    store.leaveTraces(false, in: traced.subtracting(wanted))
    traced = wanted
  }

  func noteHinted(_ slots: SlotSet) {
    untraced.subtract(slots)
    trace()
  }

  private func tellCollection() {
    guard let sets, let picture else { return }
    isAnyoneAway = awayMembers.isAnyoneAway(now: now)
    runCollection(.view(picture.version, others: sets.live.filter { $0 != number }, isAnyoneAway: isAnyoneAway))
  }

  func view(_ version: PlacementVersion, _ sets: ReplicaSets) {
    let before = self.sets?.live ?? []
    self.sets = sets
    for member in before where !sets.isLive(member) {
      runHints(.unreachable(member))
      runReads(.lost(member))
    }
    run(.view(version, sets))
    verifyAgain(sets, before)
    tellCollection()
    reachLiveMembers()
  }

  private func verifyAgain(_ sets: ReplicaSets, _ before: [MemberNumber]) {
    guard !before.isEmpty else { return }
    var slots = SlotSet()
    for member in sets.live where member != number && !before.contains(member) {
      slots.formUnion(sets.slots(of: member))
    }
    slots.formIntersection(executed)
    if !slots.isEmpty { run(.execute(slots, isTakenOver: true)) }
  }

  func execute(_ slots: SlotSet, isTakenOver: Bool) {
    executed.formUnion(slots)
    run(.execute(slots, isTakenOver: isTakenOver))
  }

  /// Everything that was handed over of these has come. What came after copies had been compared may be nobody else's.
  func received(_ slots: SlotSet) {
    let known = slots.intersection(executed)
    if !known.isEmpty { run(.merged(known, from: number)) }
    let new = slots.subtracting(known)
    if !new.isEmpty { execute(new, isTakenOver: false) }
  }

  func stop(_ slots: SlotSet) {
    executed.subtract(slots)
    run(.stop(slots))
  }

  public var isSettled: Bool { repair.isSettled && hints.count == 0 }

  // MARK: Keys that are needed before their slot is verified

  func settle(_ request: ReplicaRequest) {
    var others: [MemberNumber] = []
    for member in doubts.holders(of: request.slot) + (sets?.members(of: request.slot) ?? []) {
      let isAsked = member != number && sets?.isLive(member) == true && !others.contains(member)
      if isAsked, others.count < ReplicaReads.peersMost { others.append(member) }
    }
    lastRead += 1
    keyWaits[lastRead] = (request.slot, request.hash, request)
    let key = KeyHash(hash: request.hash)
    let read = ReplicaReads.Read(
      id: lastRead, slot: request.slot, key: key, have: copies.version(of: key, in: request.slot),
      needed: others.count, repairs: false, deadline: now + 500)
    runReads(.read(read, of: others))
  }

  private func answered(_ id: UInt64) {
    guard let wait = keyWaits.removeValue(forKey: id) else { return }
    settled[Int(wait.slot.index)]?.insert(wait.hash)
    serve(wait.request)
  }

  // MARK: Cores

  func run(_ input: RepairInput) {
    for output in repair.step(input, copies, now: now) { carryOut(output) }
    untraced.formIntersection(repair.agreedEverywhere)
    trace()
  }

  private func carryOut(_ output: RepairOutput) {
    switch output {
    case .send(let message, let member): send(.replication(message, nil), to: Int(member))
    case .push(let slots, let member, let answering):
      var versions: [SimulatedVersion] = []
      for part in slots { versions += part.keys.compactMap { store[part.slot, $0.hash] } }
      if !versions.isEmpty { send(.versions(portion: 0, versions), to: Int(member)) }
      run(.pushed(bytes: versions.count * 64, to: member, answering: answering))
    case .remove(let drops):
      for drop in drops {
        for version in drop.versions {
          _ = store.merge(
            SimulatedVersion(kind: .evicted, slot: drop.slot, hash: version.hash, stamp: version.stamp))
        }
      }
    case .flush(let flush): store.flush(upTo: flush.stamp)
    case .expire(let slots): slots.forEach { store.expireDue($0, now: wallClock) }
    case .release(let slots): slots.subtracting(executed).forEach { store.forget($0) }
    case .verified(let slots): verified(slots)
    case .settled, .divergent, .synchronize, .ahead: break
    }
  }

  /// A stream that broke and was not followed by another may still bring what was sent over it.
  private var lagMilliseconds: UInt64 {
    (sets?.live ?? []).reduce(0 as UInt64) { most, member in
      let lag = acknowledgements.lag(of: member, now: now).milliseconds
      return max(most, max(lag, links[Int(member)].brokenSince.map { now - $0 } ?? 0))
    }
  }

  func runCollection(_ input: TombstoneCollection.Input) {
    let facts = TombstoneCollection.Facts(
      isSettled: isSettled && arrears.isEmpty, agreed: repair.agreedEverywhere.subtracting(hints.slots),
      confirmedThrough: wallClock - Int64(lagMilliseconds) - 1, tombstones: store.tombstoneCount)
    let outputs = collection.step(
      input, facts, owned: { [sets] in sets?.slots(executedBy: $0) ?? SlotSet() }, now: now, time: wallClock)
    for output in outputs {
      switch output {
      case .send(let message, let member): send(.replication(message, nil), to: Int(member))
      case .collect(let slots, let upTo, let raisingFloor):
        slots.intersection(SlotSet(0..<settings.slotCount)).forEach {
          store.collectTombstones($0, upTo: upTo, raisingFloor: raisingFloor)
        }
      }
    }
  }

  func runReads(_ input: ReplicaReads.Input) {
    var outputs: [ReplicaReads.Output] = []
    reads.step(input, now: now, into: &outputs)
    for output in outputs {
      switch output {
      case .ask(let id, let slot, let key, let have, let member):
        send(.replication(.askKey(id: id, slot, key, have: have), nil), to: Int(member))
      case .keep(let id, let slot, let key, let member):
        send(.replication(.keepKey(id: id, slot, key), store[slot, key.hash]), to: Int(member))
      case .done(let id, _, _): answered(id)
      }
    }
  }

  func runHints(_ input: Hints.Input) {
    for output in hints.step(input) {
      switch output {
      case .mark(let slots, let member): run(.marked(slots, member))
      case .push(let portion, let noted, let member):
        portions.removeAll { $0.member == member }
        portions.append((member, portion, now + 2000))
        push(noted, portion, to: member)
      }
    }
  }

  private func push(_ noted: [Hints.Hint], _ portion: UInt64, to member: MemberNumber) {
    var dropped: [SlotDrops] = []
    var unknown = SlotSet()
    for hint in noted where store[hint.slot, hint.version.hash] == nil {
      // It is gone without a trace, and so is everything older: unless this node has lost it since, and it is alive
      // elsewhere.
      if hint.isEvicted || repair.completeSlots.contains(hint.slot) {
        dropped.append(SlotDrops(slot: hint.slot, versions: [hint.version]))
      } else {
        unknown.insert(hint.slot)
      }
    }
    if !dropped.isEmpty, let picture {
      send(.replication(.drop(version: picture.version, dropped), nil), to: Int(member))
    }
    if !unknown.isEmpty { run(.marked(unknown, member)) }
    send(.versions(portion: portion, noted.compactMap { store[$0.slot, $0.version.hash] }), to: Int(member))
  }

  /// What the loop was told to be missing has been brought, once nothing is noted and everything agrees.
  private func settleArrears() {
    guard !arrears.isEmpty, hints.count == 0, repair.isSettled else { return }
    let settled = arrears
    arrears = [:]
    for (member, number) in settled { acknowledgements.settle(member, through: number) }
  }

  // MARK: Messages

  func hear(_ message: ReplicationMessage, _ version: SimulatedVersion?, from member: MemberNumber) {
    switch message {
    case .askSettled, .settledAnswer, .collect: runCollection(.received(message, from: member))
    case .askKey(let id, let slot, let key, let have): answer(id, slot, key, newerThan: have, to: member)
    case .keepKey(let id, let slot, let key):
      if let version { merge(version, from: member) }
      answer(id, slot, key, newerThan: copies.version(of: key, in: slot), to: member)
    case .keyAnswer(let id, let theirs):
      if let version { merge(version, from: member) }
      let have = keyWaits[id].flatMap { store[$0.slot, $0.hash]?.known }
      runReads(.answer(id: id, theirs, from: member, have: have))
    default: run(.received(message, from: member))
    }
    tellMerged(from: member)
  }

  private func answer(
    _ id: UInt64, _ slot: Slot, _ key: KeyHash, newerThan have: KeyVersion?, to member: MemberNumber
  ) {
    guard let found = store[slot, key.hash] else {
      return send(.replication(.keyAnswer(id: id, nil), nil), to: Int(member))
    }
    let isNewer = have.map { found.known.isNewer(than: $0) } ?? true
    send(.replication(.keyAnswer(id: id, found.known), isNewer ? found : nil), to: Int(member))
  }

  func take(_ versions: [SimulatedVersion], _ portion: UInt64, from member: MemberNumber) {
    var refused = 0
    for version in versions where !merge(version, from: member) { refused += 1 }
    if portion != 0 { send(.versionsTaken(portion: portion, refused: refused), to: Int(member)) }
    tellMerged(from: member)
  }

  func versionsTaken(_ portion: UInt64, _ refused: Int, by member: MemberNumber) {
    guard portions.contains(where: { $0.member == member && $0.number == portion }) else { return }
    portions.removeAll { $0.member == member }
    runHints(refused == 0 ? .delivered(portion: portion, member) : .failed(portion: portion, member))
  }

  private func tellMerged(from member: MemberNumber) {
    guard !merged.isEmpty else { return }
    let slots = merged
    merged = SlotSet()
    run(.merged(slots, from: member))
  }

  /// False: it was not taken.
  @discardableResult private func merge(_ version: SimulatedVersion, from member: MemberNumber) -> Bool {
    guard bound.accepts(version.stamp, now: wallClock) else { return false }
    // A late one, of a slot that is neither placed nor executed here any more: nobody would know that it is here.
    guard executes(version.slot) || sets?.slots(of: number).contains(version.slot) == true else { return true }
    if store.merge(version) == .applied, executed.contains(version.slot) || sets?.owner(of: version.slot) != member {
      merged.insert(version.slot)
    }
    return true
  }
}
