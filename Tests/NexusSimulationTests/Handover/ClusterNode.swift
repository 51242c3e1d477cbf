import NexusGossip
import NexusModel
import NexusRing
import NexusService
import NexusSimulation

/// A whole member of the simulated world: the gossip says who is there, the ring where slots belong, the ownership
/// which of them are executed, and a fake store has the keys.
struct ClusterNode: SimulatedNode {
  enum Message {
    case gossip(GossipNode.Message)
    case parcel(Parcel)
  }

  var gossip: GossipNode
  let handover: HandoverNode
  private let host: ClusterHost
  /// False: told to join, and it has not met others for long enough. Newcomers that start at once meet one another
  /// before they meet the cluster, and must not take themselves for it.
  private(set) var hasJoined: Bool
  private var metAt: UInt64?
  private static let settlingMicroseconds: UInt64 = 300_000
  private var placement: Placement?
  private var tickAt: UInt64 = 0

  init(index: Int, gossip: Gossip, seeds: [Int], shared: ClusterShared) {
    self.gossip = GossipNode(gossip: gossip, seeds: seeds.map(GossipNode.address(of:)))
    host = ClusterHost(shared)
    handover = HandoverNode(index, host, startedAt: gossip.me.member.startedAt)
    hasJoined = seeds.isEmpty
  }

  var owners: [MemberNumber] {
    guard let placement else { return [] }
    let numbers = placement.members.map { MemberNumber(HandoverWorld.index(of: $0)) }
    return placement.executing.map { $0 == RingTable.nobody ? OwnershipView.nobody : numbers[Int($0)] }
  }

  var wakeAt: UInt64? { [gossip.wakeAt, tickAt, host.nextTimer].compactMap { $0 }.min() }

  mutating func step(_ input: SimulatedInput<Message>, now: UInt64) -> [SimulatedEffect<Message>] {
    host.local = now
    // A process that stood still finds out before it does anything else.
    if now >= tickAt {
      tickAt = now + 100_000
      handover.tick()
      if !hasJoined { look() }
    }
    for action in host.due() { action() }
    var effects: [SimulatedEffect<Message>] = []
    switch input {
    case .start: effects = meet(gossip.step(.start, now: now))
    case .wake: effects = meet(gossip.step(.wake, now: now))
    case .datagram(.gossip(let message), let from):
      effects = meet(gossip.step(.datagram(message, from: from), now: now), isTold: tellsMyDeath(message))
    case .stream(.gossip(let message), let from):
      effects = meet(gossip.step(.stream(message, from: from), now: now), isTold: tellsMyDeath(message))
      if case .state = message { host.wantsRefresh.take()?.feed(.refreshed) }
    case .stream(.parcel(let parcel), let from): handover.receive(parcel, from: from)
    case .datagram(.parcel, _): break
    case .streamFailed(let to, let isRefused):
      effects = meet(gossip.step(.streamFailed(to: to, isRefused: isRefused), now: now))
    case .streamBroken(let other): effects = meet(gossip.step(.streamBroken(with: other), now: now))
    }
    return effects + takeEffects(now)
  }

  /// What the cores want to send after anything was done to the node.
  mutating func takeEffects(_ now: UInt64) -> [SimulatedEffect<Message>] {
    var effects: [SimulatedEffect<Message>] = host.takeOutbox().map { .stream(.parcel($0.parcel), to: $0.to) }
    let state = GossipNode.Message.state(gossip.gossip.fullState, isReply: false)
    for other in host.takeSynchronizations() { effects.append(.stream(.gossip(state), to: other)) }
    if host.wantsRefresh != nil {
      let others = live.filter { $0 != handover.index }
      if others.isEmpty { host.wantsRefresh.take()?.feed(.refreshed) }
      if now >= host.refreshAt, let other = others.isEmpty ? nil : others[Int(now / 1000) % others.count] {
        host.refreshAt = now + 300_000
        effects.append(.stream(.gossip(state), to: other))
      }
    }
    return effects
  }

  private var live: [Int] {
    gossip.gossip.records.filter(\.status.isLive).map { HandoverWorld.index(of: $0.member.id) }.sorted()
  }

  /// Others take this node for dead, or have forgotten it already.
  private func tellsMyDeath(_ message: GossipNode.Message) -> Bool {
    let me = gossip.gossip.me
    func isDeath(_ record: MemberRecord) -> Bool {
      record.member.id == me.member.id && record.status >= .dead && record.incarnation >= me.incarnation
        && record.member.startedAt == me.member.startedAt
    }
    switch message {
    case .packet(let packet): return packet.updates.contains { isDeath($0.record) }
    case .state(let state, _): return state.records.contains(where: isDeath)
    case .ping, .pong: return false
    }
  }

  /// Follows the membership.
  private mutating func meet(
    _ effects: [SimulatedEffect<GossipNode.Message>], isTold: Bool = false
  ) -> [SimulatedEffect<Message>] {
    let isChanged = !gossip.notes.isEmpty
    gossip.notes = []
    if isTold { handover.feed(.away) }
    if isChanged || placement == nil { look() }
    return effects.map { effect in
      switch effect {
      case .datagram(let message, let to): .datagram(.gossip(message), to: to)
      case .stream(let message, let to): .stream(.gossip(message), to: to)
      }
    }
  }

  mutating func look() {
    if metAt == nil, gossip.gossip.liveCount > 1 { metAt = host.local }
    if let metAt, host.local >= metAt + Self.settlingMicroseconds { hasJoined = true }
    guard hasJoined else { return }
    placement = host.shared.placement(of: gossip.gossip.records, previous: placement)
    let seats = live.map { OwnershipView.Seat(number: MemberNumber($0), id: HandoverWorld.id($0)) }
    handover.feed(.view(OwnershipView(version: placement!.version, live: seats, owners: owners)))
  }

  /// Its operator says that it shall go.
  mutating func leave(now: UInt64) -> [SimulatedEffect<Message>] {
    host.local = now
    handover.feed(.leave(limitMilliseconds: 60_000))
    var member = gossip.gossip.me.member
    member.isLeaving = true
    let effects = meet(gossip.feed(.change(member), now: now))
    look()
    return effects + takeEffects(now)
  }

  mutating func depart(now: UInt64) -> [SimulatedEffect<Message>] {
    host.local = now
    return meet(gossip.feed(.leave, now: now)) + takeEffects(now)
  }

  func begin(_ request: Request, now: UInt64) {
    host.local = now
    handover.route(request)
  }
}

/// What the nodes of one world share: its time, its clients, and tables that were computed before.
final class ClusterShared {
  var worldNow: UInt64 = 0
  let book = RequestBook()
  var bug: PlantedBug?
  /// Whom the next process is told to join; nil: all other hosts.
  var seeds: [Int]?
  /// Slots that nodes have begun to execute since somebody last looked.
  var begun: [(SlotSet, HandoverNode)] = []
  private var placements: [PlacementVersion: Placement] = [:]

  func placement(of records: [MemberRecord], previous: Placement?) -> Placement {
    let version = Placement.version(of: records, settings: .standard)
    if let known = placements[version] { return known }
    let placement = Placement(of: records, settings: .standard, previous: previous)
    placements[version] = placement
    return placement
  }
}

/// One node's surroundings in the simulated world: what it does is gathered and handed to the world after each step.
final class ClusterHost: HandoverHost {
  let shared: ClusterShared
  /// Microseconds on the node's own clock.
  var local: UInt64 = 0
  var wantsRefresh: HandoverNode?
  var refreshAt: UInt64 = 0
  private var outbox: [(parcel: Parcel, to: Int)] = []
  private var synchronizations: [Int] = []
  private var timers: [(at: UInt64, action: () -> Void)] = []

  init(_ shared: ClusterShared) { self.shared = shared }

  var now: UInt64 { local / 1000 }
  var bug: PlantedBug? { shared.bug }
  var nextTimer: UInt64? { timers.map(\.at).min() }

  func due() -> [() -> Void] {
    let moment = local
    let due = timers.filter { $0.at <= moment }
    timers.removeAll { $0.at <= moment }
    return due.map(\.action)
  }

  func takeOutbox() -> [(parcel: Parcel, to: Int)] {
    defer { outbox = [] }
    return outbox
  }

  func takeSynchronizations() -> [Int] {
    defer { synchronizations = [] }
    return synchronizations
  }

  func after(_ milliseconds: Int, at node: HandoverNode, _ action: @escaping () -> Void) {
    timers.append((local + UInt64(milliseconds) * 1000, action))
  }

  func send(_ parcel: Parcel, from: Int, to: Int) { outbox.append((parcel, to)) }
  func synchronize(_ node: HandoverNode, with index: Int) { synchronizations.append(index) }

  func refresh(_ node: HandoverNode) {
    wantsRefresh = node
    refreshAt = 0
  }

  func noteExecution(_ slots: SlotSet, by node: HandoverNode) { shared.begun.append((slots, node)) }
  func isOver(_ request: Request) -> Bool { shared.book.isOver(request, shared.worldNow / 1000) }
  func finish(_ request: Request, _ cell: Cell?) { shared.book.finish(request, cell) }
}
