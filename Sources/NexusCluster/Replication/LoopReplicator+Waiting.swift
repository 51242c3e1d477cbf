import NexusModel
import NexusReplication
import NexusService

extension LoopReplicator: Replicator {
  private static let tickMilliseconds = 10

  var configuredCopies: Int { map.configuredCopies }
  func liveCopies(of slot: UInt16) -> Int { Int(map.live[Int(slot)]) }

  func beginWork() {
    work &+= 1
    worked.removeAll(keepingCapacity: true)
    lastTouched = nil
  }

  var hasWritten: Bool { !worked.isEmpty }

  func beginRecord() {
    // What is written from now on is written now.
    owner.node.store.noteTime(owner.loop.now)
    record = WriteRecord()
    lastTouched = nil
  }

  var hasRecord: Bool { !record.isEmpty }

  func takeRecord(into other: inout WriteRecord) {
    other.add(record)
    record = WriteRecord()
    lastTouched = nil
  }

  // MARK: Holds

  func hold(_ acknowledgement: Acknowledgement) -> ReplicaHold {
    let index = waiting.takeHold()
    waiting.holds[index].isTaken = true
    waiting.holds[index].acknowledgement = acknowledgement
    waiting.holds[index].pending = worked.count
    let level = acknowledgement == .all ? 2 : 1
    for number in worked {
      let set = sets + Int(number)
      if set.pointee.waits[level] == 0 {
        waiting.ofTurn.append(ReplicaWaiting.Wait(set: Int(number), acknowledgement: acknowledgement))
        set.pointee.waits[level] = UInt32(waiting.ofTurn.count)
      }
      waiting.ofTurn[Int(set.pointee.waits[level]) - 1].holds.append(index)
    }
    return ReplicaHold(number: UInt64(waiting.holds[index].generation) << 32 | UInt64(index))
  }

  func notify(_ waiter: any ReplicaWaiter, _ ticket: UInt64, of hold: ReplicaHold, timeoutMilliseconds: Int) {
    let index = Int(hold.number & 0xFFFF_FFFF)
    guard waiting.holds[index].isTaken, UInt64(waiting.holds[index].generation) == hold.number >> 32 else { return }
    let most = owner.node.settings.acknowledgementTimeoutMilliseconds
    let timeout = timeoutMilliseconds > 0 ? min(timeoutMilliseconds, most) : most
    waiting.holds[index].waiter = waiter
    waiting.holds[index].ticket = ticket
    waiting.holds[index].deadline = now + UInt64(timeout)
  }

  /// What was waited for in this turn has been sent, as far as it could be.
  func beginWaits() {
    guard !waiting.ofTurn.isEmpty else { return }
    let begun = waiting.ofTurn
    waiting.ofTurn.removeAll(keepingCapacity: true)
    let deadline = now + UInt64(owner.node.settings.acknowledgementTimeoutMilliseconds)
    for wait in begun {
      waiting.lastWait += 1
      let id = waiting.lastWait
      let set = sets + wait.set
      var parts: [Acknowledgements.Part] = []
      for place in 0..<set.pointee.memberCount where set.pointee.firsts[place] != 0 {
        parts.append(
          Acknowledgements.Part(peer: set.pointee.members[place], set.pointee.firsts[place]...set.pointee.lasts[place]))
      }
      for index in wait.holds { waiting.holds[index].waits.append(id) }
      waiting.underWay[id] = wait
      acknowledgements.wait(
        id, needed: wait.acknowledgement.copiesNeeded(of: configuredCopies) - 1, parts, deadline: deadline,
        into: &resolved)
    }
    resolve()
    startTicking()
  }

  /// Ends the holds whose waits have ended.
  func resolve() {
    guard !resolved.isEmpty else { return }
    let ended = resolved
    resolved.removeAll(keepingCapacity: true)
    for resolution in ended {
      guard let wait = waiting.underWay.removeValue(forKey: resolution.wait) else { continue }
      for index in wait.holds where waiting.holds[index].waits.contains(resolution.wait) {
        if resolution.outcome != .confirmed {
          waiting.holds[index].failed = min(waiting.holds[index].failed ?? .max, resolution.confirmations)
        }
        waiting.holds[index].pending -= 1
        if waiting.holds[index].pending == 0 { end(index) }
      }
    }
  }

  private func end(_ index: Int) {
    let hold = waiting.holds[index]
    waiting.giveBack(index)
    guard let waiter = hold.waiter else { return }
    let shortfall = hold.failed.map {
      ReplicaShortfall(
        confirmed: $0 + 1, needed: hold.acknowledgement.copiesNeeded(of: configuredCopies),
        configured: configuredCopies)
    }
    waiting.note(waiter)
    waiter.copied(hold.ticket, shortfall)
  }

  // MARK: Counting

  func count(
    _ record: WriteRecord, enough: Int, timeoutMilliseconds: Int, for waiter: any ReplicaWaiter, ticket: UInt64
  ) {
    waiting.counts.append(
      ReplicaWaiting.Count(
        record: record, enough: enough, deadline: now + UInt64(max(0, timeoutMilliseconds)), waiter: waiter,
        ticket: ticket))
    startTicking()
  }

  /// How many members beside the owner have all of it: of the set that has the fewest.
  private func copies(of record: WriteRecord) -> Int {
    if record.isEmpty { return min(configuredCopies, map.liveMembers) - 1 }
    var least = configuredCopies - 1
    for number in 1..<setCount where record.has(set: number) {
      let members = sets[number].members
      let count = acknowledgements.count(
        of: (0..<sets[number].memberCount).lazy.map { members[$0] }, having: record.firstTurn...record.lastTurn)
      least = min(least, count)
    }
    return least
  }

  // MARK: Time

  private func startTicking() {
    guard !waiting.isTicking, waiting.isWaiting else { return }
    waiting.isTicking = true
    owner.loop.after(milliseconds: Self.tickMilliseconds) { [self] in
      waiting.isTicking = false
      expire()
      startTicking()
    }
  }

  /// Ends holds whose time is over, which may be less than their waits have. What these bring later is nobody's.
  private func expire() {
    let now = self.now
    for index in waiting.holds.indices where waiting.holds[index].isTaken && waiting.holds[index].deadline <= now {
      for wait in waiting.holds[index].waits {
        guard waiting.underWay[wait] != nil else { continue }
        let confirmations = acknowledgements.confirmations(of: wait)
        waiting.holds[index].failed = min(waiting.holds[index].failed ?? .max, confirmations)
      }
      end(index)
    }
    acknowledgements.expire(now: now, into: &resolved)
    resolve()
  }

  /// The end of a turn: sends what was written, answers who counts, and says to all who were told something that this
  /// was all. True: there is more to send.
  func turnEnding() -> Bool {
    flush()
    if !waiting.counts.isEmpty { answerCounts() }
    publishLags()
    while !waiting.told.isEmpty {
      let told = waiting.told
      waiting.told.removeAll(keepingCapacity: true)
      for waiter in told { waiter.copiesEnded() }
    }
    return hasUnsent
  }

  private func answerCounts() {
    let asked = waiting.counts
    waiting.counts.removeAll(keepingCapacity: true)
    for count in asked {
      let copies = copies(of: count.record)
      if copies >= count.enough || count.deadline <= now {
        waiting.note(count.waiter)
        count.waiter.counted(count.ticket, copies)
      } else {
        waiting.counts.append(count)
      }
    }
  }
}
