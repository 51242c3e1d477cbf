import NexusModel

/// Slots that are known to differ: inventories, and then the versions that one side lacks.
extension Repair {
  // MARK: Inventories

  /// Of as many slots as have about `keysPerInventories` keys here; of a slot with more keys than that, a range.
  mutating func askInventories(_ slots: SlotSet, of index: Int, _ copies: any ReplicaCopies) {
    var parts: [InventoryQuestion.Part] = []
    var keys = 0
    for slot in slots.slots {
      var progress = peers[index].progress[slot] ?? RepairPeer.Progress()
      progress.cutoff = progress.cutoff ?? copies.lastStamp(of: slot)
      let bits = bitsNeeded(slot, copies)
      if progress.range == .all, bits > 0 { progress.range = HashRange(bits: bits) }
      peers[index].progress[slot] = progress
      let count = copies.keyCount(of: slot) >> Int(progress.range.bits)
      if !parts.isEmpty, keys + count > settings.keysPerInventories { break }
      parts.append(InventoryQuestion.Part(slot: slot, range: progress.range))
      keys += count
    }
    let id = newID()
    let message = ReplicationMessage.askInventories(
      InventoryQuestion(id: id, version: version, flushes: copies.flushes, parts: parts))
    outputs.append(.expire(SlotSet(parts.lazy.map(\.slot))))
    send(message, to: members[index])
    peers[index].phase = .askingInventories(
      RepairPeer.Question(id: id, message: message, retryAt: now + settings.retryMilliseconds), parts)
  }

  mutating func onInventories(_ answer: InventoryAnswer, from member: MemberNumber, _ copies: any ReplicaCopies) {
    guard let index = index(of: member), case .askingInventories(let asked, let parts) = peers[index].phase,
      isAnswer(answer.id, to: asked, session: answer.session, index)
    else { return }
    follow(answer.flushes, copies)
    var transfer = RepairPeer.Transfer()
    var wanted: [SlotKeys] = []
    var given: [SlotKeys] = []
    var droppedHere: [SlotDrops] = []
    var droppedThere: [SlotDrops] = []
    let needed = needed(index)
    for inventory in answer.slots
    where needed.contains(inventory.slot) && parts.contains(where: { $0.slot == inventory.slot }) {
      let slot = inventory.slot
      guard peers[index].progress[slot]?.range == inventory.range else { continue }
      if inventory.bitsNeeded > 0 {
        peers[index].progress[slot]?.range = HashRange(bits: min(inventory.bitsNeeded, 40))
        continue
      }
      let difference = difference(inventory, answer.flushes, index, copies)
      if let stamp = difference.ahead { outputs.append(.ahead(member, stamp)) }
      if !difference.wanted.isEmpty { wanted.append(SlotKeys(slot: slot, keys: difference.wanted)) }
      if !difference.given.isEmpty { given.append(SlotKeys(slot: slot, keys: difference.given)) }
      if !difference.droppedHere.isEmpty {
        droppedHere.append(SlotDrops(slot: slot, versions: difference.droppedHere))
        onMerged(SlotSet(CollectionOfOne(slot)), from: member)
      }
      if !difference.droppedThere.isEmpty {
        droppedThere.append(SlotDrops(slot: slot, versions: difference.droppedThere))
      }
      if unverified.contains(slot), peers[index].unpulled.contains(slot) { transfer.isUrgent = true }
      note(difference, inventory, &transfer, index)
    }
    if !droppedHere.isEmpty { outputs.append(.remove(droppedHere)) }
    if !droppedThere.isEmpty { send(.drop(version: version, droppedThere), to: member) }
    transfer.wanted = portions(wanted)[...]
    transfer.given = portions(given)[...]
    peers[index].phase = .transferring(transfer)
  }

  private mutating func difference(
    _ inventory: SlotInventory, _ flushes: [FlushStamp], _ index: Int, _ copies: any ReplicaCopies
  ) -> SlotDifference {
    let slot = inventory.slot
    let isComplete = complete.contains(slot)
    let theirAuthority = inventory.isComplete && !inventory.isPartial ? inventory.floor : .none
    // Followed once everything that stands behind it is here: until then what is lacking here is merely missing.
    if !isComplete { peers[index].progress[slot]?.floor = theirAuthority }
    let floor = max(copies.floor(of: slot), followedFloors[slot] ?? .none)
    return SlotDifference(
      mine: SlotDifference.Side(
        versions: versions(slot, inventory.range, copies), floor: floor,
        authority: isComplete ? floor : followedFloors[slot] ?? .none, isPartial: copies.isPartial(slot),
        flushes: copies.flushes),
      theirs: SlotDifference.Side(
        versions: inventory.versions, floor: inventory.floor, authority: theirAuthority,
        isPartial: inventory.isPartial, flushes: flushes),
      cutoff: peers[index].progress[slot]?.cutoff ?? .none,
      isLeftover: peers[index].leftover.contains(slot), yields: !isComplete, accepts: copies.accepts)
  }

  /// The slot's progress after one inventory: its next range, or settled, or to be compared again after the transfer.
  private mutating func note(
    _ difference: SlotDifference, _ inventory: SlotInventory, _ transfer: inout RepairPeer.Transfer, _ index: Int
  ) {
    let slot = inventory.slot
    guard var progress = peers[index].progress[slot] else { return }
    progress.differed = progress.differed || !difference.isEmpty
    progress.wanted = progress.wanted || !difference.wanted.isEmpty || difference.ahead != nil
    let isLast = progress.range.isLast
    progress.range = isLast ? .all : progress.range.next
    peers[index].progress[slot] = progress
    guard isLast else { return }
    if peers[index].markedMeanwhile.contains(slot) { return transfer.exchanged.append(slot) }
    if !progress.wanted {
      followFloor(slot, index)
      peers[index].unpulled.remove(slot)
      isChanged = true
    }
    if progress.differed {
      transfer.exchanged.append(slot)
    } else {
      peers[index].settle(slot)
      isChanged = true
    }
  }

  /// Everything that the other copy has is here: what it has dropped on purpose is known here now.
  mutating func followFloor(_ slot: Slot, _ index: Int) {
    guard !complete.contains(slot), let floor = peers[index].progress[slot]?.floor,
      floor > followedFloors[slot] ?? .none
    else { return }
    followedFloors[slot] = floor
  }

  /// Lists of about `keysPerPortion` keys.
  private func portions(_ slots: [SlotKeys]) -> [[SlotKeys]] {
    var portions: [[SlotKeys]] = []
    var current: [SlotKeys] = []
    var room = settings.keysPerPortion
    for item in slots {
      var rest = item.keys[...]
      while !rest.isEmpty {
        current.append(SlotKeys(slot: item.slot, keys: Array(rest.prefix(room))))
        room -= min(room, rest.count)
        rest = rest.dropFirst(current[current.count - 1].keys.count)
        if room == 0 {
          portions.append(current)
          current = []
          room = settings.keysPerPortion
        }
      }
    }
    if !current.isEmpty { portions.append(current) }
    return portions
  }

  // MARK: Versions

  /// One portion at a time: the next one when it has been carried out and the rate allows it.
  mutating func transfer(_ index: Int) {
    guard case .transferring(var transfer) = peers[index].phase, transfer.question == nil,
      transfer.pushedUntil == nil
    else { return }
    if transfer.wanted.isEmpty, transfer.given.isEmpty { return finish(transfer, index) }
    guard transfer.isUrgent || budget > 0 else { return }
    let member = members[index]
    if let portion = transfer.wanted.first {
      let id = newID()
      let message = ReplicationMessage.askVersions(id: id, portion)
      send(message, to: member)
      transfer.question = RepairPeer.Question(
        id: id, message: message, retryAt: now + settings.retryMilliseconds)
    } else if let portion = transfer.given.popFirst() {
      outputs.append(.push(portion, to: member, answering: nil))
      transfer.pushedUntil = now + settings.settleMilliseconds
    }
    peers[index].phase = .transferring(transfer)
  }

  mutating func onVersionsSent(_ id: UInt64, _ bytes: Int, from member: MemberNumber) {
    guard let index = index(of: member), case .transferring(var transfer) = peers[index].phase,
      transfer.question?.id == id
    else { return }
    spend(bytes)
    touch(index)
    transfer.question = nil
    transfer.wanted = transfer.wanted.dropFirst()
    peers[index].phase = .transferring(transfer)
  }

  mutating func onPushed(_ bytes: Int, _ member: MemberNumber, answering id: UInt64?) {
    if let id { return send(.versionsSent(id: id, bytes: bytes), to: member) }
    spend(bytes)
    guard let index = index(of: member), case .transferring(var transfer) = peers[index].phase else { return }
    transfer.pushedUntil = nil
    touch(index)
    peers[index].phase = .transferring(transfer)
  }

  /// What was brought gets its time to arrive; then the slots are compared again.
  private mutating func finish(_ transfer: RepairPeer.Transfer, _ index: Int) {
    peers[index].phase = .idle
    let settle = transfer.isUrgent ? settings.urgentSettleMilliseconds : settings.settleMilliseconds
    for slot in transfer.exchanged {
      guard var progress = peers[index].progress[slot] else { continue }
      peers[index].differing.remove(slot)
      progress.exchanges += 1
      progress.differed = false
      progress.wanted = false
      peers[index].progress[slot] = progress
      let extra = progress.exchanges - settings.exchanges
      let rest =
        extra < 0
        ? settle : min(settings.intervalMilliseconds << UInt64(min(extra, 16)), settings.longestRestMilliseconds)
      peers[index].rest(slot, until: now + rest)
    }
    isChanged = true
  }

  // MARK: Others' leftovers

  mutating func onOffer(
    _ id: UInt64, _ other: PlacementVersion, _ slots: SlotSet, from member: MemberNumber, _ copies: any ReplicaCopies
  ) {
    guard other == version, let sets, let index = index(of: member) else { return }
    touch(index)
    let offered = slots.intersection(executed).subtracting(peers[index].shared)
    if peers[index].offer != id {
      peers[index].offer = id
      peers[index].leftover = SlotSet()
      peers[index].pulledLeftover = SlotSet()
    }
    peers[index].leftover.formUnion(offered.subtracting(peers[index].pulledLeftover))
    var free = peers[index].pulledLeftover.intersection(gathered).intersection(sets.everyoneIsLive)
    for index in peers.indices { free.subtract(peers[index].unsettled.union(peers[index].found)) }
    for slot in free.slots where copies.isOwed(slot) { free.remove(slot) }
    if !free.isEmpty { send(.release(id: id, free), to: member) }
  }
}
