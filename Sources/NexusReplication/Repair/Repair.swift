import NexusModel

/// Makes the copies of slots equal, and says when they are: docs/replication.md.
///
/// Pure: time is an argument (milliseconds of a clock that does not jump), effects leave as one ordered batch, members
/// and slots are looked at in a fixed order. The member that executes a slot compares its copy with that of every other
/// live member of the slot, one question at a time; the other side answers from what it has, and remembers nothing. So
/// whatever is lost, doubled or late, and whoever goes away in the middle, costs a question asked again.
///
/// Invariants:
/// - A slot leaves `unsettled` only by a comparison that began after the last reason to doubt it.
/// - Nothing is dropped but by who executes the slot, and only what a copy that had everything lacks (`authority`).
/// - Leftovers are released only when every member of their slot is alive and settled with who executes it.
public struct Repair: Sendable {
  public let settings: RepairSettings

  /// Names this node's copies: another one after each start, and after each absence.
  public private(set) var session: UInt64
  private var lastID: UInt64
  var now: UInt64 = 0
  var outputs: [RepairOutput] = []

  var sets: ReplicaSets?
  var version = PlacementVersion(digest: 0)
  /// The other live members, ascending; and what each of them is about.
  var members: [MemberNumber] = []
  var peers: [RepairPeer] = []
  /// When something is to be done with each of them although nothing is heard.
  private var wakes: [UInt64] = []

  /// Executed here; `unverified`, `gathered` are part of it.
  var executed = SlotSet()
  /// Taken over from nobody, and not yet known to have everything.
  var unverified = SlotSet()
  /// Everything that live members have of them has come.
  var gathered = SlotSet()
  /// Has had everything that there is: what is lacking here below the floor was dropped on purpose.
  var complete = SlotSet()
  /// Floors of complete copies that this node has followed.
  var followedFloors: [Slot: Stamp] = [:]
  /// This node has a place for them, and whoever executes them has not said that its copy is equal.
  var awaited = SlotSet()

  var leftovers = SlotSet()
  var offer: UInt64 = 0
  var offerAt: UInt64 = 0

  /// Bytes that may be sent and asked for; below zero after a large portion.
  var budget: Int
  private var budgetAt: UInt64 = 0
  /// Something changed that `gathered`, `settled` and `divergent` follow from.
  var isChanged = false
  private var wasSettled = false
  private var lastDivergent = 0
  /// Until then nothing is to be done by itself.
  public private(set) var nextWake: UInt64 = .max
  /// Of entries sent and asked for, since the beginning.
  public internal(set) var bytesMoved: UInt64 = 0

  /// - Parameter startedAt: milliseconds since 1970 when the process started. A member must not start twice in one.
  public init(startedAt: UInt64, settings: RepairSettings = RepairSettings()) {
    self.settings = settings
    session = startedAt << 20
    lastID = startedAt << 20
    budget = settings.bytesPerSecond
  }

  public mutating func step(_ input: RepairInput, _ copies: any ReplicaCopies, now: UInt64) -> [RepairOutput] {
    refill(now)
    self.now = now
    outputs.removeAll(keepingCapacity: true)
    switch input {
    case .view(let version, let sets): onView(version, sets, copies)
    case .execute(let slots, let isTakenOver): onExecute(slots, isTakenOver: isTakenOver)
    case .stop(let slots): onStop(slots, copies)
    case .marked(let slots, let member): onMarked(slots, member)
    case .merged(let slots, let member): onMerged(slots, from: member)
    case .away: onAway()
    case .received(let message, let member): onMessage(message, from: member, copies)
    case .pushed(let bytes, let member, let answering): onPushed(bytes, member, answering: answering)
    case .tick: offerLeftovers()
    }
    goOn(copies)
    if isChanged { conclude() }
    return outputs
  }

  /// With the members whose time has come or about whom something changed.
  private mutating func goOn(_ copies: any ReplicaCopies) {
    var next: UInt64 = leftovers.isEmpty ? .max : offerAt
    for index in peers.indices {
      if wakes[index] <= now {
        retry(index)
        advance(index, copies)
        wakes[index] = nextWake(of: index)
      }
      next = min(next, wakes[index])
    }
    nextWake = budget > 0 ? next : max(next, now + 50)
  }

  mutating func touch(_ index: Int) { wakes[index] = 0 }

  private mutating func touchAll() {
    for index in wakes.indices { wakes[index] = 0 }
  }

  private mutating func onMessage(
    _ message: ReplicationMessage, from member: MemberNumber, _ copies: any ReplicaCopies
  ) {
    switch message {
    case .compare(let question): answer(question, from: member, copies)
    case .askDigests(let question): answer(question, from: member, copies)
    case .askInventories(let question): answer(question, from: member, copies)
    case .askVersions(let id, let keys): outputs.append(.push(keys, to: member, answering: id))
    case .drop(let version, let drops): onDrop(version, drops, from: member)
    case .agreed(let session, let version, let slots, let complete):
      onAgreed(session, version, slots, complete, from: member)
    case .differ(let session, let version, let slots):
      if version == self.version, self.session(of: member) == session { onMarked(slots, member) }
    case .release(let id, let slots): onRelease(id, slots)
    case .offerLeftovers(let id, let version, let slots): onOffer(id, version, slots, from: member, copies)
    case .compared(let answer): onCompared(answer, from: member, copies)
    case .otherVersion(let id): onOtherVersion(id, from: member)
    case .digests(let id, let session, let digests): onDigests(id, session, digests, from: member, copies)
    case .inventories(let answer): onInventories(answer, from: member, copies)
    case .versionsSent(let id, let bytes): onVersionsSent(id, bytes, from: member)
    case .askSettled, .settledAnswer, .collect, .askKey, .keyAnswer, .keepKey: break
    }
  }

  // MARK: Asked by others

  public var isSettled: Bool { wasSettled }

  /// Executed here, with every member alive and made equal, tombstones and all, and nothing known to differ.
  public var agreedEverywhere: SlotSet {
    guard let sets else { return SlotSet() }
    var slots = gathered.intersection(sets.everyoneIsLive)
    for index in peers.indices {
      slots.subtract(peers[index].unsettled)
      slots.subtract(peers[index].found)
    }
    return slots
  }

  /// Slots executed here that this member is known to have everything of, but for what its streams and hints still
  /// bring.
  public func agreed(with member: MemberNumber) -> SlotSet {
    guard let index = index(of: member) else { return SlotSet() }
    return peers[index].shared.subtracting(peers[index].unsettled).subtracting(peers[index].found)
  }

  /// Executed here, and single keys of them are to be asked of the other members.
  public var unverifiedSlots: SlotSet { unverified }
  /// Of these this node has had everything that there is. Who hands a slot over says whether it is one of them: if not,
  /// the new owner takes it over as if nobody had handed it over.
  public var completeSlots: SlotSet { complete }
  /// Not executed here, and found equal with the copy of who executes them since the placement changed last.
  public var agreedCopies: SlotSet { placed.subtracting(executed).subtracting(awaited) }
  public var leftoverSlots: SlotSet { leftovers }
  public var unsettledCount: Int { peers.reduce(0) { $0 + $1.unsettled.count } + awaited.count }

  /// Of the member's copies, as this node last heard; nil before its first answer.
  public func session(of member: MemberNumber) -> UInt64? { index(of: member).flatMap { peers[$0].session } }

  /// When a routine comparison with this member last found no difference.
  public func agreedAt(_ member: MemberNumber) -> UInt64? { index(of: member).flatMap { peers[$0].agreedAt } }

  // MARK: Words

  func index(of member: MemberNumber) -> Int? { members.firstIndex(of: member) }

  /// To be compared with this member, tombstones and all.
  func needed(_ index: Int) -> SlotSet {
    peers[index].unsettled.union(peers[index].found).union(peers[index].leftover)
  }

  mutating func newID() -> UInt64 {
    lastID += 1
    return lastID
  }

  mutating func send(_ message: ReplicationMessage, to member: MemberNumber) {
    outputs.append(.send(message, to: member))
  }

  private var me: MemberNumber { sets?.me ?? ReplicaSets.nobody }
  var placed: SlotSet { sets?.slots(of: me) ?? SlotSet() }
  /// This node's to execute.
  var mine: SlotSet { sets?.slots(executedBy: me) ?? SlotSet() }

  private mutating func refill(_ now: UInt64) {
    let elapsed = now > budgetAt ? min(now - budgetAt, 1000) : 0
    budgetAt = max(budgetAt, now)
    budget = min(budget + Int(elapsed) * settings.bytesPerSecond / 1000, settings.bytesPerSecond)
  }

  mutating func spend(_ bytes: Int) {
    budget -= bytes
    bytesMoved += UInt64(bytes)
  }

  // MARK: Views

  private mutating func onView(
    _ version: PlacementVersion, _ sets: ReplicaSets, _ copies: any ReplicaCopies
  ) {
    let old = self.sets
    let before = placed
    self.sets = sets
    self.version = version
    loseCompleteness(old, before: before)
    leftovers = Self.held(SlotSet(0..<sets.slotCount).subtracting(placed).subtracting(executed), copies)
    offer = newID()
    offerAt = now
    awaited = placed.subtracting(mine)
    let known = (members, peers)
    members = sets.live.filter { $0 != sets.me }
    peers = members.map { member in
      var peer = RepairPeer(compareAt: now + settings.intervalMilliseconds)
      if let place = known.0.firstIndex(of: member) {
        peer.session = known.1[place].session
        peer.agreedAt = known.1[place].agreedAt
      }
      return peer
    }
    wakes = members.map { _ in 0 }
    gathered = SlotSet()
    share(executed)
  }

  /// Those of which there is anything here.
  private static func held(_ slots: SlotSet, _ copies: any ReplicaCopies) -> SlotSet {
    var held = SlotSet()
    slots.forEach { if copies.keyCount(of: $0) > 0 { held.insert($0) } }
    return held
  }

  /// A copy may have missed something where who executed the slot is gone with what it had not sent yet; where a member
  /// came back that may have executed the slot meanwhile, unless this node went on executing it; and where most of the
  /// slot's members are away.
  private mutating func loseCompleteness(_ old: ReplicaSets?, before: SlotSet) {
    guard let sets else { return }
    var doubtful = placed.subtracting(before)
    for member in sets.live where member != me && old?.isLive(member) != true {
      doubtful.formUnion(sets.slots(of: member))
    }
    for member in old?.live ?? [] where !sets.isLive(member) {
      doubtful.formUnion(old?.slots(executedBy: member) ?? SlotSet())
    }
    complete.subtract(doubtful.subtracting(executed))
    complete.formIntersection(sets.majorityIsLive)
    complete.formIntersection(placed.union(executed))
  }

  /// Slots executed here: every other live member of them is to be compared with.
  private mutating func share(_ slots: SlotSet) {
    guard let sets else { return }
    for index in peers.indices {
      let shared = slots.intersection(sets.slots(of: members[index])).subtracting(peers[index].shared)
      peers[index].shared.formUnion(shared)
      peers[index].unsettle(shared, restEnd: now)
      peers[index].unpulled.formUnion(shared)
    }
    touchAll()
    isChanged = true
  }

  private mutating func onExecute(_ slots: SlotSet, isTakenOver: Bool) {
    executed.formUnion(slots)
    if isTakenOver {
      unverified.formUnion(slots)
      complete.subtract(slots)
    }
    leftovers.subtract(slots)
    awaited.subtract(slots)
    share(slots)
  }

  private mutating func onStop(_ slots: SlotSet, _ copies: any ReplicaCopies) {
    let stopped = slots.intersection(executed)
    guard !stopped.isEmpty else { return }
    executed.subtract(stopped)
    unverified.subtract(stopped)
    gathered.subtract(stopped)
    awaited.formUnion(stopped.intersection(placed))
    let held = Self.held(stopped.subtracting(placed), copies)
    if !held.isEmpty {
      leftovers.formUnion(held)
      offer = newID()
      offerAt = now
    }
    for index in peers.indices { peers[index].drop(stopped) }
    touchAll()
    isChanged = true
  }

  private mutating func onMarked(_ slots: SlotSet, _ member: MemberNumber) {
    guard let index = index(of: member) else { return }
    peers[index].unsettle(slots, restEnd: now + settings.intervalMilliseconds)
    touch(index)
    isChanged = true
  }

  mutating func onMerged(_ slots: SlotSet, from member: MemberNumber) {
    let elsewhere = slots.subtracting(executed)
    if !elsewhere.isEmpty, let sets {
      for owner in members where owner != member {
        let theirs = elsewhere.intersection(sets.slots(executedBy: owner))
        if !theirs.isEmpty { send(.differ(session: session, version: version, theirs), to: owner) }
      }
    }
    let slots = slots.intersection(executed)
    guard !slots.isEmpty else { return }
    for index in peers.indices where members[index] != member {
      peers[index].unsettle(slots, restEnd: now + settings.intervalMilliseconds)
      touch(index)
    }
    isChanged = true
  }

  private mutating func onAway() {
    session = newID()
    complete = SlotSet()
    awaited = placed.subtracting(executed)
    gathered = SlotSet()
    for index in peers.indices { doubt(index) }
    isChanged = true
  }

  /// What was found out about this member's copies, or about this node's, does not count any more.
  mutating func doubt(_ index: Int) {
    peers[index].unsettle(peers[index].shared, restEnd: now)
    peers[index].unpulled = peers[index].shared
    gathered.subtract(peers[index].shared)
    touch(index)
    isChanged = true
  }

  // MARK: What follows

  private mutating func conclude() {
    isChanged = false
    gather()
    tell()
    let settled = isEverythingSettled
    if settled != wasSettled {
      wasSettled = settled
      outputs.append(.settled(settled))
    }
    var divergent = SlotSet()
    for index in peers.indices {
      divergent.formUnion(peers[index].differing)
      divergent.formUnion(peers[index].found)
    }
    let count = divergent.count
    if count != lastDivergent {
      lastDivergent = count
      outputs.append(.divergent(count))
    }
  }

  /// Slots of which no live member has anything more.
  private mutating func gather() {
    var new = executed.subtracting(gathered)
    guard !new.isEmpty, let sets else { return }
    for index in peers.indices { new.subtract(peers[index].unpulled) }
    guard !new.isEmpty else { return }
    gathered.formUnion(new)
    complete.formUnion(new.intersection(sets.majorityIsLive))
    let verified = unverified.intersection(new)
    unverified.subtract(verified)
    if !verified.isEmpty { outputs.append(.verified(verified)) }
  }

  /// Others hear that their copies are equal, but only of slots of which this node has everything: else they would hold
  /// for whole what it still lacks.
  private mutating func tell() {
    for index in peers.indices where !peers[index].untold.isEmpty {
      guard let session = peers[index].session else { continue }
      let slots = peers[index].untold.intersection(gathered)
      guard !slots.isEmpty else { continue }
      peers[index].untold.subtract(slots)
      send(
        .agreed(session: session, version: version, slots, complete: slots.intersection(complete)),
        to: members[index])
    }
  }

  private var isEverythingSettled: Bool {
    guard sets != nil, awaited.isEmpty, leftovers.isEmpty, executed.subtracting(gathered).isEmpty,
      mine.subtracting(executed).isEmpty
    else { return false }
    return peers.indices.allSatisfy { peers[$0].unsettled.isEmpty }
  }
}
