import NexusModel
import NexusReplication

/// This loop's connection to another member's, as the sender of effects sees it.
struct ReplicaLink {
  /// A connection's number: every attempt has its own.
  var connection: UInt64
  var isUp = false
  /// It was up, and no other has followed it.
  var brokenSince: UInt64?
  var frames = 0
}

/// The same, as their receiver sees it: frames come in order, or not at all.
struct ReplicaArrivals {
  var connection: UInt64 = 0
  var frames = 0
}

/// What `PeerLink`, `LoopReplicator` and `EffectReceiver` do: effects to the other members of their slots, and what
/// becomes of them.
extension ReplicaNode {
  // MARK: Connecting

  /// Tries to reach who is not connected.
  func greet() {
    guard let picture else { return }
    for member in picture.known where Int(member) != index {
      let other = Int(member)
      if links[other].isUp {
        // Nothing comes back: the connection is dead, whatever the system says.
        let lag = acknowledgements.lag(of: member, now: now)
        if lag.milliseconds > settings.deadLinkMilliseconds { lose(other) }
      } else {
        links[other].connection += 1
        outbox.append(.stream(.greeting(connection: links[other].connection), to: other))
      }
    }
  }

  func welcome(_ connection: UInt64, from other: Int) {
    arriving[other] = ReplicaArrivals(connection: connection)
    outbox.append(.stream(.welcome(connection: connection), to: other))
  }

  func welcomed(_ connection: UInt64, by other: Int) {
    guard links[other].connection == connection else { return }
    links[other].isUp = true
    links[other].brokenSince = nil
    links[other].frames = 0
  }

  func lose(_ other: Int) {
    guard links[other].isUp else { return }
    links[other].isUp = false
    links[other].brokenSince = now
    if host.bug == .streamsNotFenced { return }
    links[other].connection += 1
    let member = MemberNumber(other)
    let slots = acknowledgements.lose(member, into: &resolved)
    if !slots.isEmpty { mark(slots, member) }
    resolve()
  }

  // MARK: Leaving

  /// The members beside this one that have a place for the slot, dead ones too.
  private func others(of slot: Slot) -> [MemberNumber] { sets?.others(of: slot) ?? [] }

  func liveCopies(of slot: Slot) -> Int { 1 + others(of: slot).count { sets?.isLive($0) == true } }

  /// A change that this node has made: `LoopReplicator.note`.
  func note(_ version: SimulatedVersion) {
    guard executes(version.slot), !others(of: version.slot).isEmpty else { return }
    changes.append(version)
  }

  /// The end of a turn.
  func flush() {
    let changes = self.changes
    self.changes = []
    var members: [MemberNumber] = []
    for change in changes {
      for member in others(of: change.slot) where !members.contains(member) { members.append(member) }
    }
    var parts: [(member: MemberNumber, slots: SlotSet, numbers: ClosedRange<UInt64>)] = []
    for member in members.sorted() {
      let theirs = changes.filter { others(of: $0.slot).contains(member) }
      if let numbers = send(theirs, to: member) {
        parts.append((member, SlotSet(theirs.map(\.slot)), numbers))
      }
    }
    beginWaits(parts)
    if !changes.isEmpty { turn += 1 }
  }

  private func send(_ changes: [SimulatedVersion], to member: MemberNumber) -> ClosedRange<UInt64>? {
    let other = Int(member)
    let isFull = acknowledgements.lag(of: member, now: now).bytes > settings.queueBytes
    guard links[other].isUp, !isFull else {
      hint(changes, member)
      return nil
    }
    let slots = changes.map(\.slot.index)
    let numbers = slots.withUnsafeBufferPointer { acknowledgements.append($0, to: member) }
    acknowledgements.endFrame(to: member, turn: turn, byteCount: changes.count, now: now)
    outbox.append(
      .stream(
        .effects(
          connection: links[other].connection, frame: links[other].frames, first: numbers.lowerBound, changes),
        to: other))
    links[other].frames += 1
    return numbers
  }

  private func hint(_ changes: [SimulatedVersion], _ member: MemberNumber) {
    acknowledgements.miss(member, turn: turn)
    if host.bug == .hintLost { return }
    owe(member)
    noteHinted(SlotSet(changes.map(\.slot)))
    for change in changes {
      let version = KeyVersion(hash: change.hash, stamp: change.stamp)
      let isEvicted = change.kind == .evicted
      runHints(.missed(Hints.Hint(slot: change.slot, version: version, isEvicted: isEvicted), by: member))
    }
  }

  private func mark(_ slots: SlotSet, _ member: MemberNumber) {
    owe(member)
    run(.marked(slots, member))
  }

  private func owe(_ member: MemberNumber) {
    arrears[member] = max(arrears[member] ?? 0, acknowledgements.gapNumber(of: member) ?? 0)
  }

  // MARK: Waiting

  private func beginWaits(_ parts: [(member: MemberNumber, slots: SlotSet, numbers: ClosedRange<UInt64>)]) {
    let begun = turnsWaits
    turnsWaits = []
    for wait in begun {
      lastWait += 1
      underWay[lastWait] = wait
      let own = parts.filter { $0.slots.contains(wait.version.slot) }
        .map { Acknowledgements.Part(peer: $0.member, $0.numbers) }
      acknowledgements.wait(
        lastWait, needed: wait.request.acknowledgement.copiesNeeded(of: settings.copies) - 1, own,
        deadline: now + settings.acknowledgementMilliseconds, into: &resolved)
    }
  }

  func resolve() {
    while !resolved.isEmpty {
      let ended = resolved
      resolved = []
      for resolution in ended {
        guard let wait = underWay.removeValue(forKey: resolution.wait) else { continue }
        answer(wait.request, resolution.outcome == .confirmed ? .done(wait.version) : .short)
      }
    }
  }

  // MARK: Arriving

  func take(
    _ versions: [SimulatedVersion], _ first: UInt64, frame: Int, of connection: UInt64, from sender: Int
  ) {
    if host.bug != .streamsNotFenced {
      // What was lost before it broke the connection: nothing of it is taken any more.
      guard arriving[sender].connection == connection, arriving[sender].frames == frame else { return }
    }
    arriving[sender].frames += 1
    var refused: [UInt64] = []
    var unexpected = SlotSet()
    for (offset, version) in versions.enumerated() {
      let isMine = sets?.slots(of: number).contains(version.slot) == true
      guard isMine, bound.accepts(version.stamp, now: wallClock) else {
        refused.append(first + UInt64(offset))
        continue
      }
      // News from another than the one that executes the slot, as this node sees it.
      if store.merge(version) == .applied, routes[Int(version.slot.index)].member != MemberNumber(sender) {
        unexpected.insert(version.slot)
      }
    }
    if !unexpected.isEmpty { run(.merged(unexpected, from: MemberNumber(sender))) }
    let through = first + UInt64(versions.count) - 1
    outbox.append(.stream(.confirmed(connection: connection, through: through, refused: refused), to: sender))
  }

  func confirmed(_ through: UInt64, _ refused: [UInt64], on connection: UInt64, by other: Int) {
    if host.bug != .streamsNotFenced, links[other].connection != connection || !links[other].isUp { return }
    let member = MemberNumber(other)
    if let slots = acknowledgements.confirm(member, through: through, refused: refused, into: &resolved) {
      mark(slots, member)
    }
    resolve()
  }
}
