import NexusModel

/// Slots on their way from one holder to here.
struct OpenPull: Sendable {
  let id: UInt64
  let holding: Holding
  var slots: SlotSet
  var progressAt: UInt64
}

/// How the keys of executed slots get here, and are then forgotten where they were.
extension Ownership {
  /// Asks for the next slots, of each holder so many at a time. Only the first holder of a slot is asked: what it has
  /// settled goes before what stands behind it.
  mutating func pull() {
    guard isMember else { return }
    for group in executing.groups {
      guard let holding = group.key.holders.first, let member = number(of: holding.member) else { continue }
      var wanted = group.slots
      for pull in pulls { wanted.subtract(pull.slots) }
      while !wanted.isEmpty, pulls.count(where: { $0.holding.member == holding.member }) < settings.pullsPerMember {
        let slots = wanted.first(settings.slotsPerPull)
        wanted.subtract(slots)
        let id = newID()
        pulls.append(OpenPull(id: id, holding: holding, slots: slots, progressAt: now))
        outputs.append(.expect(slots, pull: id, from: member, local: group.key.localCopy))
        send(.pull(id: id, SlotsOfHolding(number: holding.number, slots: slots)), to: member)
      }
    }
  }

  mutating func onProgress(of id: UInt64) {
    if let index = pulls.firstIndex(where: { $0.id == id }) { pulls[index].progressAt = now }
  }

  mutating func retryPulls() {
    let moment = now, patience = settings.pullRetryMilliseconds
    pulls.removeAll { moment >= $0.progressAt + patience }
  }

  mutating func onArrived(_ slots: SlotSet, pull id: UInt64) {
    guard let index = pulls.firstIndex(where: { $0.id == id }) else { return }
    let arrived = slots.intersection(pulls[index].slots)
    let holding = pulls[index].holding
    pulls[index].slots.subtract(arrived)
    pulls[index].progressAt = now
    pulls.removeAll { $0.slots.isEmpty }
    advance(arrived) { lineage in
      guard lineage.holders.contains(holding) else { return lineage }
      var next = lineage.without(holding)
      if !next.settled.contains(holding) { next.settled.append(holding) }
      return next
    }
    confirm(arrived, holding)
  }

  /// Changes the lineage of executed slots, and says so.
  private mutating func advance(_ slots: SlotSet, _ change: (Lineage) -> Lineage) {
    for part in executing.parts(of: slots) {
      let next = change(part.key)
      guard next != part.key else { continue }
      executing.change(part.slots) { _ in next }
      guard next.behind != part.key.behind else { continue }
      if next.isWhole {
        outputs.append(.whole(part.slots))
      } else {
        outputs.append(.sources(part.slots, next.behind))
      }
    }
  }

  private mutating func confirm(_ slots: SlotSet, _ holding: Holding) {
    guard !slots.isEmpty, let member = number(of: holding.member), others.contains(member) else { return }
    send(.confirm(SlotsOfHolding(number: holding.number, slots: slots)), to: member)
  }

  mutating func confirmAgain() {
    for group in executing.groups { for holding in group.key.settled { confirm(group.slots, holding) } }
  }

  /// A holder that died takes its keys along: its slots go on with what stands behind it.
  mutating func forgetTheDead() {
    let live = liveIDs
    pulls.removeAll { !live.contains($0.holding.member) }
    for group in executing.groups { advance(group.slots) { $0.keeping { live.contains($0.member) } } }
  }

  mutating func onGone(_ gone: SlotsOfHolding, from member: MemberNumber) {
    guard let holding = holding(gone.number, of: member) else { return }
    for index in pulls.indices where pulls[index].holding == holding { pulls[index].slots.subtract(gone.slots) }
    pulls.removeAll { $0.slots.isEmpty }
    advance(gone.slots) { $0.without(holding) }
  }

  // MARK: The holder's side

  mutating func onPull(_ id: UInt64, _ wanted: SlotsOfHolding, from member: MemberNumber) {
    var here = SlotSet()
    for part in kept.parts(of: wanted.slots) where part.key.number == wanted.number { here.formUnion(part.slots) }
    if !here.isEmpty { outputs.append(.stream(here, holding: wanted.number, pull: id, to: member)) }
    let gone = wanted.slots.subtracting(here)
    if !gone.isEmpty { send(.gone(SlotsOfHolding(number: wanted.number, slots: gone)), to: member) }
  }

  mutating func onConfirm(_ confirmed: SlotsOfHolding, from member: MemberNumber) {
    var forgotten = SlotSet()
    for part in kept.parts(of: confirmed.slots) where part.key.number == confirmed.number {
      forgotten.formUnion(part.slots)
    }
    kept.remove(forgotten)
    if !forgotten.isEmpty { outputs.append(.forget(forgotten)) }
    send(.forgotten(confirmed), to: member)
  }

  mutating func onForgotten(_ forgotten: SlotsOfHolding, from member: MemberNumber) {
    guard let holding = holding(forgotten.number, of: member) else { return }
    advance(forgotten.slots) { lineage in
      var next = lineage
      next.settled.removeAll { $0 == holding }
      return next
    }
  }
}
