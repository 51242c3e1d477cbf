import NexusModel
import NexusReplication
import NexusService
import NexusStore

// Single keys that are asked of other members before they are read or changed.

extension ReplicaKeeper {
  struct KeyWait {
    var slot: Slot
    var name: SettledKey
    var batch: KeyBatch
    var isQuorum = false
  }

  /// Keys that one operation waits for.
  final class KeyBatch {
    var missing: Int
    /// Of a quorum: the fewest copies of a key that have answered, where they were too few.
    var answers: Int?
    let done: (KeyBatch) -> Void
    init(_ missing: Int, _ done: @escaping (KeyBatch) -> Void) {
      self.missing = missing
      self.done = done
    }
  }

  private static let readMilliseconds: UInt64 = 500

  /// Other live members that may have something of the slot.
  private func others(of slot: Slot, _ holders: [MemberNumber] = []) -> [MemberNumber] {
    var others: [MemberNumber] = []
    for member in holders + (sets?.members(of: slot) ?? []) {
      let isAsked = member != 0 && sets?.isLive(member) == true && !others.contains(member)
      if isAsked, others.count < ReplicaReads.peersMost { others.append(member) }
    }
    return others
  }

  private func read(
    _ name: SettledKey, of slot: Slot, from others: [MemberNumber], needed: Int, isQuorum: Bool, _ batch: KeyBatch
  ) {
    lastRead += 1
    let hash = name.key.withUnsafeBytes { store.key($0, in: name.namespace).hash }
    let key = KeyHash(hash: hash, namespace: name.namespace)
    waiting[lastRead] = KeyWait(slot: slot, name: name, batch: batch, isQuorum: isQuorum)
    let read = ReplicaReads.Read(
      id: lastRead, slot: slot, key: key, have: copies.version(of: key, in: slot), needed: needed, repairs: isQuorum,
      deadline: now + Self.readMilliseconds)
    runReads(.read(read, of: others))
  }

  /// Keys of a slot that is not verified.
  /// - Parameter holders: members that keep entries of the slot although they may have no place for it.
  func settle(
    _ slot: Slot, _ keys: [SettledKey], askingToo holders: [MemberNumber], _ done: @escaping @Sendable () -> Void
  ) {
    let others = others(of: slot, holders)
    let batch = KeyBatch(keys.count) { _ in done() }
    for name in keys { read(name, of: slot, from: others, needed: others.count, isQuorum: false, batch) }
  }

  /// Compares keys with so many members that they and this one, if it has a place, are more than half of the slot's
  /// configured copies; whoever of these has less than the newest gets it first.
  func askQuorum(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable (String?) -> Void) {
    let configured = cluster.copies?.configuredCopies ?? 1
    let quorum = Acknowledgement.quorum.copiesNeeded(of: configured)
    let own = sets?.members(of: slot).contains(0) == true ? 1 : 0
    let others = others(of: slot)
    let batch = KeyBatch(keys.count) { batch in
      done(
        batch.answers.map {
          "only \($0 + own) of \(configured) copies could be compared, and a quorum is \(quorum): nothing was read, "
            + "try again"
        })
    }
    for name in keys { read(name, of: slot, from: others, needed: quorum - own, isQuorum: true, batch) }
  }

  func answered(_ id: UInt64, _ outcome: ReplicaReads.Outcome, _ answers: Int) {
    guard let wait = waiting.removeValue(forKey: id) else { return }
    if wait.isQuorum {
      if outcome != .complete { wait.batch.answers = min(wait.batch.answers ?? .max, answers) }
    } else {
      // Whoever did not answer in time is about to be found dead: what is here has to do.
      wait.name.key.withUnsafeBytes { bytes in
        let key = store.key(bytes, in: wait.name.namespace)
        store.withSlot(key.slot, as: worker) { node.incoming.settle(key) }
      }
    }
    wait.batch.missing -= 1
    if wait.batch.missing == 0 { wait.batch.done(wait.batch) }
  }
}
