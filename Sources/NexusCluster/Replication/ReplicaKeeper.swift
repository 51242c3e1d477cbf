import NexusModel
import NexusReplication
import NexusService
import NexusStore
import NexusWire

/// Carries out what the replication cores decide: copies are compared and made equal, what members missed is brought to
/// them, slots whose owner died are verified, tombstones go.
///
/// Belongs to the control loop's thread.
final class ReplicaKeeper {
  unowned let cluster: Cluster
  let node: Node
  let worker: Worker
  var repair: Repair
  var hints: Hints
  var collection: TombstoneCollection
  var awayMembers: AwayMembers
  /// What the collection was told of it.
  private var isAnyoneAway = true
  /// Slots in which what expires leaves a tombstone, and those that may become some before the next look.
  private var traced = SlotSet()
  private var untraced = SlotSet()
  var reads = ReplicaReads()
  var sets: ReplicaSets?
  private(set) var viewed = PlacementVersion(digest: 0)
  /// Keys of slots under verification that somebody waits for, by the number of their read.
  var waiting: [UInt64: KeyWait] = [:]
  var lastRead: UInt64 = 0
  /// Portions of hints under way: when each is given up, by member.
  var portions: [MemberNumber: (number: UInt64, until: UInt64)] = [:]
  private var hintsAt: UInt64 = 0
  /// What loops were told to have settled, by loop and member: the highest number.
  var arrears: [Arrear: UInt64] = [:]
  private(set) var divergent = 0
  /// Copies here that reads may come from: `node.goodCopies`.
  private var good = SlotSet()
  /// Of the message that is read: slots in which it brought something newer.
  var merged = SlotSet()
  private var aheadSince: [MemberNumber: UInt64] = [:]
  private let bound: ClockBound

  struct Arrear: Hashable {
    var loop: Int
    var member: MemberNumber
  }

  static let portionMilliseconds: UInt64 = 2000

  init(cluster: Cluster, node: Node, worker: Worker) {
    self.cluster = cluster
    self.node = node
    self.worker = worker
    let startedAt = cluster.configuration.member.startedAt
    let settings = node.settings
    bound = ClockBound(aheadMilliseconds: Int64(settings.clockBoundMilliseconds))
    var repair = RepairSettings()
    repair.intervalMilliseconds = UInt64(settings.repairIntervalMilliseconds)
    repair.bytesPerSecond = settings.repairBytesPerSecond
    self.repair = Repair(startedAt: startedAt, settings: repair)
    hints = Hints(limitBytes: settings.hintLimitBytes)
    var collection = TombstoneCollection.Settings()
    collection.leastAgeMilliseconds = Int64(settings.clockBoundMilliseconds) + 10_000
    collection.graceMilliseconds = Int64(settings.tombstoneGraceMilliseconds)
    self.collection = TombstoneCollection(startedAt: startedAt, settings: collection)
    awayMembers = AwayMembers(graceMilliseconds: UInt64(settings.tombstoneGraceMilliseconds))
  }

  var store: Store { node.store }
  var now: UInt64 { cluster.now }
  var wallClock: UnixMilliseconds { cluster.loop.now }
  var copies: StoreCopies {
    StoreCopies(
      store: store, worker: worker, now: wallClock, bound: bound, owed: hints.count == 0 ? SlotSet() : hints.slots)
  }

  // MARK: Time

  var nextDeadline: UInt64 { min(min(repair.nextWake, collection.nextWake), min(reads.nextDeadline, hintsAt)) }

  func due(_ now: UInt64) {
    guard sets != nil, now >= nextDeadline else { return }
    if now >= repair.nextWake { run(.tick) }
    if now >= collection.nextWake { runCollection(.tick) }
    if now >= reads.nextDeadline { runReads(.tick) }
    guard now >= hintsAt else { return }
    hintsAt = now + 250
    for (member, portion) in portions where now >= portion.until { runHints(.failed(portion: portion.number, member)) }
    if hints.count > 0 { reachLiveMembers() }
    if awayMembers.isAnyoneAway(now: now) != isAnyoneAway { tellCollection() }
    settleArrears()
    look()
  }

  private func reachLiveMembers() {
    for member in sets?.live ?? [] where member != 0 { runHints(.reachable(member)) }
  }

  // MARK: What the cluster says

  /// After `awayMembers` were told of the membership.
  func view(_ version: PlacementVersion, _ sets: ReplicaSets) {
    let before = self.sets?.live ?? []
    self.sets = sets
    viewed = version
    for member in before where !sets.isLive(member) {
      runHints(.unreachable(member))
      runReads(.lost(member))
    }
    doubt(sets, before)
    run(.view(version, sets))
    verifyAgain(sets, before)
    tellCollection()
    reachLiveMembers()
  }

  private func tellCollection() {
    guard let sets else { return }
    isAnyoneAway = awayMembers.isAnyoneAway(now: now)
    runCollection(.view(viewed, others: sets.live.filter { $0 != sets.me }, isAnyoneAway: isAnyoneAway))
  }

  // MARK: What expires

  /// What expires here leaves a tombstone, unless every member of its slot has all that this node has: an older value
  /// that one of them may have would come back.
  private func trace(_ wanted: SlotSet) {
    if wanted == traced { return }
    store.leaveTraces(true, in: wanted.subtracting(traced))
    store.leaveTraces(false, in: traced.subtracting(wanted))
    traced = wanted
  }

  /// Slots may become untraced with a look only, for what is noted and under way is known then.
  private func look() {
    let lag = cluster.copies?.oldestLagMilliseconds ?? 0
    untraced = lag > Self.lagMilliseconds ? SlotSet() : repair.agreedEverywhere.subtracting(hints.slots)
    trace(executed.subtracting(untraced))
  }

  /// Who has not confirmed for so long may be gone.
  private static let lagMilliseconds: UInt64 = 300

  /// Who has come back may have executed slots that this node executes.
  private func verifyAgain(_ sets: ReplicaSets, _ before: [MemberNumber]) {
    guard !before.isEmpty else { return }
    var slots = SlotSet()
    for member in sets.live where member != sets.me && !before.contains(member) {
      slots.formUnion(sets.slots(of: member))
    }
    slots.formIntersection(executed)
    if !slots.isEmpty { run(.execute(slots, isTakenOver: true)) }
  }

  /// Once a copy was found equal it stays good to read from, also when its owner dies: what it lacks is what that owner
  /// had not sent yet. Not so where a member comes back, which may have executed the slot meanwhile.
  private func doubt(_ sets: ReplicaSets, _ before: [MemberNumber]) {
    var good = self.good.intersection(sets.slots(of: sets.me))
    for member in sets.live where !before.contains(member) { good.subtract(sets.slots(of: member)) }
    publish(good)
  }

  private func publish(_ new: SlotSet) {
    if new == good { return }
    node.goodCopies.remove(good.subtracting(new))
    node.goodCopies.add(new.subtracting(good))
    good = new
  }

  private(set) var executed = SlotSet()

  func execute(_ slots: SlotSet, isTakenOver: Bool) {
    executed.formUnion(slots)
    run(.execute(slots, isTakenOver: isTakenOver))
  }

  /// Everything that was handed over of these has come. What came after copies had been compared may be nobody else's.
  func received(_ slots: SlotSet) {
    let known = slots.intersection(executed)
    if !known.isEmpty { run(.merged(known, from: sets?.me ?? 0)) }
    let new = slots.subtracting(known)
    if !new.isEmpty { execute(new, isTakenOver: false) }
  }

  func stop(_ slots: SlotSet) {
    executed.subtract(slots)
    run(.stop(slots))
  }

  func away() {
    publish(SlotSet())
    run(.away)
  }

  var isSettled: Bool { repair.isSettled && hints.count == 0 }
  /// Copies that this node ought to have and that have not been compared since it came: it is not ready.
  var unsettledCount: Int { repair.unsettledCount }
  func isUnverified(_ slot: Slot) -> Bool { repair.unverifiedSlots.contains(slot) }

  // MARK: Cores

  func run(_ input: RepairInput) {
    for output in repair.step(input, copies, now: now) { carryOut(output) }
    untraced.formIntersection(repair.agreedEverywhere)
    trace(executed.subtracting(untraced))
    publish(good.union(repair.agreedCopies).subtracting(executed))
  }

  private func carryOut(_ output: RepairOutput) {
    switch output {
    case .send(let message, let member): send(message, to: member)
    case .push(let slots, let member, let answering):
      let bytes = push(slots, to: member, portion: 0)
      run(.pushed(bytes: bytes, to: member, answering: answering))
    case .remove(let drops):
      for drop in drops {
        for version in drop.versions { remove(version, in: drop.slot) }
      }
    case .flush(let flush): store.flush(flush.namespace, stamp: flush.stamp, as: worker)
    case .expire(let slots): slots.forEach { store.expireDue($0.index, now: wallClock, as: worker) }
    case .release(let slots):
      slots.subtracting(executed).forEach { store.forget($0.index, as: worker) }
    case .verified(let slots): cluster.slots.verified(slots)
    case .settled: cluster.isPictureOld = true
    case .divergent(let count):
      divergent = count
      cluster.isPictureOld = true
    case .synchronize(let member): cluster.synchronize(withMember: member)
    case .ahead(let member, let stamp): complain(member, stamp)
    }
  }

  /// The executing member dropped it without a tombstone.
  private func remove(_ version: KeyVersion, in slot: Slot) {
    var name: [UInt8]?
    _ = store.version(of: version.hash, in: slot.index, of: version.namespace, as: worker) { key, _ in
      name = Array(key.bytes)
    }
    name?.withUnsafeBytes { bytes in
      let key = store.key(bytes, in: version.namespace)
      _ = store.merge(key, .evicted(version.stamp), as: worker, now: wallClock)
    }
  }

  private func complain(_ member: MemberNumber, _ stamp: Stamp) {
    cluster.complain(
      "a member's clock is too far ahead: its newest writes are not taken",
      cluster.id(of: member)?.text ?? "\(member)",
      ("ahead_ms", "\(stamp.milliseconds - wallClock)"), ("clock-bound_ms", "\(bound.aheadMilliseconds)"))
  }

  func runCollection(_ input: TombstoneCollection.Input) {
    let facts = TombstoneCollection.Facts(
      isSettled: isSettled && arrears.isEmpty, agreed: repair.agreedEverywhere.subtracting(hints.slots),
      confirmedThrough: wallClock - Int64(cluster.copies?.oldestLagMilliseconds ?? 0) - 1,
      tombstones: store.tombstoneCount)
    let outputs = collection.step(
      input, facts, owned: { [sets] in sets?.slots(executedBy: $0) ?? SlotSet() }, now: now, time: wallClock)
    for output in outputs {
      switch output {
      case .send(let message, let member): send(message, to: member)
      case .collect(let slots, let upTo, let raisingFloor):
        slots.forEach { slot in
          guard store.tombstones(in: slot.index).count > 0 else { return }
          _ = store.collectTombstones(slot.index, upTo: upTo, raisingFloor: raisingFloor, as: worker)
        }
      }
    }
  }

  func runReads(_ input: ReplicaReads.Input) {
    var outputs: [ReplicaReads.Output] = []
    reads.step(input, now: now, into: &outputs)
    for output in outputs {
      switch output {
      case .ask(let id, let slot, let key, let have, let member):
        send(.askKey(id: id, slot, key, have: have), to: member)
      case .keep(let id, let slot, let key, let member):
        send(.keepKey(id: id, slot, key), withVersionOf: key, in: slot, newerThan: nil, to: member)
      case .done(let id, let outcome, let answers): answered(id, outcome, answers)
      }
    }
  }

  func runHints(_ input: Hints.Input) {
    for output in hints.step(input) {
      switch output {
      case .mark(let slots, let member): run(.marked(slots, member))
      case .push(let portion, let noted, let member): push(noted, portion, to: member)
      }
    }
  }

  // MARK: Arrears

  func owe(_ member: MemberNumber, loop: Int, number: UInt64) {
    let arrear = Arrear(loop: loop, member: member)
    arrears[arrear] = max(arrears[arrear] ?? 0, number)
  }

  func note(_ keys: HintedKeys, for member: MemberNumber) {
    untraced.subtract(keys.slots)
    trace(executed.subtracting(untraced))
    var start = 0
    keys.bytes.withUnsafeBytes { bytes in
      for key in keys.keys {
        let name = UnsafeRawBufferPointer(rebasing: bytes[start..<key.end])
        start = key.end
        let hash = store.key(name, in: key.namespace).hash
        runHints(
          .missed(
            Hints.Hint(
              slot: key.slot, version: KeyVersion(hash: hash, stamp: key.stamp, namespace: key.namespace),
              isEvicted: key.isEvicted),
            by: member))
      }
    }
  }

  /// What loops were told to be missing has been brought, once nothing is noted and everything agrees.
  private func settleArrears() {
    guard !arrears.isEmpty, hints.count == 0, repair.isSettled else { return }
    let settled = arrears
    arrears = [:]
    for (arrear, number) in settled { cluster.settleArrears(of: arrear.member, loop: arrear.loop, through: number) }
  }
}
