import NexusModel

/// What clients were told, and what has to be there because of it.
struct ReplicaLedger {
  /// A write that its client was told is done.
  struct Promise {
    var version: SimulatedVersion
    var acknowledgement: Acknowledgement
    /// Times that a process had ended with all that it had, when the request was sent.
    var losses: Int
  }

  private(set) var promises: [UInt64: [Promise]] = [:]
  private(set) var problems: [String] = []
  /// By key, the highest stamp that was evicted on purpose.
  private var evicted: [UInt64: Stamp] = [:]
  /// By key, the highest stamp of a delete that was run, or of a write that expires, whatever its client was told.
  /// Nothing may be left of it.
  private var passed: [UInt64: Stamp] = [:]
  private(set) var losses = 0
  /// Acknowledged writes of which the only copies died, by level: they are lost as the level allows.
  private(set) var excused: [Acknowledgement: Int] = [:]
  /// Older values that are there although a newer one was acknowledged, which has expired or was evicted since: what
  /// goes that way leaves no tombstone (docs/consistency.md).
  private(set) var outlived = 0

  mutating func problem(_ text: String) { if problems.count < 8 { problems.append(text) } }

  mutating func noteEvicted(_ version: SimulatedVersion) {
    evicted[version.hash] = max(evicted[version.hash] ?? .none, version.stamp)
  }

  mutating func notePassing(_ version: SimulatedVersion) {
    passed[version.hash] = max(passed[version.hash] ?? .none, version.stamp)
  }

  /// - Parameter begun: `losses` when the request was sent.
  mutating func acknowledged(
    _ version: SimulatedVersion, _ acknowledgement: Acknowledgement, begun: Int, copies: Int, _ nodes: [ReplicaNode],
    _ time: UInt64
  ) {
    let holders = nodes.count { holds($0, version) }
    let needed = acknowledgement.copiesNeeded(of: copies)
    if holders == 0, needed == 1, losses > begun {
      // Its owner died while the answer was under way.
      excused[acknowledgement, default: 0] += 1
      return
    }
    promises[version.hash, default: []].append(
      Promise(version: version, acknowledgement: acknowledgement, losses: begun))
    if holders + losses - begun < needed {
      problem("\(time) ms: \(name(version)) was acknowledged with \(holders) copies of \(needed)")
    }
  }

  /// The member has it, or something that came after it.
  private func holds(_ node: ReplicaNode, _ version: SimulatedVersion) -> Bool {
    if let found = node.store[version.slot, version.hash], found.stamp >= version.stamp { return true }
    return isOver(version, now: node.wallClock) || node.store.flushStamp >= version.stamp
  }

  /// It was evicted or has expired.
  private func isOver(_ version: SimulatedVersion, now: UnixMilliseconds) -> Bool {
    evicted[version.hash].map { $0 >= version.stamp } == true || version.expiresAt != 0 && version.expiresAt <= now
  }

  /// A process has ended. `left`: those that still have their memory.
  mutating func memoryLost(of member: Int, left: [ReplicaNode], _ time: UInt64) {
    losses += 1
    for (hash, known) in promises {
      promises[hash] = known.filter { promise in
        if left.contains(where: { holds($0, promise.version) }) { return true }
        // Something later took its place, and is gone without a trace.
        if passed[hash] ?? .none > promise.version.stamp { return false }
        // Whoever executes the slot may have collected the tombstone: then nobody has anything older.
        if promise.version.kind == .tombstone, promise.losses < losses - 1 { return false }
        if promise.acknowledgement != .one, promise.losses == losses - 1, promise.version.kind == .value {
          problem("\(time) ms: a quorum has acknowledged \(name(promise.version)), and only n\(member) had it")
        }
        excused[promise.acknowledgement, default: 0] += 1
        return false
      }
    }
  }

  func name(_ version: SimulatedVersion) -> String {
    "\(version.kind == .value ? "the write" : "the delete") of key \(version.hash % 1000) "
      + "in slot \(version.slot.index) with stamp \(version.stamp.milliseconds % 10_000_000).\(version.stamp.counter)"
  }

  /// In peace, when all copies are equal. `found`: what they have of a key.
  mutating func judge(_ now: UnixMilliseconds, _ flushStamp: Stamp, _ found: (Slot, UInt64) -> SimulatedVersion?) {
    for (_, known) in promises.sorted(by: { $0.key < $1.key }) {
      guard let highest = known.max(by: { $0.version.stamp < $1.version.stamp }) else { continue }
      let version = highest.version
      let there = found(version.slot, version.hash)
      if let there, there.stamp >= version.stamp { continue }
      if flushStamp >= version.stamp, there == nil { continue }
      if let there, there.kind == .value {
        if isOver(version, now: now) || passed[version.hash] ?? .none > version.stamp {
          outlived += 1
        } else {
          problem(
            "\(name(there)) came back: \(name(version)) was acknowledged (\(highest.acknowledgement.rawValue))")
        }
      } else if version.kind == .value, !isOver(version, now: now), passed[version.hash] ?? .none < version.stamp {
        problem("\(name(version)), acknowledged (\(highest.acknowledgement.rawValue)), is lost")
      }
    }
  }
}
