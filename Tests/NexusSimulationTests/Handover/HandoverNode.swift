import NexusModel
import NexusService

/// What the fake store keeps of a key: which write made it, and a counter.
struct Cell: Hashable {
  var write: Int
  var count: Int
}

/// What a client asks for.
struct Request {
  enum Verb: String { case get, set, increment, delete }

  let number: Int
  let verb: Verb
  let key: String
  let slot: Slot
  /// Where its client is connected.
  let origin: Int
  let deadline: UInt64
}

enum Reply {
  case done(Cell?)
  case moved
}

/// What travels between the fake nodes.
enum Parcel {
  case ownership(OwnershipMessage)
  case fetch(KeyFetch<String>)
  case fetched(KeyFetched<String>, [String: Cell])
  case chunk(pull: UInt64, Slot, index: Int, isLast: Bool, [String: Cell], absent: [String])
  /// Slots without any entry: complete.
  case empty(pull: UInt64, SlotSet)
  case forward(Request)
  case reply(Request, Reply)
}

/// Bugs that the checks must find.
enum PlantedBug {
  /// The answer leaves before the slots are stopped.
  case answersBeforeStopping
  /// A copy that arrives late replaces what was written since.
  case lateCopyWins
  /// A claim is denied whatever the views of the two members are.
  case comparesNoViews
}

/// What a node of a fake cluster finds around it: a clock (milliseconds), a network, a membership, clients.
protocol HandoverHost: AnyObject {
  var now: UInt64 { get }
  var bug: PlantedBug? { get }
  func after(_ milliseconds: Int, at node: HandoverNode, _ action: @escaping () -> Void)
  func send(_ parcel: Parcel, from: Int, to: Int)
  func synchronize(_ node: HandoverNode, with index: Int)
  /// Ends with `refreshed`.
  func refresh(_ node: HandoverNode)
  func noteExecution(_ slots: SlotSet, by node: HandoverNode)
  /// Nobody waits for it any more.
  func isOver(_ request: Request) -> Bool
  func finish(_ request: Request, _ cell: Cell?)
}

/// A node of the fake cluster: the real ownership and the real fetches, and what the shell does for them, on a store of
/// a few keys.
final class HandoverNode {
  struct Expected {
    var pull: UInt64
    var local: LocalCopy
  }

  let index: Int
  let id: MemberID
  unowned let world: any HandoverHost
  var ownership: Ownership
  var fetches: KeyFetches<String>

  var store: [Slot: [String: Cell]] = [:]
  /// Nil: the slot is whole, or not executed.
  var settled: [Slot: Set<String>] = [:]
  var routes = [SlotRoute](repeating: .nowhere, count: Slot.count)
  var held: [Slot: UInt64] = [:]
  var expected: [Slot: Expected] = [:]
  var nextChunk: [UInt64: [Slot: Int]] = [:]
  var waiting: [UInt64: Request] = [:]
  var lastWaiter: UInt64 = 0

  var isUp = true
  var isPaused = false
  var backlog: [() -> Void] = []
  var unmoved: SlotSet?
  /// Members as this node sees them.
  var seen: [Int: HandoverWorld.Standing] = [:]

  init(_ index: Int, _ world: any HandoverHost, startedAt: UInt64) {
    self.index = index
    self.world = world
    id = HandoverWorld.id(index)
    var settings = OwnershipSettings()
    settings.slotsPerPull = 2048
    ownership = Ownership(me: id, number: MemberNumber(index), startedAt: startedAt, settings: settings)
    fetches = KeyFetches(startedAt: startedAt)
  }

  func hasLocal(_ slot: Slot, _ key: String) -> Bool { store[slot]?[key] != nil }

  func executes(_ slot: Slot) -> Bool { routes[Int(slot.index)] == .here || routes[Int(slot.index)] == .incoming }

  // MARK: The ownership's outputs

  func feed(_ input: OwnershipInput) {
    let outputs = ownership.step(input, now: world.now)
    for output in outputs {
      if world.bug == .answersBeforeStopping, case .stop = output {
        world.after(30, at: self) { [self] in carryOut(output) }
      } else {
        carryOut(output)
      }
    }
  }

  private func carryOut(_ output: OwnershipOutput) {
    switch output {
    case .stop(let slots, let number, let route):
      slots.forEach { slot in
        routes[Int(slot.index)] = route
        expected[slot] = nil
        held[slot] = number
      }
    case .forget(let slots):
      slots.forEach { slot in
        store[slot] = nil
        settled[slot] = nil
        held[slot] = nil
      }
    case .execute(let slots, let sources, let keepsSettled):
      slots.forEach { slot in
        held[slot] = nil
        routes[Int(slot.index)] = sources.isEmpty ? .here : .incoming
        if sources.isEmpty { settled[slot] = nil } else if !keepsSettled { settled[slot] = [] }
      }
      world.noteExecution(slots, by: self)
    case .sources: break
    case .whole(let slots):
      slots.forEach { slot in
        routes[Int(slot.index)] = .here
        settled[slot] = nil
        expected[slot] = nil
      }
    case .route(let slots, let route): slots.forEach { routes[Int($0.index)] = route }
    case .expect(let slots, let pull, _, let local):
      slots.forEach { expected[$0] = Expected(pull: pull, local: local) }
      nextChunk[pull] = [:]
    case .send(let message, let member): world.send(.ownership(rewritten(message)), from: index, to: Int(member))
    case .stream(let slots, let holding, let pull, let member): stream(slots, holding, pull, to: Int(member))
    case .synchronize(let member): world.synchronize(self, with: Int(member))
    case .refresh: world.refresh(self)
    case .drained(let slots): unmoved = slots
    }
    carryOut(fetches.follow(output, now: world.now, hasLocal: hasLocal))
  }

  private func rewritten(_ message: OwnershipMessage) -> OwnershipMessage {
    guard world.bug == .comparesNoViews, case .claimAnswer(var answer) = message else { return message }
    answer.notMine.formUnion(answer.later)
    answer.later = SlotSet()
    return .claimAnswer(answer)
  }

  // MARK: Streams and fetches

  private func stream(_ slots: SlotSet, _ holding: UInt64, _ pull: UInt64, to member: Int) {
    var empty = SlotSet()
    slots.forEach { slot in
      guard held[slot] == holding else { return }
      if store[slot, default: [:]].isEmpty, settled[slot, default: []].isEmpty { return empty.insert(slot) }
      let cells = (store[slot] ?? [:]).sorted { $0.key < $1.key }
      let absent = (settled[slot] ?? []).filter { !hasLocal(slot, $0) }.sorted()
      // One entry at a time, so that streams are interrupted.
      for (place, cell) in cells.enumerated() {
        world.send(
          .chunk(pull: pull, slot, index: place, isLast: false, [cell.key: cell.value], absent: []),
          from: index, to: member)
      }
      world.send(
        .chunk(pull: pull, slot, index: cells.count, isLast: true, [:], absent: absent), from: index, to: member)
    }
    if !empty.isEmpty { world.send(.empty(pull: pull, empty), from: index, to: member) }
  }

  private func answer(_ fetch: KeyFetch<String>) -> Parcel {
    var answer = KeyFetched<String>(id: fetch.id)
    var cells: [String: Cell] = [:]
    for key in fetch.keys {
      let cell = store[fetch.slot]?[key]
      let isSettled = settled[fetch.slot]?.contains(key) ?? true
      if held[fetch.slot] != fetch.holding {
        answer.unknown.append(key)
      } else if let cell {
        answer.found.append(key)
        cells[key] = cell
      } else if isSettled {
        answer.absent.append(key)
      } else {
        answer.unknown.append(key)
      }
    }
    return .fetched(answer, cells)
  }

  private func settle(_ slot: Slot, _ key: String, _ cell: Cell?, overridesLocal: Bool) {
    guard let set = settled[slot] else { return }
    if set.contains(key) && world.bug != .lateCopyWins { return }
    settled[slot]?.insert(key)
    guard overridesLocal || !hasLocal(slot, key) else { return }
    store[slot, default: [:]][key] = cell
  }

  private func carryOut(_ effects: [KeyFetchEffect<String>], cells: [String: Cell] = [:]) {
    for effect in effects {
      switch effect {
      case .send(let fetch, let member): world.send(.fetch(fetch), from: index, to: HandoverWorld.index(of: member))
      case .settle(let slot, let found, let absent, let overridesLocal):
        guard executes(slot) else { continue }
        for key in found { settle(slot, key, cells[key], overridesLocal: overridesLocal) }
        for key in absent { settle(slot, key, nil, overridesLocal: overridesLocal) }
      case .ready(let waiter):
        if let request = waiting.removeValue(forKey: waiter) { serve(request) }
      }
    }
  }

  // MARK: Parcels

  func receive(_ parcel: Parcel, from sender: Int) {
    switch parcel {
    case .ownership(let message): feed(.received(message, from: MemberNumber(sender)))
    case .fetch(let fetch): world.send(answer(fetch), from: index, to: sender)
    case .fetched(let answer, let cells):
      carryOut(
        fetches.answered(answer, by: HandoverWorld.id(sender), now: world.now, hasLocal: hasLocal), cells: cells)
    case .chunk(let pull, let slot, let place, let isLast, let cells, let absent):
      guard let expected = expected[slot], expected.pull == pull, executes(slot) else { return }
      guard nextChunk[pull]?[slot, default: 0] == place else { return }
      feed(.progressed(pull: pull))
      nextChunk[pull]?[slot] = place + 1
      for (key, cell) in cells { settle(slot, key, cell, overridesLocal: expected.local != .newer) }
      for key in absent { settle(slot, key, nil, overridesLocal: expected.local == .older) }
      if isLast { feed(.arrived(SlotSet([slot]), pull: pull, from: MemberNumber(sender))) }
    case .empty(let pull, let slots):
      feed(.arrived(SlotSet(slots.slots.filter { expected[$0]?.pull == pull }), pull: pull, from: MemberNumber(sender)))
    case .forward(let request): serve(request)
    case .reply(let request, let reply):
      switch reply {
      case .done(let cell): world.finish(request, cell)
      case .moved: world.after(10, at: self) { [self] in route(request) }
      }
    }
  }

  // MARK: Requests

  /// At the node that the client is connected to.
  func route(_ request: Request) {
    guard !world.isOver(request) else { return }
    if let member = routes[Int(request.slot.index)].member {
      world.send(.forward(request), from: index, to: Int(member))
    } else if executes(request.slot) {
      serve(request)
    } else {
      world.after(10, at: self) { [self] in route(request) }
    }
  }

  /// Executes it, if its slot is executed here.
  private func serve(_ request: Request) {
    // Its client has given up: nobody would be told.
    guard !world.isOver(request) else { return }
    guard executes(request.slot) else {
      if request.origin == index { return route(request) }
      return world.send(.reply(request, .moved), from: index, to: request.origin)
    }
    if let set = settled[request.slot], !set.contains(request.key) {
      lastWaiter += 1
      waiting[lastWaiter] = request
      return carryOut(
        fetches.want([request.key], of: request.slot, waiter: lastWaiter, now: world.now, hasLocal: hasLocal))
    }
    let cell = run(request)
    if request.origin == index { return world.finish(request, cell) }
    world.send(.reply(request, .done(cell)), from: index, to: request.origin)
  }

  private func run(_ request: Request) -> Cell? {
    let old = store[request.slot]?[request.key]
    let new: Cell? =
      switch request.verb {
      case .get: old
      case .set: Cell(write: request.number, count: 0)
      case .increment: Cell(write: request.number, count: (old?.count ?? 0) + 1)
      case .delete: nil
      }
    store[request.slot, default: [:]][request.key] = new
    return new
  }

  func tick() {
    feed(.tick)
    carryOut(fetches.tick(now: world.now))
  }
}
