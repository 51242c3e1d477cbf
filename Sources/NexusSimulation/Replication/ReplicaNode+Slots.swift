import NexusModel
import NexusReplication
import NexusService

/// What `SlotKeeper` does where versions have stamps: routes, entries on their way, and keys that are needed at once.
extension ReplicaNode {
  func feed(_ input: OwnershipInput) {
    for output in ownership.step(input, now: now) {
      carryOut(output)
      carryOut(fetches.follow(output, now: now) { [unowned self] in store[$0, $1]?.kind == .value })
    }
  }

  /// The world has few slots; the ownership speaks of all where it says that they are nobody's.
  private func each(_ slots: SlotSet, _ body: (Slot) -> Void) {
    slots.intersection(settings.allSlots).forEach(body)
  }

  private func carryOut(_ output: OwnershipOutput) {
    switch output {
    case .stop(let slots, let holding, let route):
      each(slots) { slot in
        routes[Int(slot.index)] = route
        expected[slot] = nil
        holdings[Int(slot.index)] = holding
        if doubts.unverified.contains(slot), doubts.isWhole(slot) { settled[Int(slot.index)] = nil }
      }
      doubts.stop(slots)
      stop(slots)
    case .forget(let slots):
      doubts.forget(slots)
      each(slots) { slot in
        // Its entries are repair's: a copy, or a leftover until every member of the slot has them.
        settled[Int(slot.index)] = nil
        holdings[Int(slot.index)] = nil
      }
    case .execute(let slots, let sources, let keepsSettled):
      each(slots) { slot in
        holdings[Int(slot.index)] = nil
        if !keepsSettled { settled[Int(slot.index)] = [] }
        routes[Int(slot.index)] = .incoming
      }
      takeOver(slots, from: sources)
    case .whole(let slots):
      each(slots) { expected[$0] = nil }
      becomeWhole(slots)
    case .route(let slots, let route): each(slots) { routes[Int($0.index)] = route }
    case .expect(let slots, let pull, let member, _):
      each(slots) { expected[$0] = Expected(pull: pull, from: member) }
    case .send(let message, let member): send(.ownership(doubts.completed(message)), to: Int(member))
    case .stream(let slots, let holding, let pull, let member): stream(slots, holding, pull, to: Int(member))
    case .refresh: wantsRefresh = true
    case .sources, .synchronize, .drained: break
    }
  }

  // MARK: Doubts

  private func takeOver(_ slots: SlotSet, from sources: [KeySource]) {
    let holders = sources.compactMap { source in
      if case .holder(let holding) = source { MemberNumber(Self.index(of: holding.member)) } else { nil }
    }
    let takenOver = doubts.execute(slots, from: holders)
    if !takenOver.isEmpty { execute(takenOver, isTakenOver: true) }
  }

  private func becomeWhole(_ slots: SlotSet) {
    let deserted = doubts.whole(slots)
    each(slots) { slot in
      if deserted.contains(slot) { settled[Int(slot.index)] = [] }
      guard !doubts.unverified.contains(slot) else { return }
      settled[Int(slot.index)] = nil
      routes[Int(slot.index)] = .here
    }
    if !deserted.isEmpty { execute(deserted, isTakenOver: true) }
    received(slots.subtracting(deserted))
  }

  func verified(_ slots: SlotSet) {
    each(doubts.verified(slots)) { slot in
      guard doubts.isWhole(slot) else { return }
      settled[Int(slot.index)] = nil
      routes[Int(slot.index)] = .here
    }
  }

  /// What one holder has is not enough where others have to be asked.
  private func settle(_ slot: Slot, _ hash: UInt64) {
    if !doubts.unverified.contains(slot) { settled[Int(slot.index)]?.insert(hash) }
  }

  // MARK: Streams and fetches

  private func stream(_ slots: SlotSet, _ holding: UInt64, _ pull: UInt64, to member: Int) {
    each(slots) { slot in
      guard holdings[Int(slot.index)] == holding else { return }
      let names = settled[Int(slot.index)].map { $0.sorted() } ?? store[slot].entries.keys.sorted()
      let found = names.compactMap { store[slot, $0] }
      let absent = names.filter { store[slot, $0] == nil }
      // A stretch of its own for each, so that streams are interrupted.
      for (sequence, version) in found.enumerated() {
        send(.stretch(pull: pull, slot, sequence: sequence, isLast: false, [version], absent: []), to: member)
      }
      send(.stretch(pull: pull, slot, sequence: found.count, isLast: true, [], absent: absent), to: member)
    }
  }

  func take(
    _ pull: UInt64, _ slot: Slot, _ sequence: Int, _ isLast: Bool, _ versions: [SimulatedVersion],
    _ absent: [UInt64], from member: MemberNumber
  ) {
    guard let known = expected[slot], known.pull == pull, known.from == member, known.sequence == sequence
    else { return }
    expected[slot]?.sequence += 1
    for version in versions { put(version) }
    for hash in absent { settle(slot, hash) }
    if isLast { doubts.arrived(slot) }
    feed(isLast ? .arrived(SlotSet([slot]), pull: pull, from: member) : .progressed(pull: pull))
  }

  private func put(_ version: SimulatedVersion) {
    _ = store.merge(version)
    settle(version.slot, version.hash)
  }

  func answer(_ fetch: KeyFetch<UInt64>, to member: Int) {
    var answer = KeyFetched<UInt64>(id: fetch.id)
    var versions: [SimulatedVersion] = []
    for hash in fetch.keys {
      let isSettled = settled[Int(fetch.slot.index)]?.contains(hash) ?? true
      if holdings[Int(fetch.slot.index)] != fetch.holding || !isSettled {
        answer.unknown.append(hash)
      } else if let version = store[fetch.slot, hash] {
        answer.found.append(hash)
        versions.append(version)
      } else {
        answer.absent.append(hash)
      }
    }
    send(.fetched(answer, versions), to: member)
  }

  func take(_ answer: KeyFetched<UInt64>, _ versions: [SimulatedVersion], from member: Int) {
    carryOut(
      fetches.answered(answer, by: Self.id(member), now: now) { [unowned self] in store[$0, $1]?.kind == .value },
      versions)
  }

  func carryOut(_ effects: [KeyFetchEffect<UInt64>], _ versions: [SimulatedVersion] = []) {
    for effect in effects {
      switch effect {
      case .send(let fetch, let member): send(.fetch(fetch), to: Self.index(of: member))
      case .settle(let slot, let found, let absent, _):
        guard routes[Int(slot.index)] == .incoming else { continue }
        for version in versions where found.contains(version.hash) { put(version) }
        for hash in absent { settle(slot, hash) }
      case .ready(let waiter): if let request = waiters.removeValue(forKey: waiter) { serve(request) }
      }
    }
  }

  // MARK: Requests

  /// At the member that the client is connected to.
  func route(_ request: ReplicaRequest) {
    guard !host.isOver(request) else { return }
    let route = routes[Int(request.slot.index)]
    if let member = route.member {
      send(.forward(request), to: Int(member))
    } else if executes(request.slot) {
      serve(request)
    } else {
      parked.append((local + 20_000, request))
    }
  }

  func take(_ reply: ReplicaReply, to request: ReplicaRequest) {
    if reply == .moved { parked.append((local + 20_000, request)) } else { host.finish(request, reply) }
  }

  func answer(_ request: ReplicaRequest, _ reply: ReplicaReply) {
    if request.origin == index { return take(reply, to: request) }
    send(.reply(request, reply), to: request.origin)
  }

  /// Executes it, if its slot is executed here and its key is known.
  func serve(_ request: ReplicaRequest) {
    guard !host.isOver(request) else { return }
    guard executes(request.slot) else { return answer(request, .moved) }
    if let known = settled[Int(request.slot.index)], !known.contains(request.hash) {
      if doubts.unverified.contains(request.slot) { return settle(request) }
      lastWaiter += 1
      waiters[lastWaiter] = request
      return carryOut(
        fetches.want([request.hash], of: request.slot, waiter: lastWaiter, now: now) { [unowned self] in
          store[$0, $1]?.kind == .value
        })
    }
    if request.verb == .get {
      return answer(request, .done(store.read(request.slot, request.hash, now: wallClock)))
    }
    let needed = request.acknowledgement.copiesNeeded(of: settings.copies)
    guard liveCopies(of: request.slot) >= needed else { return answer(request, .refused) }
    guard let version = run(request) else { return answer(request, .done(nil)) }
    if version.kind == .tombstone || version.expiresAt != 0 { host.notePassing(version) }
    note(version)
    if needed == 1 { return answer(request, .done(version)) }
    turnsWaits.append((request, version))
  }

  private func run(_ request: ReplicaRequest) -> SimulatedVersion? {
    if request.verb == .delete { return store.delete(request.slot, request.hash, now: wallClock) }
    let expiresAt = request.lifeMilliseconds == 0 ? 0 : wallClock + request.lifeMilliseconds
    return store.write(request.slot, request.hash, request.number, expiresAt: expiresAt, now: wallClock)
  }

  // MARK: Pressure

  func evict(_ slot: Slot, _ hash: UInt64, now: UInt64) {
    begin(now)
    evict(slot, hash)
  }

  /// After something came: what is too much leaves, an executing member's for all, another's from its own copy.
  func makeRoom() {
    while store.valueCount > settings.entriesMost {
      evictions += 1
      guard let victim = store.anyValue(RepairDigest.mix(UInt64(evictions * 8 + index))) else { return }
      evict(victim.slot, victim.hash)
    }
  }

  private func evict(_ slot: Slot, _ hash: UInt64) {
    guard let version = store.evict(slot, hash, now: wallClock) else { return }
    host.notePassing(version)
    note(version)
  }
}
