import NexusModel
import NexusReplication
import NexusService
import NexusStore
import NexusWire

/// Brings one loop's writes to the other members that have copies of their slots.
///
/// A change comes from the store, under the lock of its stripe, and is encoded once into the buffer of the slot's set
/// of members. At the end of the turn each member gets one frame of all sets that it is in. Where a member cannot be
/// reached, or too much waits for it, its keys are noted as hints instead; what was under way on a connection that is
/// lost is marked for repair.
///
/// Belongs to its loop's thread: the store calls it as the worker that the loop is.
final class LoopReplicator: @unchecked Sendable {
  /// The loop outlives it.
  unowned(unsafe) let owner: PeerLoop
  private unowned(unsafe) let arrears: any Arrears
  let fences: StreamFences
  private let routes: SlotRoutes
  @exclusivity(unchecked) private(set) var map: CopyMap
  /// The map's, at hand.
  @exclusivity(unchecked) private var setOf: UnsafeMutablePointer<UInt16>
  /// Invariant: `setCount` initialised sets; 0 is the empty one. Moves when the map changes, never within a turn's
  /// work.
  @exclusivity(unchecked) var sets: UnsafeMutablePointer<ReplicaSet>
  @exclusivity(unchecked) private(set) var setCount = 0
  @exclusivity(unchecked) private var dirty: [UInt16] = []
  @exclusivity(unchecked) var acknowledgements = Acknowledgements()
  /// Of what is being written now. What has a lower one has left.
  @exclusivity(unchecked) private(set) var turn: UInt64 = 1

  // What is being written: see `Replicator`.
  @exclusivity(unchecked) var work: UInt64 = 0
  /// Sets that this piece of work has written into.
  @exclusivity(unchecked) var worked: [UInt16] = []
  @exclusivity(unchecked) var record = WriteRecord()
  /// The set that was written into last, so that it need not be noted again.
  @exclusivity(unchecked) var lastTouched: UnsafeMutablePointer<ReplicaSet>?

  @exclusivity(unchecked) var waiting = ReplicaWaiting()
  @exclusivity(unchecked) var resolved: [Acknowledgements.Resolution] = []
  let tallies: UnsafeMutablePointer<ReplicationTallies>
  let lags = Guarded<[MemberNumber: Acknowledgements.Lag]>([:])
  @exclusivity(unchecked) private var frame: [Stretch] = []
  @exclusivity(unchecked) private var members: [MemberNumber] = []
  private var lagsAt: UInt64 = 0
  private let receiver: EffectReceiver
  /// Members whose streams broke and have not been followed by new ones, since when.
  private var broken: [MemberNumber: UInt64] = [:]
  private var isReconnecting = false

  /// A part of a set's entries in a frame.
  private struct Stretch {
    var set: Int
    var place: Int
    var from: ReplicaSet.Cut
    var to: ReplicaSet.Cut
  }

  /// A frame takes stretches until it has so many bytes.
  private static let frameBytes = 192 * 1024

  init(_ owner: PeerLoop, _ arrears: any Arrears, _ fences: StreamFences, configuredCopies: Int) {
    self.owner = owner
    self.arrears = arrears
    self.fences = fences
    routes = owner.node.routes
    receiver = EffectReceiver(owner.node, loop: owner.loop.index)
    map = CopyMap(configuredCopies: configuredCopies)
    setOf = map.setOf
    sets = .allocate(capacity: 1)
    sets.initialize(to: ReplicaSet([]))
    setCount = 1
    tallies = .allocate(capacity: 1)
    tallies.initialize(to: ReplicationTallies())
  }

  deinit {
    for index in 0..<setCount { sets[index].deallocate() }
    sets.deallocate()
    receiver.deallocate()
    tallies.deinitialize(count: 1)
    tallies.deallocate()
  }

  /// Milliseconds of a clock that never goes back.
  var now: UInt64 { owner.now }

  /// The placement, or who lives, has changed.
  func update(_ new: CopyMap) {
    flush()
    if new.sets.count > setCount {
      let larger = UnsafeMutablePointer<ReplicaSet>.allocate(capacity: new.sets.count)
      larger.moveInitialize(from: sets, count: setCount)
      for number in setCount..<new.sets.count { (larger + number).initialize(to: ReplicaSet(new.sets[number])) }
      sets.deallocate()
      sets = larger
      setCount = new.sets.count
      lastTouched = nil
    }
    map = new
    setOf = new.setOf
    // Connections are made before the first write has to wait for one.
    for member in Set(new.sets.joined()) { owner.replicaLink(to: member)?.prepare() }
  }

  /// The other members that have a place for the slot.
  func members(of slot: UInt16) -> [MemberNumber] { map.sets[Int(map.setOf[Int(slot)])] }

  // MARK: Writing

  /// A change that this node has made, by this loop. Under the lock of the key's stripe.
  @inline(__always) func note(_ change: borrowing Change) {
    let slot = change.key.slot
    let set = sets + Int(setOf[Int(slot)])
    // Nobody else has a copy; or it is this node's own copy, which it evicts for itself.
    if set == sets { return }
    let route = routes[slot: slot]
    guard route == .here || route == .incoming else { return }
    set.pointee.append(copy change)
    if lastTouched != set { touch(set) }
  }

  @inline(never) private func touch(_ set: UnsafeMutablePointer<ReplicaSet>) {
    lastTouched = set
    let number = set - sets
    if !set.pointee.isDirty {
      set.pointee.isDirty = true
      dirty.append(UInt16(number))
    }
    record.note(set: number, turn: turn)
    if set.pointee.work != work {
      set.pointee.work = work
      worked.append(UInt16(number))
    }
  }

  /// Something waits for the turn's end.
  var hasUnsent: Bool { !dirty.isEmpty }

  // MARK: The end of a turn

  /// Sends what was written, and begins the waits for it.
  func flush() {
    if !dirty.isEmpty {
      members.removeAll(keepingCapacity: true)
      for number in dirty {
        let set = sets + Int(number)
        for place in 0..<set.pointee.memberCount where !members.contains(set.pointee.members[place]) {
          members.append(set.pointee.members[place])
        }
      }
      for member in members { send(to: member) }
    }
    beginWaits()
    if dirty.isEmpty { return }
    for number in dirty { sets[Int(number)].endTurn() }
    dirty.removeAll(keepingCapacity: true)
    lastTouched = nil
    turn += 1
  }

  private func send(to member: MemberNumber) {
    guard let link = owner.replicaLink(to: member), link.takesFrames, !isFull(member) else { return hint(member) }
    var byteCount = 0
    for number in dirty {
      guard let place = sets[Int(number)].place(of: member) else { continue }
      var index = 0
      while let (from, to) = sets[Int(number)].stretch(index) {
        let count = to.bytes - from.bytes
        if byteCount > 0, byteCount + count > Self.frameBytes {
          send(byteCount, to: member, link)
          byteCount = 0
        }
        frame.append(Stretch(set: Int(number), place: place, from: from, to: to))
        byteCount += count
        index += 1
      }
    }
    if byteCount > 0 { send(byteCount, to: member, link) }
    // The connection broke under it: nothing of it will be confirmed.
    if !link.takesFrames {
      for number in dirty {
        if let place = sets[Int(number)].place(of: member) { sets[Int(number)].forget(place) }
      }
    }
  }

  private func send(_ byteCount: Int, to member: MemberNumber, _ link: PeerLink) {
    let first = acknowledgements.next(to: member)
    var count = 0
    for stretch in frame {
      let slots = UnsafeBufferPointer(
        start: sets[stretch.set].slots + stretch.from.count, count: stretch.to.count - stretch.from.count)
      sets[stretch.set].note(acknowledgements.append(slots, to: member), for: stretch.place)
      count += slots.count
    }
    acknowledgements.endFrame(to: member, turn: turn, byteCount: byteCount, now: now)
    tallies.pointee.sent.add(UInt64(count))
    let version = owner.directory.version
    link.send(frameOf: byteCount + PeerFrame.headBytes + 32) { out in
      PeerFrame.begin(&out, placementVersion: version)
      Effects.begin(&out, firstSequence: first, entryBytes: byteCount)
      for stretch in frame {
        out.append(sets[stretch.set].bytes.base + stretch.from.bytes, stretch.to.bytes - stretch.from.bytes)
      }
    }
    frame.removeAll(keepingCapacity: true)
  }

  /// As much waits for the member as may.
  private func isFull(_ member: MemberNumber) -> Bool {
    acknowledgements.lag(of: member, now: now).bytes > owner.node.settings.replicaQueueBytes / owner.node.loopCount
  }

  /// What was written in this turn does not reach the member: its keys are noted.
  private func hint(_ member: MemberNumber) {
    var hints = HintedKeys()
    for number in dirty {
      let set = sets + Int(number)
      guard set.pointee.place(of: member) != nil else { continue }
      var index = 0
      // Written here a moment ago: it can be read.
      try? Effects(decoding: set.pointee.bytes.bytes).each { entry in
        hints.add(
          entry.key, NamespaceNumber(truncatingIfNeeded: entry.namespace),
          Slot(index: set.pointee.slots[index]), Stamp(rawValue: entry.stamp), isEvicted: entry.kind == .evicted)
        index += 1
      }
    }
    tallies.pointee.hinted.add(UInt64(hints.keys.count))
    acknowledgements.miss(member, turn: turn)
    arrears.hint(hints, for: member, loop: owner.loop.index, number: acknowledgements.gapNumber(of: member) ?? 0)
  }

  // MARK: Hearing

  /// Another member's effects. What it is told.
  func take(_ effects: UnsafeRawBufferPointer, from member: MemberNumber?) throws(WireError) -> Confirmed? {
    var unexpected = SlotSet()
    defer { if !unexpected.isEmpty, let member { arrears.merged(unexpected, from: member) } }
    return try receiver.take(effects, from: member, map, tallies, &unexpected, now: owner.loop.now)
  }

  func confirmed(_ member: MemberNumber, _ confirmed: Confirmed) {
    let refused = acknowledgements.confirm(
      member, through: confirmed.through, refused: confirmed.refused, into: &resolved)
    if let refused {
      tallies.pointee.refusedThere.add(UInt64(confirmed.refused.count))
      mark(refused, member)
    }
    resolve()
  }

  /// The connection to the member is lost, or was never made.
  func lost(_ member: MemberNumber, wasOpen: Bool) {
    if wasOpen { reconnect(member) }
    let slots = acknowledgements.lose(member, into: &resolved)
    if !slots.isEmpty { mark(slots, member) }
    resolve()
  }

  private func mark(_ slots: SlotSet, _ member: MemberNumber) {
    arrears.mark(
      slots, for: member, loop: owner.loop.index, number: acknowledgements.gapNumber(of: member) ?? 0)
  }

  /// Everything that the member lacked, as far as it was told with this number, has been brought.
  func settle(_ member: MemberNumber, through number: UInt64) { acknowledgements.settle(member, through: number) }

  /// A new stream begins although nothing is to be sent: only then nothing more is taken from the old one.
  private func reconnect(_ member: MemberNumber) {
    if broken[member] == nil { (broken[member], lagsAt) = (now, 0) }
    guard !isReconnecting else { return }
    isReconnecting = true
    owner.loop.after(milliseconds: Self.reconnectMilliseconds) { [self] in
      isReconnecting = false
      // Who is dead is connected to when it is back.
      for member in broken.keys where owner.directory.entry(member)?.isLive == true {
        owner.replicaLink(to: member)?.prepare()
        reconnect(member)
      }
      publishLags()
    }
  }

  private static let reconnectMilliseconds = 200

  func opened(_ member: MemberNumber) {
    if broken.removeValue(forKey: member) != nil { lagsAt = 0 }
  }

  /// What reports see of it, now and then. A stream that broke and was not followed by another may still bring what was
  /// sent over it: the member lags since then.
  func publishLags() {
    guard now >= lagsAt else { return }
    lagsAt = now + 200
    var found: [MemberNumber: Acknowledgements.Lag] = [:]
    for member in Set(map.sets.joined()) {
      let lag = acknowledgements.lag(of: member, now: now)
      if lag.effects > 0 { found[member] = lag }
    }
    for (member, since) in broken where owner.directory.entry(member)?.isLive == true {
      var lag = found[member] ?? Acknowledgements.Lag()
      lag.milliseconds = max(lag.milliseconds, now - min(now, since))
      found[member] = lag
    }
    lags.withLock { $0 = found }
  }
}

/// Counted by one loop, read by reports.
struct ReplicationTallies: ~Copyable {
  let sent = Tally()
  let hinted = Tally()
  /// By the members that they were sent to.
  let refusedThere = Tally()
  let applied = Tally()
  /// Of other members' effects: no news, for what is here is as new or newer.
  let older = Tally()
  /// Of other members' effects, by this one.
  let refusedHere = Tally()
  /// Of these, for their senders' clocks.
  let tooFarAhead = Tally()
}
