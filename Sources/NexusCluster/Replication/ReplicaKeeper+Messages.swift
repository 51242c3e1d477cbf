import NexusModel
import NexusReplication
import NexusService
import NexusStore
import NexusWire

/// What goes over the control's streams: questions, answers, and versions.
extension ReplicaKeeper {
  func send(_ message: ReplicationMessage, to member: MemberNumber) {
    cluster.controlPeers.controlLink(to: member)?.send(ReplicationPost(message))
  }

  /// With the key's version, where there is one newer than that.
  func send(
    _ message: ReplicationMessage, withVersionOf key: KeyHash, in slot: Slot, newerThan have: KeyVersion?,
    to member: MemberNumber
  ) {
    guard let link = cluster.controlPeers.controlLink(to: member) else { return }
    // The version borrows the store's bytes until the message is encoded, which is before the lock is gone.
    let isSent = store.version(of: key.hash, in: slot.index, of: key.namespace, as: worker) { found, version in
      let known = KeyVersion(
        hash: key.hash, stamp: version.stamp, namespace: key.namespace, isTombstone: version.kind == .tombstone)
      let isNewer = have.map { known.isNewer(than: $0) } ?? true
      let entry = isNewer ? WireEntry(version, key: found.bytes, namespace: UInt32(key.namespace)) : nil
      link.send(ReplicationPost(Self.answering(message, known), entry: entry))
    }
    if !isSent { link.send(ReplicationPost(message)) }
  }

  private static func answering(_ message: ReplicationMessage, _ version: KeyVersion) -> ReplicationMessage {
    if case .keyAnswer(let id, _) = message { return .keyAnswer(id: id, version) }
    return message
  }

  func received(_ bytes: UnsafeRawBufferPointer, from member: MemberNumber) throws(WireError) {
    let post = try ReplicationPost(decoding: bytes)
    switch post.content {
    case .versions(let id, let entries):
      var refused = 0
      for entry in entries where !merge(entry, from: member) { refused += 1 }
      if id != 0 {
        cluster.controlPeers.controlLink(to: member)?.send(
          ReplicationPost(.versionsTaken(id: id, refused: refused)))
      }
    case .versionsTaken(let id, let refused):
      guard let portion = portions[member], portion.number == id else { return }
      portions[member] = nil
      runHints(refused == 0 ? .delivered(portion: id, member) : .failed(portion: id, member))
    case .message(let message): received(message, post.entry, from: member)
    }
    guard !merged.isEmpty else { return }
    let slots = merged
    merged = SlotSet()
    run(.merged(slots, from: member))
  }

  private func received(_ message: ReplicationMessage, _ entry: WireEntry?, from member: MemberNumber) {
    switch message {
    case .askSettled, .settledAnswer, .collect: runCollection(.received(message, from: member))
    case .askKey(let id, let slot, let key, let have):
      send(.keyAnswer(id: id, nil), withVersionOf: key, in: slot, newerThan: have, to: member)
    case .keepKey(let id, let slot, let key):
      if let entry { merge(entry, from: member) }
      let have = copies.version(of: key, in: slot)
      send(.keyAnswer(id: id, nil), withVersionOf: key, in: slot, newerThan: have, to: member)
    case .keyAnswer(let id, let version):
      if let entry { merge(entry, from: member) }
      let have = waiting[id].flatMap { wait in
        let hash = wait.name.key.withUnsafeBytes { store.key($0, in: wait.name.namespace).hash }
        return copies.version(of: KeyHash(hash: hash, namespace: wait.name.namespace), in: wait.slot)
      }
      runReads(.answer(id: id, version, from: member, have: have))
    default: run(.received(message, from: member))
    }
  }

  /// False: it was not taken.
  @discardableResult
  func merge(_ entry: WireEntry, from member: MemberNumber) -> Bool {
    guard let version = Version(entry), entry.namespace <= UInt32(NamespaceNumber.max),
      copies.accepts(version.stamp)
    else { return false }
    let namespace = NamespaceNumber(entry.namespace)
    // Without room the version is refused, and its slot stays marked.
    _ = store.admit(entry.key.count + entry.value.count, in: namespace, as: worker, now: wallClock)
    let key = store.key(entry.key, in: namespace)
    let slot = Slot(index: key.slot)
    // A late one, of a slot that is neither placed nor executed here any more: nobody would know that it is here.
    guard cluster.copies?.isMine(slot) == true || node.routes[slot] == .here || node.routes[slot] == .incoming else {
      return true
    }
    switch store.merge(key, version, as: worker, now: wallClock) {
    case .applied:
      // Whoever shares the slot may lack it too, unless who executes it has brought it.
      if executed.contains(slot) || sets?.owner(of: slot) != member { merged.insert(slot) }
      return true
    case .older, .same, .flushed: return true
    case .outOfMemory, .refused: return false
    }
  }

  // MARK: Versions that leave

  /// The versions that these keys have now. Answers about how many bytes.
  func push(_ slots: [SlotKeys], to member: MemberNumber, portion: UInt64) -> Int {
    guard let link = cluster.controlPeers.controlLink(to: member) else { return 0 }
    var bytes = 0
    for part in slots {
      store.withSlot(part.slot.index, as: worker) {
        var entries: [WireEntry] = []
        var pending = 0
        func flush() {
          if !entries.isEmpty { link.send(ReplicationPost(.versions(id: 0, entries))) }
          entries = []
          pending = 0
        }
        for key in part.keys {
          _ = store.version(of: key.hash, in: part.slot.index, of: key.namespace, as: worker) { found, version in
            entries.append(WireEntry(version, key: found.bytes, namespace: UInt32(key.namespace)))
            pending += found.count + version.value.count + 32
          }
          bytes += pending
          if pending > Self.stretchBytes { flush() }
        }
        flush()
      }
    }
    return bytes
  }

  private static let stretchBytes = 128 << 10

  /// Keys that the member missed. It says when it has taken them.
  func push(_ noted: [Hints.Hint], _ portion: UInt64, to member: MemberNumber) {
    guard let link = cluster.controlPeers.controlLink(to: member) else {
      return runHints(.failed(portion: portion, member))
    }
    portions[member] = (portion, now + Self.portionMilliseconds)
    var dropped: [SlotDrops] = []
    var unknown = SlotSet()
    for hint in noted {
      let version = hint.version
      let isSent = store.version(of: version.hash, in: hint.slot.index, of: version.namespace, as: worker) {
        link.send(
          ReplicationPost(.versions(id: 0, [WireEntry($1, key: $0.bytes, namespace: UInt32(version.namespace))])))
      }
      guard !isSent else { continue }
      // It is gone without a trace, and so is everything older: unless this node has lost it since, and it is alive
      // elsewhere.
      if hint.isEvicted || repair.completeSlots.contains(hint.slot) {
        dropped.append(SlotDrops(slot: hint.slot, versions: [version]))
      } else {
        unknown.insert(hint.slot)
      }
    }
    if !dropped.isEmpty { send(.drop(version: viewed, dropped), to: member) }
    if !unknown.isEmpty { run(.marked(unknown, member)) }
    link.send(ReplicationPost(.versions(id: portion, [])))
  }
}
