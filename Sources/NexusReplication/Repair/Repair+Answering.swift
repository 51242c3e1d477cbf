import NexusModel

/// The side that is asked: it answers from what it has, and keeps nothing but what it was told of its own copies.
extension Repair {
  /// False: the other member sees another placement; it has been told.
  private mutating func agreesOn(_ other: PlacementVersion, _ id: UInt64, _ member: MemberNumber) -> Bool {
    if sets != nil, other == version { return true }
    send(.otherVersion(id: id), to: member)
    return false
  }

  mutating func answer(_ question: CopyComparison, from member: MemberNumber, _ copies: any ReplicaCopies) {
    guard agreesOn(question.version, question.id, member), let sets else { return }
    let base = sets.slots(executedBy: member).intersection(placed)
    let partial = Self.partial(base, copies)
    // What was evicted here may be missed by now: until it is brought back, this is not the whole slot.
    complete.subtract(partial)
    let compared = base.subtracting(question.leftOut).subtracting(partial)
    let digest = RepairDigest(compared, copies)
    let isEqual = digest.root == question.root
    if question.isSettled, question.session == session {
      awaited.subtract(base)
      if question.isComplete, isEqual { complete.formUnion(compared) }
      isChanged = true
    }
    let answer = CopyComparisonAnswer(
      id: question.id, session: session, sums: isEqual ? [] : digest.sums, partial: partial)
    send(.compared(answer), to: member)
  }

  static func partial(_ slots: SlotSet, _ copies: any ReplicaCopies) -> SlotSet {
    var partial = SlotSet()
    slots.forEach { if copies.isPartial($0) { partial.insert($0) } }
    return partial
  }

  mutating func answer(_ question: DigestQuestion, from member: MemberNumber, _ copies: any ReplicaCopies) {
    guard agreesOn(question.version, question.id, member) else { return }
    var digests: [UInt64] = []
    question.slots.forEach {
      digests.append(question.withTombstones ? RepairDigest.whole($0, copies) : copies.digest(of: $0))
    }
    send(.digests(id: question.id, session: session, digests), to: member)
  }

  mutating func answer(_ question: InventoryQuestion, from member: MemberNumber, _ copies: any ReplicaCopies) {
    guard agreesOn(question.version, question.id, member) else { return }
    follow(question.flushes, copies)
    var answers: [SlotInventory] = []
    for part in question.parts {
      let slot = part.slot
      var inventory = SlotInventory(
        slot: slot, range: part.range, floor: copies.floor(of: slot), isPartial: copies.isPartial(slot),
        isComplete: complete.contains(slot), versions: [])
      let bits = bitsNeeded(slot, copies)
      if bits > part.range.bits + 1 {
        inventory.bitsNeeded = bits
      } else {
        inventory.versions = versions(slot, part.range, copies)
      }
      answers.append(inventory)
    }
    let answer = InventoryAnswer(id: question.id, session: session, flushes: copies.flushes, slots: answers)
    send(.inventories(answer), to: member)
    outputs.append(.expire(SlotSet(question.parts.lazy.map(\.slot))))
  }

  /// Flushes that this node has missed.
  mutating func follow(_ flushes: [FlushStamp], _ copies: any ReplicaCopies) {
    guard !flushes.isEmpty else { return }
    let mine = copies.flushes
    for flush in flushes {
      let known = mine.first { $0.namespace == flush.namespace }?.stamp ?? .none
      if flush.stamp > known, copies.accepts(flush.stamp) { outputs.append(.flush(flush)) }
    }
  }

  /// So that one range has about `keysPerInventories` keys at most.
  func bitsNeeded(_ slot: Slot, _ copies: any ReplicaCopies) -> UInt8 {
    var bits: UInt8 = 0
    while copies.keyCount(of: slot) >> Int(bits) > settings.keysPerInventories { bits += 1 }
    return bits
  }

  func versions(_ slot: Slot, _ range: HashRange, _ copies: any ReplicaCopies) -> [KeyVersion] {
    var versions: [KeyVersion] = []
    copies.visit(slot, range) { if range.contains($0.hash) { versions.append($0) } }
    return versions
  }

  mutating func onDrop(_ other: PlacementVersion, _ drops: [SlotDrops], from member: MemberNumber) {
    guard other == version, let sets else { return }
    let accepted = drops.filter { sets.owner(of: $0.slot) == member && !executed.contains($0.slot) }
    if !accepted.isEmpty { outputs.append(.remove(accepted)) }
  }

  mutating func onAgreed(
    _ session: UInt64, _ other: PlacementVersion, _ slots: SlotSet, _ whole: SlotSet, from member: MemberNumber
  ) {
    guard other == version, session == self.session, let sets else { return }
    let theirs = sets.slots(executedBy: member).intersection(placed).subtracting(executed)
    awaited.subtract(slots.intersection(theirs))
    complete.formUnion(whole.intersection(theirs))
    isChanged = true
  }

  // MARK: Leftovers of this node

  mutating func offerLeftovers() {
    guard !leftovers.isEmpty, let sets, now >= offerAt else { return }
    offerAt = now + settings.leftoverMilliseconds
    for member in members {
      let theirs = leftovers.intersection(sets.slots(executedBy: member))
      if !theirs.isEmpty { send(.offerLeftovers(id: offer, version: version, theirs), to: member) }
    }
  }

  mutating func onRelease(_ id: UInt64, _ slots: SlotSet) {
    guard id == offer else { return }
    let released = slots.intersection(leftovers)
    guard !released.isEmpty else { return }
    leftovers.subtract(released)
    released.forEach { followedFloors[$0] = nil }
    outputs.append(.release(released))
    isChanged = true
  }
}
