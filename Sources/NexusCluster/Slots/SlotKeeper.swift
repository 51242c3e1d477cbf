import NexusModel
import NexusService
import NexusStore
import NexusWire

/// Carries out what the ownership decides: routes, entries on their way, and single keys that are needed at once.
///
/// Belongs to the control loop's thread. Whatever it does to a slot's route, entries or settled keys it does under the
/// lock of the slot's stripe.
final class SlotKeeper {
  /// What `expect` has said of a slot.
  private struct Expected {
    var pull: UInt64
    var from: MemberNumber
    var local: LocalCopy
    /// The next stretch.
    var sequence: UInt32 = 0
  }

  private struct Arrival: Hashable {
    var pull: UInt64
    var from: MemberNumber
  }

  unowned let cluster: Cluster
  let node: Node
  let worker: Worker
  private var ownership: Ownership
  var fetches: KeyFetches<SettledKey>
  /// Entries that came with an answer, while its effects are carried out.
  var arriving: [SettledKey: WireEntry] = [:]
  var waiters: [UInt64: @Sendable () -> Void] = [:]
  var lastWaiter: UInt64 = 0
  private var expected: [UInt16: Expected] = [:]
  /// By slot: the number under which it is kept, and no more executed.
  var holdings: [UInt16: UInt64] = [:]
  private var streams: [SlotStream] = []
  private var nextTick: UInt64 = 0
  private var lastStep: UInt64?
  private var streamedAt: UInt64 = 0
  private var allowance = 0
  /// Since the start.
  private(set) var bytesSent: UInt64 = 0
  private(set) var keptOut = KeptOutEntries()
  /// When the membership was last asked for that the ownership waits for.
  private var refreshAskedAt: UInt64?
  /// Slots that have come whole in this turn, by their pull; empty: something has come.
  private var arrived: [Arrival: SlotSet] = [:]

  private static let tickMilliseconds: UInt64 = 50
  private static let streamMilliseconds: UInt64 = 5
  /// Without an answer others are asked.
  private static let refreshMilliseconds: UInt64 = 300
  private static let queuedBytesMost = 4 << 20

  init(cluster: Cluster, node: Node, worker: Worker) {
    self.cluster = cluster
    self.node = node
    self.worker = worker
    let member = cluster.configuration.member
    var settings = OwnershipSettings()
    // Empty slots cost next to nothing: a cluster forms in a few round trips.
    settings.slotsPerPull = 2048
    ownership = Ownership(me: member.id, number: 0, startedAt: member.startedAt, settings: settings)
    fetches = KeyFetches(startedAt: member.startedAt)
  }

  var progress: OwnershipProgress { ownership.progress }
  /// Versions have stamps: what comes is merged, and deletions leave tombstones that move too.
  var isStamped: Bool { cluster.copies != nil }
  var store: Store { node.store }
  var now: UInt64 { cluster.now }
  var wallClock: UnixMilliseconds { cluster.loop.now }

  /// On the control loop's clock.
  var nextDeadline: UInt64 { streams.isEmpty ? nextTick : min(nextTick, streamedAt + Self.streamMilliseconds) }

  func due(_ now: UInt64) {
    if now >= nextTick {
      nextTick = now + Self.tickMilliseconds
      step(.tick)
      carryOut(fetches.tick(now: now))
      if let refreshAskedAt, now >= refreshAskedAt + Self.refreshMilliseconds { askForRefresh() }
    }
    if !streams.isEmpty, now >= streamedAt + Self.streamMilliseconds { stream(now) }
  }

  func view(_ view: OwnershipView) { step(.view(view)) }
  func leave(limitMilliseconds: UInt64) { step(.leave(limitMilliseconds: limitMilliseconds)) }

  /// The membership was exchanged with another member.
  func refreshed() {
    guard refreshAskedAt != nil else { return }
    refreshAskedAt = nil
    step(.refreshed)
  }

  private func askForRefresh() {
    refreshAskedAt = now
    cluster.refreshMembership()
  }

  /// Others take this node for dead, so they may execute what it does.
  func away() {
    step(.away)
    copies?.away()
  }

  /// Of whatever has copies.
  var copies: ReplicaKeeper? { cluster.replicaKeeper }
  /// Where there are copies.
  var doubts = SlotDoubts()

  private func sayAway() {
    let still = lastStep.map { now - $0 } ?? 0
    cluster.log.info(
      "others may execute what this node did: it stops, and asks for what it has missed",
      ("stood-still-milliseconds", "\(still)"))
  }

  // MARK: Ownership

  private func step(_ input: OwnershipInput) {
    let now = now
    let outputs = ownership.step(input, now: now)
    defer { lastStep = now }
    guard !outputs.isEmpty else { return }
    var routesChanged = false
    for output in outputs {
      if carryOut(output) { routesChanged = true }
      carryOut(fetches.follow(output, now: now) { [unowned self] _, key in hasLocal(key) })
    }
    if routesChanged { cluster.routesChanged() }
  }

  /// True: routes are others now.
  private func carryOut(_ output: OwnershipOutput) -> Bool {
    switch output {
    case .stop(let slots, let holding, let route):
      each(slots) { slot in
        node.routes.set(slot, route)
        node.interests.leave(slot: slot.index)
        expected[slot.index] = nil
        holdings[slot.index] = holding
        // It has all that there is, as far as this node knows: whoever gets it gets everything, and is told.
        if doubts.unverified.contains(slot), doubts.isWhole(slot) { node.incoming.end(slot) }
      }
      doubts.stop(slots)
      copies?.stop(slots)
      return true
    case .forget(let slots):
      endStreams(of: slots)
      doubts.forget(slots)
      slots.forEach { forget($0) }
    case .execute(let slots, let sources, let keepsSettled):
      endStreams(of: slots)
      each(slots) { slot in
        holdings[slot.index] = nil
        if sources.isEmpty, copies == nil {
          node.incoming.end(slot)
        } else if !keepsSettled {
          node.incoming.begin(slot)
        }
        node.routes.set(slot, sources.isEmpty && copies == nil ? .here : .incoming)
      }
      takeOver(slots, from: sources)
      return true
    case .whole(let slots):
      slots.forEach { expected[$0.index] = nil }
      becomeWhole(slots)
      return true
    case .route(let slots, let route):
      slots.forEach { node.routes.set($0, route) }
      return true
    case .expect(let slots, let pull, let member, let local):
      slots.forEach { expected[$0.index] = Expected(pull: pull, from: member, local: local) }
    case .sources: break
    case .send(let message, let member):
      cluster.controlPeers.controlLink(to: member)?.send(OwnershipPost(doubts.completed(message)))
    case .stream(let slots, let holding, let pull, let member):
      streams.removeAll { $0.member == member && !$0.slots.intersection(slots).isEmpty }
      streams.append(SlotStream(slots: slots, holding: holding, pull: pull, member: member))
    case .synchronize(let member): cluster.synchronize(withMember: member)
    case .refresh:
      sayAway()
      askForRefresh()
    case .drained(let unmoved): cluster.drained(unmoved)
    }
    return false
  }

  private func endStreams(of slots: SlotSet) {
    for index in streams.indices { streams[index].drop(slots) }
    streams.removeAll { $0.isDone }
  }

  func each(_ slots: SlotSet, _ body: (Slot) -> Void) {
    slots.forEach { slot in store.withSlot(slot.index, as: worker) { body(slot) } }
  }

  private func forget(_ slot: Slot) {
    if cluster.copies != nil {
      // What was given away stays: a copy where this node still has a place for it, and else a leftover, which repair
      // releases when every member of the slot has everything. One who has got it may be the only one who lives.
      store.withSlot(slot.index, as: worker) { node.incoming.end(slot) }
      holdings[slot.index] = nil
      return
    }
    var keys: [SettledKey] = []
    store.visit(slot: slot.index, in: nil, as: worker, now: wallClock) {
      keys.append(SettledKey(namespace: $0.namespace, key: Array($0.keyBytes)))
    }
    for key in keys { remove(key) }
    store.withSlot(slot.index, as: worker) { node.incoming.end(slot) }
    holdings[slot.index] = nil
  }

  // MARK: Messages

  func received(_ kind: FrameKind, _ bytes: [UInt8], from member: MemberNumber) throws(WireError) {
    try bytes.reading { bytes throws(WireError) in
      switch kind {
      case .ownership:
        let message = try OwnershipPost(decoding: bytes).message
        doubts.follow(message)
        step(.received(message, from: member))
        doubts.follow(nil)
      case .entries: take(try Entries(decoding: bytes), from: member)
      case .fetch: answer(try Fetch(decoding: bytes), to: member)
      case .fetched: take(try Fetched(decoding: bytes), from: member)
      case .replication: try copies?.received(bytes, from: member)
      default: break
      }
    }
  }

  // MARK: Entries that arrive

  private func take(_ entries: Entries, from member: MemberNumber) {
    guard let expectation = expected[entries.slot.index], expectation.pull == entries.pull,
      expectation.from == member, expectation.sequence == entries.sequence
    else { return }
    expected[entries.slot.index]?.sequence += 1
    for entry in entries.entries {
      put(entry, overridesLocal: expectation.local != .newer)
    }
    for name in entries.absent {
      withKey(SettledKey(name)) { settle(absent: $0, overridesLocal: expectation.local == .older) }
    }
    // Many come in one turn: the ownership is told once.
    let arrival = Arrival(pull: entries.pull, from: member)
    if entries.isLast {
      arrived[arrival, default: SlotSet()].insert(entries.slot)
      doubts.arrived(entries.slot)
    } else if arrived[arrival] == nil {
      arrived[arrival] = SlotSet()
    }
  }

  /// At the end of a turn of the loop.
  func turnEnding() {
    guard !arrived.isEmpty else { return }
    let all = arrived
    arrived = [:]
    for (arrival, slots) in all {
      step(
        slots.isEmpty
          ? .progressed(pull: arrival.pull) : .arrived(slots, pull: arrival.pull, from: arrival.from))
    }
  }

  /// A holder does not have the key. Where versions have stamps it has not deleted it: then there would be a tombstone.
  func settle(absent key: Key, overridesLocal: Bool) {
    guard !node.incoming.isSettled(key) else { return }
    if overridesLocal, !isStamped { removeEntry(key) }
    settle(key)
  }

  /// Takes a version that has come, if it is newer than what is here, and settles its key.
  private func merge(_ entry: WireEntry) {
    let key = store.key(entry.key, in: NamespaceNumber(truncatingIfNeeded: entry.namespace))
    if entry.namespace <= UInt32(NamespaceNumber.max), let version = Version(entry) {
      _ = store.merge(key, version, as: worker, now: wallClock)
    }
    store.withSlot(key.slot, as: worker) { settle(key) }
  }

  /// Puts an entry that has come, unless the key is settled already, and settles it.
  func put(_ entry: WireEntry, overridesLocal: Bool) {
    if isStamped { return merge(entry) }
    let bytes = entry.key.count + entry.value.count
    guard let namespace = NamespaceNumber(exactly: entry.namespace), store.isConfigured(namespace) else {
      return keptOut.add(entry.namespace, node.log)
    }
    // Without room the entry is lost, as eviction would lose it, and so is one of a type that only a later version
    // knows: the key is settled as absent.
    let hasRoom = store.admit(bytes, in: namespace, as: worker, now: wallClock) == .stored
    let key = store.key(entry.key, in: namespace)
    store.withSlot(key.slot, as: worker) {
      guard !node.incoming.isSettled(key) else { return }
      let old = store.find(key, now: wallClock, touch: false)
      let type = UInt8(exactly: entry.type).flatMap { ValueType(rawValue: $0) }
      if hasRoom, let type, old == nil || overridesLocal,
        entry.expiresAt == 0 || Int64(entry.expiresAt) > wallClock
      {
        let expiry: Expiry = entry.expiresAt == 0 ? .none : .at(Int64(entry.expiresAt))
        if store.put(key, over: old, entry.value, expiry, type: type) == .stored { setFields(key, entry) }
      }
      node.incoming.settle(key)
    }
  }

  private func setFields(_ key: Key, _ entry: WireEntry) {
    guard
      entry.stamp != 0 || entry.version != 0 || entry.clientFlags != 0 || entry.freshUntil != 0
        || !entry.tags.isEmpty,
      let stored = store.find(key, now: wallClock, touch: false)
    else { return }
    _ = store.setFields(
      key, stored, clientFlags: entry.clientFlags, version: entry.version, stamp: entry.stamp,
      freshUntil: UnixMilliseconds(clamping: entry.freshUntil), tags: entry.tags)
  }

  // MARK: The store

  func hasLocal(_ name: SettledKey) -> Bool {
    withKey(name) { store.find($0, now: wallClock, touch: false) != nil }
  }

  func withKey<Result>(_ name: SettledKey, _ body: (Key) -> Result) -> Result {
    name.key.withUnsafeBytes { bytes in
      let key = store.key(bytes, in: name.namespace)
      return store.withSlot(key.slot, as: worker) { body(key) }
    }
  }

  private func remove(_ name: SettledKey) { withKey(name) { removeEntry($0) } }

  func removeEntry(_ key: Key) {
    if let entry = store.find(key, now: wallClock, touch: false) { store.remove(key, entry) }
  }

  // MARK: Entries that leave

  /// Sends a little of every stream, as the rate allows and the receivers take it.
  private func stream(_ now: UInt64) {
    let rate = node.settings.rebalanceBytesPerSecond
    let elapsed = Int(min(now - min(now, streamedAt), 100))
    streamedAt = now
    allowance = min(allowance + rate / 1000 * elapsed, max(rate / 20, 256 << 10))
    var isMoving = true
    while allowance > 0, isMoving {
      isMoving = false
      for index in streams.indices where allowance > 0 && !streams[index].isDone {
        guard let link = cluster.controlPeers.controlLink(to: streams[index].member),
          link.queuedBytes < Self.queuedBytesMost
        else { continue }
        let sent = streams[index].sendNext(on: link, self, now: wallClock)
        allowance -= sent
        bytesSent += UInt64(sent)
        isMoving = true
      }
    }
    streams.removeAll { $0.isDone }
  }
}
