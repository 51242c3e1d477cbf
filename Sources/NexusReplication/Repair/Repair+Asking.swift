import NexusModel

/// The side that asks, about slots that it executes: one question at a time to each other member.
extension Repair {
  /// What is next with this member, if nothing is under way.
  mutating func advance(_ index: Int, _ copies: any ReplicaCopies) {
    if case .transferring = peers[index].phase { transfer(index) }
    guard case .idle = peers[index].phase, now >= peers[index].quietUntil else { return }
    peers[index].markedMeanwhile = SlotSet()
    if now >= peers[index].nextRestEnd { peers[index].wake(now) }
    let ready = needed(index).subtracting(peers[index].resting)
    guard ready.isEmpty else { return exchange(ready, with: index, copies) }
    if !peers[index].suspects.isEmpty, now >= peers[index].suspectsAt {
      let slots = SlotSet(peers[index].suspects.lazy.map(\.slot))
      askDigests(slots.first(settings.slotsPerDigests), isRoutine: true, of: index)
    } else if now >= peers[index].compareAt {
      compare(index, copies)
    }
  }

  private mutating func exchange(_ ready: SlotSet, with index: Int, _ copies: any ReplicaCopies) {
    let urgent = ready.intersection(unverified).intersection(peers[index].unpulled)
    let chosen = urgent.isEmpty ? ready : urgent
    let differing = chosen.intersection(peers[index].differing)
    if differing.isEmpty {
      askDigests(chosen.first(settings.slotsPerDigests), isRoutine: false, of: index)
    } else if !urgent.isEmpty || budget > 0 {
      askInventories(differing, of: index, copies)
    }
  }

  /// When something is to be done with this member although nothing is heard.
  func nextWake(of index: Int) -> UInt64 {
    let question: RepairPeer.Question?
    switch peers[index].phase {
    case .idle:
      var next = min(peers[index].nextRestEnd, peers[index].compareAt)
      if !peers[index].suspects.isEmpty { next = min(next, peers[index].suspectsAt) }
      if !needed(index).subtracting(peers[index].resting).isEmpty { next = 0 }
      return max(next, peers[index].quietUntil)
    case .comparing(let asked, _), .askingDigests(let asked, _, _), .askingInventories(let asked, _): question = asked
    case .transferring(let transfer):
      if let pushedUntil = transfer.pushedUntil { return pushedUntil }
      question = transfer.question
    }
    return question?.retryAt ?? 0
  }

  // MARK: Questions

  private mutating func question(_ message: ReplicationMessage, id: UInt64, to index: Int) -> RepairPeer.Question {
    send(message, to: members[index])
    return RepairPeer.Question(id: id, message: message, retryAt: now + settings.retryMilliseconds)
  }

  mutating func retry(_ index: Int) {
    switch peers[index].phase {
    case .idle: break
    case .comparing(let asked, let slots):
      if let again = askAgain(asked, index) { peers[index].phase = .comparing(again, slots: slots) }
    case .askingDigests(let asked, let slots, let isRoutine):
      if let again = askAgain(asked, index) {
        peers[index].phase = .askingDigests(again, slots: slots, isRoutine: isRoutine)
      }
    case .askingInventories(let asked, let parts):
      if let again = askAgain(asked, index) { peers[index].phase = .askingInventories(again, parts) }
    case .transferring(var transfer):
      if let until = transfer.pushedUntil, now >= until { transfer.pushedUntil = nil }
      if let asked = transfer.question {
        guard let again = askAgain(asked, index) else { return }
        transfer.question = again
      }
      peers[index].phase = .transferring(transfer)
    }
  }

  /// Nil: it has not answered so often that it is left alone for a while.
  private mutating func askAgain(_ asked: RepairPeer.Question, _ index: Int) -> RepairPeer.Question? {
    guard now >= asked.retryAt else { return asked }
    guard asked.attempts < settings.attempts else {
      leaveAlone(index)
      return nil
    }
    var again = asked
    again.attempts += 1
    again.retryAt = now + settings.retryMilliseconds
    send(asked.message, to: members[index])
    return again
  }

  private mutating func leaveAlone(_ index: Int) {
    peers[index].phase = .idle
    peers[index].quietUntil = now + settings.intervalMilliseconds
    peers[index].compareAt = max(peers[index].compareAt, peers[index].quietUntil)
  }

  /// The answer is to this question of this member; its session is noted.
  mutating func isAnswer(_ id: UInt64, to asked: RepairPeer.Question, session: UInt64, _ index: Int) -> Bool {
    guard id == asked.id else { return false }
    touch(index)
    if let known = peers[index].session, known != session { doubt(index) }
    peers[index].session = session
    return true
  }

  mutating func onOtherVersion(_ id: UInt64, from member: MemberNumber) {
    guard let index = index(of: member) else { return }
    touch(index)
    switch peers[index].phase {
    case .comparing(let asked, _) where asked.id == id, .askingDigests(let asked, _, _) where asked.id == id,
      .askingInventories(let asked, _) where asked.id == id:
      peers[index].phase = .idle
      peers[index].quietUntil = now + settings.retryMilliseconds
      outputs.append(.synchronize(member))
    default: break
    }
  }

  // MARK: Routine

  /// What is not executed yet, is being repaired or is under pressure stays out of the digest.
  private mutating func compare(_ index: Int, _ copies: any ReplicaCopies) {
    guard let sets else { return }
    peers[index].compareAt = now + settings.intervalMilliseconds
    let base = mine.intersection(sets.slots(of: members[index]))
    guard !base.isEmpty else { return }
    var leftOut = base.subtracting(peers[index].shared)
    leftOut.formUnion(needed(index))
    leftOut.formUnion(peers[index].partial)
    leftOut.formUnion(Self.partial(base, copies))
    leftOut.formIntersection(base)
    let slots = base.subtracting(leftOut)
    let id = newID()
    let isSettled = peers[index].unsettled.isEmpty && base.subtracting(gathered).isEmpty
    let message = CopyComparison(
      id: id, version: version, session: peers[index].session ?? 0, leftOut: leftOut,
      root: RepairDigest(slots, copies).root, isSettled: isSettled,
      isComplete: isSettled && base.subtracting(complete).isEmpty)
    peers[index].phase = .comparing(question(.compare(message), id: id, to: index), slots: slots)
  }

  mutating func onCompared(
    _ answer: CopyComparisonAnswer, from member: MemberNumber, _ copies: any ReplicaCopies
  ) {
    guard let index = index(of: member), case .comparing(let asked, let slots) = peers[index].phase,
      isAnswer(answer.id, to: asked, session: answer.session, index)
    else { return }
    peers[index].phase = .idle
    peers[index].partial = answer.partial
    guard !answer.sums.isEmpty else {
      peers[index].agreedAt = now
      return
    }
    guard answer.sums.count == RepairDigest.groupCount else { return }
    let compared = slots.subtracting(answer.partial)
    let differing = RepairDigest.differing(compared, RepairDigest(compared, copies).sums, answer.sums)
    if differing.isEmpty { peers[index].agreedAt = now }
    // Suspects have their own time: two looks at once would say that nothing was written between them.
    let new = differing.subtracting(SlotSet(peers[index].suspects.lazy.map(\.slot)))
    if !new.isEmpty { askDigests(new.first(settings.slotsPerDigests), isRoutine: true, of: index) }
  }

  /// A slot may differ because something is on its way. So it is looked at again a little later: if it still differs
  /// and was not written meanwhile, or differs again and again, it is divergent.
  private mutating func suspect(_ slot: Slot, differs: Bool, _ index: Int, _ copies: any ReplicaCopies) {
    let place = peers[index].suspects.firstIndex { $0.slot == slot }
    guard differs else {
      if let place { peers[index].suspects.remove(at: place) }
      return
    }
    let last = copies.lastStamp(of: slot)
    guard let place else {
      peers[index].suspects.append((slot, 1, last))
      return
    }
    let known = peers[index].suspects[place]
    if known.last == last || known.rounds >= settings.putOffRounds {
      peers[index].suspects.remove(at: place)
      if peers[index].shared.contains(slot) {
        peers[index].found.insert(slot)
        peers[index].differing.insert(slot)
        isChanged = true
      }
    } else {
      peers[index].suspects[place].rounds += 1
      peers[index].suspects[place].last = last
    }
  }

  // MARK: Digests

  private mutating func askDigests(_ slots: SlotSet, isRoutine: Bool, of index: Int) {
    let id = newID()
    let message = DigestQuestion(id: id, version: version, slots: slots, withTombstones: !isRoutine)
    peers[index].phase = .askingDigests(
      question(.askDigests(message), id: id, to: index), slots: slots, isRoutine: isRoutine)
  }

  mutating func onDigests(
    _ id: UInt64, _ session: UInt64, _ digests: [UInt64], from member: MemberNumber, _ copies: any ReplicaCopies
  ) {
    guard let index = index(of: member),
      case .askingDigests(let asked, let slots, let isRoutine) = peers[index].phase,
      digests.count == slots.count, isAnswer(id, to: asked, session: session, index)
    else { return }
    peers[index].phase = .idle
    let needed = needed(index)
    var place = 0
    slots.forEach { slot in
      let theirs = digests[place]
      place += 1
      if isRoutine {
        suspect(slot, differs: copies.digest(of: slot) != theirs, index, copies)
      } else if needed.contains(slot) {
        if RepairDigest.whole(slot, copies) != theirs {
          peers[index].differing.insert(slot)
        } else if !peers[index].markedMeanwhile.contains(slot) {
          followFloor(slot, index)
          peers[index].settle(slot)
        }
        isChanged = true
      }
    }
    if isRoutine { peers[index].suspectsAt = now + settings.putOffMilliseconds }
  }
}
