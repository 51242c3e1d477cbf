import NexusModel

/// Slots that shall be executed here, and nobody has handed over yet.
struct OpenClaim: Sendable {
  let id: UInt64
  var slots: SlotSet
  var denied: [MemberNumber: SlotSet] = [:]
  var askedAt: [MemberNumber: UInt64] = [:]
  /// What the members said that they kept, the last word of each.
  var held: [HeldSlots] = []
  /// Denials of a member count from this ask on.
  var deniedFrom: [MemberNumber: UInt64] = [:]
  /// Numbers of `stopped` that were met.
  var met: Set<UInt64> = []
}

/// What one other member has of slots that this node executes already.
struct OpenMerge: Sendable {
  let id: UInt64
  let member: MemberNumber
  var slots: SlotSet
  let askedAt: UInt64
}

/// How this node comes to execute slots.
extension Ownership {
  mutating func claimWhatIsMine() {
    guard isMember else { return }
    var slots = awaited
    for claim in claims { slots.subtract(claim.slots) }
    guard !slots.isEmpty else { return }
    claims.append(OpenClaim(id: newID(), slots: slots))
  }

  /// Sends each claim to whom it has not been sent yet, or long ago, for the slots that are open there.
  mutating func askClaims() {
    guard let view, isMember else { return }
    for index in claims.indices {
      for member in others {
        let open = claims[index].slots.subtracting(claims[index].denied[member] ?? SlotSet())
        guard !open.isEmpty else { continue }
        if let at = claims[index].askedAt[member], now < at + settings.claimRetryMilliseconds { continue }
        claims[index].askedAt[member] = now
        let claim = SlotClaim(
          id: claims[index].id, ask: newID(), version: view.version, live: view.liveDigest, slots: open)
        send(.claim(claim), to: member)
      }
    }
  }

  /// The member has news about the claims: it is asked at once.
  mutating func askAgain(_ member: MemberNumber) {
    for index in claims.indices { claims[index].askedAt[member] = nil }
    askClaims()
  }

  mutating func onClaimAnswer(_ answer: SlotClaimAnswer, from member: MemberNumber) {
    guard isMember, others.contains(member) else { return }
    if claims.contains(where: { $0.id == answer.id }) {
      for held in answer.handedOver { receive(held, claim: answer.id) }
      if let index = claims.firstIndex(where: { $0.id == answer.id }) {
        note(answer, from: member, at: index)
        route(claims[index].slots, executed: answer.executed, by: member)
      }
      settleClaims()
      askClaims()
    } else if let index = merges.firstIndex(where: { $0.id == answer.id && $0.member == member }) {
      let slots = merges[index].slots
      for held in answer.handedOver + answer.held { append(held, of: slots) }
      merges[index].slots.subtract(slots.subtracting(answer.later))
      merges.removeAll { $0.slots.isEmpty }
    }
  }

  private mutating func note(_ answer: SlotClaimAnswer, from member: MemberNumber, at index: Int) {
    for stopped in answer.stopped where claims[index].met.insert(stopped.number).inserted {
      // Its token may have gone to someone who had denied it before.
      for other in others where other != member && claims[index].denied[other]?.intersects(stopped.slots) == true {
        claims[index].denied[other]?.subtract(stopped.slots)
        claims[index].askedAt[other] = nil
        claims[index].deniedFrom[other] = newID()
      }
    }
    guard let id = id(of: member) else { return }
    for each in claims[index].held.indices where claims[index].held[each].holding.member == id {
      claims[index].held[each].slots.subtract(answer.notMine)
    }
    claims[index].held.removeAll { $0.slots.isEmpty }
    claims[index].held += answer.held.filter { $0.holding.member == id }
    guard answer.ask >= claims[index].deniedFrom[member] ?? 0 else { return }
    claims[index].denied[member, default: SlotSet()].formUnion(answer.notMine)
  }

  /// While another goes on executing what is this node's by placement, operations go there.
  private mutating func route(_ open: SlotSet, executed: SlotSet, by member: MemberNumber) {
    announce(.member(member), open.intersection(executed))
    for part in routes.parts(of: open.subtracting(executed)) where part.key == .member(member) {
      announce(.awaited, part.slots)
    }
  }

  /// Slots that every live member has denied: their token is made anew, out of what members kept.
  mutating func settleClaims() {
    guard isMember else { return }
    for index in claims.indices {
      var ready = claims[index].slots
      for member in others where !ready.isEmpty {
        ready.formIntersection(claims[index].denied[member] ?? SlotSet())
      }
      guard !ready.isEmpty else { continue }
      claims[index].slots.subtract(ready)
      succeed(ready, claims[index].held)
    }
    claims.removeAll { $0.slots.isEmpty }
  }

  private mutating func succeed(_ slots: SlotSet, _ held: [HeldSlots]) {
    // Slots with the same holders are taken over together.
    var parts: [(slots: SlotSet, held: [HeldSlots])] = [(slots, [])]
    for each in held {
      var refined: [(slots: SlotSet, held: [HeldSlots])] = []
      for part in parts {
        let inside = part.slots.intersection(each.slots), outside = part.slots.subtracting(each.slots)
        if !inside.isEmpty { refined.append((inside, part.held + [each])) }
        if !outside.isEmpty { refined.append((outside, part.held)) }
      }
      parts = refined
    }
    for part in parts {
      var rest = part.slots
      for own in kept.parts(of: part.slots) {
        rest.subtract(own.slots)
        execute(own.slots, Succession(part.held, own: own.key, me: me, isLive: isLive))
      }
      if !rest.isEmpty { execute(rest, Succession(part.held, own: nil, me: me, isLive: isLive)) }
    }
  }

  /// Another member has handed over.
  private mutating func receive(_ held: HeldSlots, claim id: UInt64) {
    guard let index = claims.firstIndex(where: { $0.id == id }) else { return }
    let slots = held.slots.intersection(claims[index].slots)
    guard !slots.isEmpty else { return }
    claims[index].slots.subtract(slots)
    if claims[index].slots.isEmpty { claims.remove(at: index) }
    var rest = slots
    for own in kept.parts(of: slots) {
      rest.subtract(own.slots)
      execute(own.slots, Succession(handedOver: held, own: own.key, me: me, isLive: isLive))
    }
    if !rest.isEmpty { execute(rest, Succession(handedOver: held, own: nil, me: me, isLive: isLive)) }
  }

  private mutating func execute(_ slots: SlotSet, _ succession: Succession) {
    if succession.forgetsOwn { outputs.append(.forget(slots)) }
    kept.remove(slots)
    routes.remove(slots)
    executing.add(slots, succession.lineage)
    outputs.append(
      .execute(slots, sources: succession.lineage.behind, keepsSettled: succession.keepsSettled))
  }

  /// A late holder of executed slots: it gives what is not there, and is asked last.
  private mutating func append(_ held: HeldSlots, of asked: SlotSet) {
    guard isLive(held.holding.member) else { return }
    for part in executing.parts(of: held.slots.intersection(asked)) {
      let old = part.key
      if old.holders.contains(held.holding) || old.settled.contains(held.holding) { continue }
      var lineage = old
      if old.isWhole { lineage.behind = [.local] }
      lineage.behind.append(.otherHistory)
      for holding in [held.holding] + held.behind where isLive(holding.member) && holding.member != me {
        if lineage.holders.contains(holding) || old.settled.contains(holding) { continue }
        lineage.behind.append(.holder(holding))
      }
      for holding in held.settled where isLive(holding.member) && holding.member != me {
        if lineage.holders.contains(holding) || lineage.settled.contains(holding) { continue }
        lineage.settled.append(holding)
      }
      lineage = .normalized(lineage.behind, lineage.settled)
      executing.change(part.slots) { _ in lineage }
      outputs.append(.execute(part.slots, sources: lineage.behind, keepsSettled: !old.isWhole))
    }
  }
}
