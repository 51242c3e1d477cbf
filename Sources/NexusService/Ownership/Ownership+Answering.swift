import NexusModel

/// How this node gives slots away.
extension Ownership {
  mutating func onClaim(_ claim: SlotClaim, from member: MemberNumber) {
    var answer = SlotClaimAnswer(
      id: claim.id, ask: claim.ask, version: view?.version ?? PlacementVersion(digest: 0))
    var open = claim.slots

    // Slots that both execute or claim are put off until the views agree.
    let theirs = others.contains(member) ? placed[member] ?? SlotSet() : SlotSet()
    var givable = SlotSet()
    if let claimant = id(of: member) {
      for part in executing.parts(of: open.intersection(theirs)) where !part.key.mustArrive(before: claimant) {
        givable.formUnion(part.slots)
      }
    }
    answer.executed = open.intersection(executing.all).subtracting(givable)
    answer.later = answer.executed
    for mine in claims { answer.later.formUnion(open.intersection(mine.slots)) }
    open.subtract(answer.later)
    open.subtract(givable)

    answer.handedOver = handedOverBefore(open, claim.id, member)
    for part in stop(givable, claim: claim.id, claimant: member) { answer.handedOver.append(part) }
    for part in answer.handedOver { open.subtract(part.slots) }

    // Whom the token was given to may be unknown to the claimant, who would not ask that member.
    if claim.live != view?.liveDigest {
      answer.later.formUnion(open)
      open = SlotSet()
    }
    answer.notMine = open
    answer.held = kept.parts(of: open).map { $0.key.held($0.slots, by: me) }
    answer.stopped = stopped.parts(of: open).map { SlotsOfHolding(number: $0.key, slots: $0.slots) }
    send(.claimAnswer(answer), to: member)
    if !answer.later.isEmpty {
      if !putOff.contains(member) { putOff.append(member) }
      if let view, claim.version != view.version || claim.live != view.liveDigest {
        outputs.append(.synchronize(member))
      }
    }
  }

  /// The answer may have been lost. Whoever executes a slot has closed its claim, so this gives no token twice.
  private func handedOverBefore(_ slots: SlotSet, _ claim: UInt64, _ member: MemberNumber) -> [HeldSlots] {
    kept.parts(of: slots).compactMap { part in
      guard part.key.claim == claim, part.key.claimant == member else { return nil }
      return part.key.held(part.slots, by: me)
    }
  }

  /// From this output on, nothing of these slots is executed here.
  @discardableResult
  mutating func stop(_ slots: SlotSet, claim: UInt64?, claimant: MemberNumber?) -> [HeldSlots] {
    guard !slots.isEmpty else { return [] }
    let number = newID()
    let parts = executing.remove(slots)
    stopped.remove(slots)
    stopped.add(slots, number)
    for index in pulls.indices { pulls[index].slots.subtract(slots) }
    pulls.removeAll { $0.slots.isEmpty }
    for index in merges.indices { merges[index].slots.subtract(slots) }
    merges.removeAll { $0.slots.isEmpty }

    var left = slots
    for seat in view?.live ?? [] {
      guard let theirs = placed[seat.number]?.intersection(left), !theirs.isEmpty else { continue }
      stop(theirs, number, seat.number == myNumber ? .awaited : .member(seat.number))
      left.subtract(theirs)
    }
    if !left.isEmpty { stop(left, number, .nowhere) }

    return parts.map { part in
      let own = Kept(number: number, lineage: part.key, claim: claim, claimant: claimant)
      kept.add(part.slots, own)
      return own.held(part.slots, by: me)
    }
  }

  private mutating func stop(_ slots: SlotSet, _ number: UInt64, _ route: SlotRoute) {
    routes.add(slots, route)
    outputs.append(.stop(slots, holding: number, route: route))
  }

  /// Tells every owner by placement what of its slots is executed or kept here; answers claims that were put off.
  mutating func remindOwners() {
    guard let view, isMember else { return }
    for member in others {
      let theirs = placed[member] ?? SlotSet()
      let offer = SlotOffer(
        version: view.version, executed: executing.all.intersection(theirs),
        held: kept.parts(of: theirs).map { $0.key.held($0.slots, by: me) })
      if !offer.executed.isEmpty || !offer.held.isEmpty || putOff.contains(member) { send(.offer(offer), to: member) }
    }
    putOff = []
  }

  mutating func onOffer(_ offer: SlotOffer, from member: MemberNumber) {
    guard isMember, others.contains(member), let id = id(of: member) else { return }
    let owned = mine
    if offer.version != view?.version, !offer.executed.subtracting(owned).isEmpty {
      outputs.append(.synchronize(member))
    }
    askAgain(member)
    var wanted = offer.executed.intersection(executing.all).intersection(owned)
    for held in offer.held where held.holding.member == id {
      for part in executing.parts(of: held.slots.intersection(owned)) {
        if part.key.settled.contains(held.holding) {
          send(.confirm(SlotsOfHolding(number: held.holding.number, slots: part.slots)), to: member)
        } else if !part.key.holders.contains(held.holding) {
          wanted.formUnion(part.slots)
        }
      }
    }
    merge(wanted, of: member)
  }

  private mutating func merge(_ slots: SlotSet, of member: MemberNumber) {
    guard let view else { return }
    let moment = now, patience = settings.claimRetryMilliseconds
    merges.removeAll { $0.member == member && moment >= $0.askedAt + patience }
    var wanted = slots
    for merge in merges where merge.member == member { wanted.subtract(merge.slots) }
    guard !wanted.isEmpty else { return }
    let id = newID()
    merges.append(OpenMerge(id: id, member: member, slots: wanted, askedAt: now))
    send(.claim(SlotClaim(id: id, ask: id, version: view.version, live: view.liveDigest, slots: wanted)), to: member)
  }
}
