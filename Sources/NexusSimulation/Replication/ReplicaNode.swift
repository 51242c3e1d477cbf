import NexusModel
import NexusReplication
import NexusService

/// What a client asks of a simulated cluster.
public struct ReplicaRequest: Hashable, Sendable {
  public enum Verb: Sendable, Hashable { case get, set, delete }

  public var number: Int
  public var verb: Verb
  public var slot: Slot
  public var hash: UInt64
  public var acknowledgement: Acknowledgement
  /// 0: no TTL.
  public var lifeMilliseconds: Int64 = 0
  /// Where its client is connected.
  public var origin: Int
}

public enum ReplicaReply: Hashable, Sendable {
  /// What was read, or written with as many copies as were asked for; nil: nothing was there, and nothing is changed.
  case done(SimulatedVersion?)
  /// Not run: too few members are alive.
  case refused
  /// Run, and not confirmed by so many.
  case short
  /// Not run here.
  case moved
}

/// What a node of the replicated world finds around it.
protocol ReplicaHost: AnyObject {
  var settings: ReplicaWorldSettings { get }
  var bug: ReplicaBug? { get }
  /// What the node's wall clock shows.
  func wallClock(of index: Int) -> UnixMilliseconds
  /// Nobody waits for it any more.
  func isOver(_ request: ReplicaRequest) -> Bool
  func finish(_ request: ReplicaRequest, _ reply: ReplicaReply)
  /// It was evicted, or is what this member has written and leaves nothing some day: a tombstone, or what expires.
  func notePassing(_ version: SimulatedVersion)
}

/// A member of the simulated cluster: the real replication cores, the real ownership and the real fetches, and around
/// them what their shells do (`LoopReplicator`, `EffectReceiver`, `ReplicaKeeper`, `SlotKeeper`), on a store of a few
/// keys. It has one loop.
public final class ReplicaNode: SimulatedNode {
  public enum Message {
    case ownership(OwnershipMessage)
    case fetch(KeyFetch<UInt64>)
    case fetched(KeyFetched<UInt64>, [SimulatedVersion])
    case stretch(pull: UInt64, Slot, sequence: Int, isLast: Bool, [SimulatedVersion], absent: [UInt64])
    case replication(ReplicationMessage, SimulatedVersion?)
    case versions(portion: UInt64, [SimulatedVersion])
    case versionsTaken(portion: UInt64, refused: Int)
    // A connection between two loops.
    case greeting(connection: UInt64)
    case welcome(connection: UInt64)
    case effects(connection: UInt64, frame: Int, first: UInt64, [SimulatedVersion])
    case confirmed(connection: UInt64, through: UInt64, refused: [UInt64])
    case forward(ReplicaRequest)
    case reply(ReplicaRequest, ReplicaReply)
  }

  struct Expected {
    var pull: UInt64
    var from: MemberNumber
    var sequence = 0
  }

  public let index: Int
  public let startedAt: UInt64
  unowned let host: any ReplicaHost
  let settings: ReplicaWorldSettings
  public let store: SimulatedStore
  var outbox: [SimulatedEffect<Message>] = []
  /// Microseconds on its own clock.
  var local: UInt64 = 0
  private var tickAt: UInt64 = 0

  // What `SlotKeeper` keeps.
  var ownership: Ownership
  var fetches: KeyFetches<UInt64>
  public internal(set) var routes: [SlotRoute]
  /// Nil: the slot is whole, or not executed.
  var settled: [Set<UInt64>?]
  var holdings: [UInt64?]
  var expected: [Slot: Expected] = [:]
  var waiters: [UInt64: ReplicaRequest] = [:]
  var lastWaiter: UInt64 = 0
  var doubts = SlotDoubts()
  /// It was away, and asks for the membership.
  var wantsRefresh = false

  // What `ReplicaKeeper` keeps.
  public internal(set) var repair: Repair
  public internal(set) var hints: Hints
  var collection: TombstoneCollection
  var awayMembers: AwayMembers
  var isAnyoneAway = true
  var traced = SlotSet()
  var untraced = SlotSet()
  var reads = ReplicaReads()
  var sets: ReplicaSets?
  public internal(set) var picture: ReplicaPicture?
  var keyWaits: [UInt64: (slot: Slot, hash: UInt64, request: ReplicaRequest)] = [:]
  var lastRead: UInt64 = 0
  var portions: [(member: MemberNumber, number: UInt64, until: UInt64)] = []
  var hintsAt: UInt64 = 0
  var arrears: [MemberNumber: UInt64] = [:]
  public internal(set) var executed = SlotSet()
  /// Of the message that is read: slots in which it brought something newer.
  var merged = SlotSet()
  let bound: ClockBound

  // What `LoopReplicator` keeps.
  var acknowledgements = Acknowledgements()
  var links: [ReplicaLink]
  var arriving: [ReplicaArrivals]
  var turn: UInt64 = 1
  var changes: [SimulatedVersion] = []
  var turnsWaits: [(request: ReplicaRequest, version: SimulatedVersion)] = []
  var underWay: [UInt64: (request: ReplicaRequest, version: SimulatedVersion)] = [:]
  var lastWait: UInt64 = 0
  var resolved: [Acknowledgements.Resolution] = []

  /// For want of room.
  var evictions = 0
  var parked: [(at: UInt64, request: ReplicaRequest)] = []

  init(index: Int, startedAt: UInt64, host: any ReplicaHost) {
    self.index = index
    self.startedAt = startedAt
    self.host = host
    settings = host.settings
    store = SimulatedStore(slotCount: settings.slotCount, mark: UInt64(index), bug: host.bug)
    ownership = Ownership(
      me: Self.id(index), number: MemberNumber(index), startedAt: startedAt, settings: settings.ownership)
    fetches = KeyFetches(startedAt: startedAt)
    routes = Array(repeating: .nowhere, count: settings.slotCount)
    settled = Array(repeating: nil, count: settings.slotCount)
    holdings = Array(repeating: nil, count: settings.slotCount)
    repair = Repair(startedAt: startedAt, settings: settings.repair)
    hints = Hints(limitBytes: settings.hintCount * Hints.bytesPerHint, portionCount: settings.hintPortion)
    collection = TombstoneCollection(startedAt: startedAt, settings: settings.collection)
    awayMembers = AwayMembers(graceMilliseconds: UInt64(settings.collection.graceMilliseconds))
    bound = ClockBound(aheadMilliseconds: settings.clockBoundMilliseconds)
    links = (0..<settings.members).map { _ in ReplicaLink(connection: startedAt << 20) }
    arriving = Array(repeating: ReplicaArrivals(), count: settings.members)
  }

  static func id(_ index: Int) -> MemberID { MemberID("n\(index)")! }
  static func index(of id: MemberID) -> Int { Int(id.text.dropFirst())! }

  var number: MemberNumber { MemberNumber(index) }
  /// Milliseconds.
  var now: UInt64 { local / 1000 }
  var wallClock: UnixMilliseconds { host.wallClock(of: index) }
  var copies: SimulatedCopies {
    SimulatedCopies(
      store: store, now: wallClock, bound: bound, owed: hints.count == 0 ? SlotSet() : hints.slots,
      pressureMilliseconds: settings.pressureMilliseconds)
  }

  func executes(_ slot: Slot) -> Bool {
    routes[Int(slot.index)] == .here || routes[Int(slot.index)] == .incoming
  }

  // MARK: Turns

  public var wakeAt: UInt64? {
    let next = min(tickAt, keeperDeadline.multipliedReportingOverflow(by: 1000).partialValue)
    return max(parked.reduce(keeperDeadline == .max ? tickAt : next) { min($0, $1.at) }, local + 1000)
  }

  public func step(_ input: SimulatedInput<Message>, now: UInt64) -> [SimulatedEffect<Message>] {
    begin(now)
    switch input {
    case .start, .wake: break
    case .datagram(let message, let sender), .stream(let message, let sender): receive(message, from: sender)
    case .streamFailed(let other, _), .streamBroken(let other): lose(other)
    }
    return endTurn()
  }

  /// A process that stood still finds out before it does anything else.
  func begin(_ now: UInt64) {
    local = now
    if now >= tickAt {
      tickAt = now + settings.tickMilliseconds * 1000
      tick()
    }
    keep()
    guard !parked.isEmpty else { return }
    let due = parked.filter { $0.at <= now }
    parked.removeAll { $0.at <= now }
    for one in due { route(one.request) }
  }

  private func tick() {
    feed(.tick)
    carryOut(fetches.tick(now: now))
    greet()
    if host.bug == .tombstoneDroppedEarly {
      for slot in store.slots.indices {
        store.collectTombstones(
          Slot(index: UInt16(slot)), upTo: Stamp(milliseconds: wallClock - 1000), raisingFloor: false)
      }
    }
    acknowledgements.expire(now: now, into: &resolved)
    resolve()
  }

  func endTurn() -> [SimulatedEffect<Message>] {
    makeRoom()
    flush()
    resolve()
    defer { outbox = [] }
    return outbox
  }

  /// Between control loops: the cores take it that any message is lost, doubled or late; entries come in order.
  func send(_ message: Message, to member: Int) {
    switch message {
    case .stretch, .versions, .fetch, .fetched: outbox.append(.stream(message, to: member))
    default: outbox.append(.datagram(message, to: member))
    }
  }

  private func receive(_ message: Message, from sender: Int) {
    switch message {
    case .ownership(let message):
      doubts.follow(message)
      feed(.received(message, from: MemberNumber(sender)))
      doubts.follow(nil)
    case .fetch(let fetch): answer(fetch, to: sender)
    case .fetched(let answer, let versions): take(answer, versions, from: sender)
    case .stretch(let pull, let slot, let sequence, let isLast, let versions, let absent):
      take(pull, slot, sequence, isLast, versions, absent, from: MemberNumber(sender))
    case .replication(let message, let version): hear(message, version, from: MemberNumber(sender))
    case .versions(let portion, let versions): take(versions, portion, from: MemberNumber(sender))
    case .versionsTaken(let portion, let refused): versionsTaken(portion, refused, by: MemberNumber(sender))
    case .greeting(let connection): welcome(connection, from: sender)
    case .welcome(let connection): welcomed(connection, by: sender)
    case .effects(let connection, let frame, let first, let versions):
      take(versions, first, frame: frame, of: connection, from: sender)
    case .confirmed(let connection, let through, let refused):
      confirmed(through, refused, on: connection, by: sender)
    case .forward(let request): serve(request)
    case .reply(let request, let reply): take(reply, to: request)
    }
  }

  // MARK: What the cluster says

  func see(_ picture: ReplicaPicture, now: UInt64) {
    begin(now)
    guard self.picture?.version != picture.version else { return }
    self.picture = picture
    let sets = ReplicaSets(
      me: number, copies: settings.copies, places: picture.places, owners: picture.owners, live: picture.live)
    awayMembers.note(away: picture.away, present: picture.live.map { Self.id(Int($0)) }, now: self.now)
    view(picture.version, sets)
    feed(.view(picture.ownershipView))
  }

  /// Others take it for dead, or did: they may execute what it does.
  func beAway(now: UInt64) {
    begin(now)
    feed(.away)
    run(.away)
  }

  func refreshed(now: UInt64) {
    begin(now)
    wantsRefresh = false
    feed(.refreshed)
  }
}
