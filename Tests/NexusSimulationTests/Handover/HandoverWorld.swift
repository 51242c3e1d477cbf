import NexusModel
import NexusService
import NexusTestSupport

/// A cluster of fake nodes in fake time (milliseconds), all chance from one seed. Membership spreads like a rumour:
/// every node learns of a change at its own moment.
final class HandoverWorld: HandoverHost {
  enum State: Int, Comparable {
    case alive, dead, left
    static func < (left: State, right: State) -> Bool { left.rawValue < right.rawValue }
  }

  /// What is known of a member: a higher (incarnation, state) replaces a lower one.
  struct Standing: Hashable {
    var incarnation: Int
    var isLeaving = false
    var state = State.alive

    func isNewer(than other: Standing?) -> Bool {
      guard let other else { return true }
      return (incarnation, state.rawValue) > (other.incarnation, other.state.rawValue)
    }
  }

  private struct Event {
    let time: UInt64
    let order: Int
    let node: HandoverNode?
    let action: () -> Void
  }

  var now: UInt64 = 0
  var dice: Dice
  let bug: PlantedBug?
  var nodes: [HandoverNode] = []
  let book = RequestBook()
  /// Percent of the messages between ownerships, fetches and streams; forwarded requests travel safely.
  var lossPercent = 0
  var delay = 1...8
  var spreadMilliseconds = 150
  var detectionMilliseconds = 1500
  /// At every moment, two nodes that are up must not execute one slot.
  var checksTokens = true
  var isCut: (Int, Int) -> Bool = { _, _ in false }
  private var events: [Event] = []
  private var eventCount = 0
  private var cutCount = 0
  /// Streams keep their order; everything else is overtaken.
  private var lastArrivals: [[Int]: UInt64] = [:]
  private var tables: [[Int: Standing]: [MemberNumber]] = [:]

  init(seed: UInt64, bug: PlantedBug? = nil) {
    dice = Dice(seed: seed)
    self.bug = bug
  }

  static func id(_ index: Int) -> MemberID { MemberID("n\(index)")! }
  static func index(of id: MemberID) -> Int { Int(id.text.dropFirst())! }

  func problem(_ text: String) { book.problem("\(now) ms: \(text)") }

  // MARK: Time

  func after(_ milliseconds: Int, _ action: @escaping () -> Void) { add(milliseconds, nil, action) }

  /// Nothing happens at a node that is down; at a paused one it happens when that wakes.
  func after(_ milliseconds: Int, at node: HandoverNode, _ action: @escaping () -> Void) {
    add(milliseconds, node, action)
  }

  private func add(_ milliseconds: Int, _ node: HandoverNode?, _ action: @escaping () -> Void) {
    eventCount += 1
    events.append(Event(time: now + UInt64(milliseconds), order: eventCount, node: node, action: action))
    var child = events.count - 1
    while child > 0, isBefore(child, (child - 1) / 2) {
      events.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  private func isBefore(_ left: Int, _ right: Int) -> Bool {
    (events[left].time, events[left].order) < (events[right].time, events[right].order)
  }

  private func next() -> Event {
    let first = events[0]
    let last = events.removeLast()
    guard !events.isEmpty else { return first }
    events[0] = last
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < events.count && isBefore(child, least) {
        least = child
      }
      if least == parent { return first }
      events.swapAt(parent, least)
      parent = least
    }
  }

  func run(for milliseconds: Int) {
    let end = now + UInt64(milliseconds)
    while let first = events.first, first.time <= end {
      let event = next()
      now = event.time
      guard let node = event.node else {
        event.action()
        continue
      }
      guard node.isUp else { continue }
      if node.isPaused { node.backlog.append(event.action) } else { event.action() }
    }
    now = end
  }

  private func tick(_ node: HandoverNode) {
    node.tick()
    after(100, at: node) { [unowned self, unowned node] in tick(node) }
  }

  // MARK: The network

  func send(_ parcel: Parcel, from: Int, to: Int) {
    var isSafe = false
    var isStream = false
    switch parcel {
    case .forward, .reply: isSafe = true
    case .chunk, .empty: isStream = true
    case .ownership, .fetch, .fetched: break
    }
    if isCut(from, to) || !isSafe && dice.chance(lossPercent) { return }
    let target = nodes[to]
    var arrival = now + UInt64(dice.within(delay))
    if isStream {
      arrival = max(arrival, lastArrivals[[from, to]] ?? 0)
      lastArrivals[[from, to]] = arrival
    }
    after(Int(arrival - now), at: target) { target.receive(parcel, from: from) }
  }

  // MARK: Membership

  func start(_ index: Int, knowing others: [Int], incarnation: Int = 1) {
    let node = HandoverNode(index, self, startedAt: 1000 + now)
    if index < nodes.count { nodes[index] = node } else { nodes.append(node) }
    for other in others { node.seen.merge(nodes[other].seen) { $1.isNewer(than: $0) ? $1 : $0 } }
    learn(node, [index: Standing(incarnation: incarnation)])
    spread(index, Standing(incarnation: incarnation))
    after(dice.within(0...99), at: node) { [unowned self] in tick(node) }
    // What was on its way to others when it started.
    after(spreadMilliseconds + 50, at: node) { [unowned self] in
      for other in nodes where other.isUp && !isCut(index, other.index) { learn(node, other.seen) }
    }
  }

  func leave(_ index: Int) {
    let node = nodes[index]
    node.feed(.leave(limitMilliseconds: 60_000))
    let standing = Standing(incarnation: (node.seen[index]?.incarnation ?? 0) + 1, isLeaving: true)
    learn(node, [index: standing])
    spread(index, standing)
    watchDraining(node)
  }

  private func watchDraining(_ node: HandoverNode) {
    after(50, at: node) { [unowned self] in
      guard let unmoved = node.unmoved else { return watchDraining(node) }
      if !unmoved.isEmpty { problem("\(node.id) left with slots unmoved: \(unmoved)") }
      var standing = node.seen[node.index]!
      standing.state = .left
      spread(node.index, standing)
      // Its last requests are answered before it goes.
      after(1500) { node.isUp = false }
    }
  }

  func crash(_ index: Int) {
    noteCrash(of: nodes[index])
    nodes[index].isUp = false
    detect(nodes[index])
  }

  func pause(_ index: Int, milliseconds: Int) {
    let node = nodes[index]
    node.isPaused = true
    detect(node)
    after(milliseconds) {
      node.isPaused = false
      let backlog = node.backlog
      node.backlog = []
      node.feed(.tick)
      for action in backlog where node.isUp { action() }
    }
  }

  /// No message passes between the half and the others; each half takes the other for dead, if it lasts.
  func tear(_ half: Set<Int>, milliseconds: Int) {
    isCut = { half.contains($0) != half.contains($1) }
    cutCount += 1
    let cut = cutCount
    for node in nodes {
      for other in nodes where other !== node && isCut(node.index, other.index) {
        after(detectionMilliseconds + dice.below(300), at: node) { [unowned self] in
          guard cut == cutCount, isCut(node.index, other.index), var standing = node.seen[other.index] else { return }
          standing.state = max(standing.state, .dead)
          learn(node, [other.index: standing])
        }
      }
    }
    after(milliseconds) { [unowned self] in
      guard cut == cutCount else { return }
      isCut = { _, _ in false }
      // The halves find one another again, and every pair of nodes meets.
      for node in nodes {
        for other in nodes where other !== node {
          after(dice.within(1...600), at: node) { [unowned self] in synchronize(node, with: other.index) }
        }
      }
    }
  }

  /// Every other node notices by itself, if it is still away then; later the dead are forgotten.
  private func detect(_ lost: HandoverNode) {
    let incarnation = lost.seen[lost.index]?.incarnation ?? 0
    for node in nodes where node !== lost {
      after(detectionMilliseconds + dice.below(300), at: node) { [unowned self] in
        guard !lost.isUp || lost.isPaused, nodes[lost.index] === lost || !lost.isUp else { return }
        var standing = Standing(incarnation: incarnation, state: .dead)
        standing.isLeaving = node.seen[lost.index]?.isLeaving ?? false
        learn(node, [lost.index: standing])
        after(6000, at: node) { [unowned self] in
          guard node.seen[lost.index] == standing else { return }
          standing.state = .left
          learn(node, [lost.index: standing])
          spread(lost.index, standing)
        }
      }
    }
  }

  func spread(_ index: Int, _ standing: Standing) {
    for node in nodes {
      after(dice.within(1...spreadMilliseconds), at: node) { [unowned self] in learn(node, [index: standing]) }
    }
  }

  func learn(_ node: HandoverNode, _ standings: [Int: Standing]) {
    var isChanged = false
    var isRefuted = false
    for (index, standing) in standings.sorted(by: { $0.key < $1.key })
    where standing.isNewer(than: node.seen[index]) {
      isChanged = true
      node.seen[index] = standing
      if index == node.index, standing.state != .alive, node.unmoved == nil {
        isRefuted = true
        node.seen[index] = Standing(incarnation: standing.incarnation + 1, isLeaving: standing.isLeaving)
      }
    }
    guard isChanged else { return }
    if isRefuted { node.feed(.away) }
    node.feed(.view(view(node.seen)))
    if isRefuted { spread(node.index, node.seen[node.index]!) }
  }

  func synchronize(_ node: HandoverNode, with index: Int) {
    let other = nodes[index]
    guard !isCut(node.index, index) else { return }
    let mine = node.seen
    after(dice.within(delay), at: other) { [unowned self] in
      let theirs = other.seen
      after(dice.within(delay), at: node) { [unowned self] in learn(node, theirs) }
      learn(other, mine)
    }
  }

  func refresh(_ node: HandoverNode) {
    let up = nodes.filter { $0 !== node && $0.isUp && !$0.isPaused && !isCut(node.index, $0.index) }
    guard !up.isEmpty else {
      return after(500, at: node) { [unowned self] in
        if view(node.seen).live.count > 1 { refresh(node) } else { node.feed(.refreshed) }
      }
    }
    let other = dice.pick(up)
    after(2 * dice.within(delay), at: node) { [unowned self] in
      learn(node, other.seen)
      node.feed(.refreshed)
    }
  }

  func view(_ seen: [Int: Standing]) -> OwnershipView {
    let live = seen.filter { $0.value.state == .alive }.keys.sorted()
    var digest: UInt64 = 0
    for (index, standing) in seen.sorted(by: { $0.key < $1.key }) {
      let word = UInt64(
        index * 64 + standing.incarnation * 8 + standing.state.rawValue * 2 + (standing.isLeaving ? 1 : 0))
      digest = Self.mix(digest ^ word)
    }
    return OwnershipView(
      version: PlacementVersion(digest: digest), live: live.map { .init(number: MemberNumber($0), id: Self.id($0)) },
      owners: owners(seen))
  }

  /// The live member with the highest hash (rendezvous hashing) of those with a place. Dead ones have theirs until they
  /// are forgotten, and are passed over.
  private func owners(_ seen: [Int: Standing]) -> [MemberNumber] {
    let placed = seen.filter { $0.value.state != .left && !$0.value.isLeaving }
    if let known = tables[placed] { return known }
    let live = placed.filter { $0.value.state == .alive }.keys.sorted().map(UInt64.init)
    let table = (0..<UInt64(Slot.count)).map { slot in
      live.max { Self.mix($0 << 32 | slot) < Self.mix($1 << 32 | slot) }.map { MemberNumber($0) }
        ?? OwnershipView.nobody
    }
    tables[placed] = table
    return table
  }

  private static func mix(_ word: UInt64) -> UInt64 {
    var generator = Dice(seed: word)
    return generator.next()
  }

  // MARK: Checks

  func noteExecution(_ slots: SlotSet, by node: HandoverNode) {
    guard checksTokens else { return }
    for text in HandoverChecks.doubles(slots, node, nodes.filter { $0.isUp && !$0.isPaused }) { problem(text) }
  }

  /// After a while without changes.
  func checkRest() {
    let up = nodes.filter { $0.isUp }
    guard let first = up.first else { return }
    let table = view(first.seen)
    for node in up where view(node.seen).version != table.version { problem("\(node.id) has another view") }
    for text in HandoverChecks.unrest(up, owners: table.owners) { problem(text) }
  }

  // MARK: Requests

  func isOver(_ request: Request) -> Bool { book.isOver(request, now) }
  func finish(_ request: Request, _ cell: Cell?) { book.finish(request, cell) }

  func begin(_ clients: Int, _ verbs: [(weight: Int, Request.Verb)], judges: Bool = true) {
    for number in 0..<clients {
      let client = HandoverClient(key: "k\(number)", verbs: verbs)
      client.judges = judges
      book.clients.append(client)
      later(client, dice.below(50))
    }
  }

  private func later(_ client: HandoverClient, _ milliseconds: Int) {
    after(milliseconds) { [unowned self] in
      let ready = nodes.filter { $0.isUp && !$0.isPaused && $0.unmoved == nil }
      guard !client.isStopped else { return }
      let origin = dice.pick(ready)
      let request = book.begin(client, origin: origin.index, now, &dice)
      client.onEnd = { [unowned self, unowned client] in later(client, dice.within(1...60)) }
      after(2100) { [unowned self] in book.fail(request) }
      origin.route(request)
    }
  }

  func noteCrash(of node: HandoverNode) {
    let others = nodes.filter { $0 !== node && $0.isUp }
    for client in book.clients { client.noteCrash(of: node, others: others) }
  }
}
