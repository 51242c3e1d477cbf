import NexusModel
import NexusReplication
import NexusService

/// A replicated cluster in a simulated world: clients write while members are cut off, killed, paused and skewed; then
/// there is peace, all must become equal, and nothing that was promised may be missing.
///
/// Membership is what everyone sees of everyone after a while (`GossipNode` is in worlds of its own): members that
/// reach one another, by others if need be, see one another alive.
public final class ReplicaWorld {
  private struct Client {
    var nextAsk: UInt64
    var current: Int?
    var patienceEnds: UInt64 = .max
  }

  final class Surroundings: ReplicaHost {
    let settings: ReplicaWorldSettings
    let bug: ReplicaBug?
    var skews: [Int64] = []
    var worldNow: UInt64 = 0
    var open: Set<Int> = []
    var finished: [(ReplicaRequest, ReplicaReply)] = []
    var passing: [SimulatedVersion] = []

    init(_ settings: ReplicaWorldSettings, _ bug: ReplicaBug?) {
      self.settings = settings
      self.bug = bug
    }

    func wallClock(of index: Int) -> UnixMilliseconds {
      1_700_000_000_000 + UnixMilliseconds(worldNow / 1000) + skews[index]
    }
    func isOver(_ request: ReplicaRequest) -> Bool { !open.contains(request.number) }
    func finish(_ request: ReplicaRequest, _ reply: ReplicaReply) {
      if open.remove(request.number) != nil { finished.append((request, reply)) }
    }
    func notePassing(_ version: SimulatedVersion) { passing.append(version) }
  }

  public let settings: ReplicaWorldSettings
  public internal(set) var world: World<ReplicaNode>
  let around: Surroundings
  var random: SimulationRandom
  var ledger = ReplicaLedger()
  private var clients: [Client] = []
  private var requestCount = 0
  /// By request: how often memory had been lost when it began.
  private var begun: [Int: Int] = [:]
  public private(set) var acknowledged = 0
  public private(set) var failed = 0

  // Who sees whom.
  var lives: [Int]
  var deadSince: [UInt64?]
  var pictureDue: [UInt64]
  var refreshDue: [UInt64]
  var seen: [Set<Int>]
  /// By member: those that have taken it for dead, and have not told it.
  var accusers: [Set<Int>]
  var reachable: [[Bool]] = []
  var pictures: [[Int]: ReplicaPicture] = [:]
  /// When something is evicted somewhere.
  private var evictionTimes: [UInt64] = []

  public var problems: [String] { ledger.problems }
  /// Acknowledged writes of which the only copies died.
  public var excused: [Acknowledgement: Int] { ledger.excused }
  /// Older values that are there although a newer one was acknowledged, which has expired or was evicted.
  public var outlived: Int { ledger.outlived }

  public init(seed: UInt64, _ settings: ReplicaWorldSettings, bug: ReplicaBug? = nil) {
    let around = Surroundings(settings, bug)
    self.settings = settings
    self.around = around
    random = SimulationRandom(seed: seed &* 0x9E37_79B9 &+ 7)
    let skew = settings.skewMilliseconds
    for _ in 0..<settings.members {
      around.skews.append(skew == 0 ? 0 : Int64(random.below(UInt64(2 * skew + 1))) - skew)
    }
    world = World(seed: seed, hosts: settings.members) { birth, _ in
      ReplicaNode(
        index: birth.host, startedAt: UInt64(1000 + birth.host + 100_000 * birth.life), host: around)
    }
    lives = Array(repeating: 0, count: settings.members)
    deadSince = Array(repeating: nil, count: settings.members)
    pictureDue = Array(repeating: .max, count: settings.members)
    refreshDue = pictureDue
    seen = Array(repeating: [], count: settings.members)
    accusers = seen
    world.network.loss = settings.loss
    for host in 0..<settings.members { world.start(host) }
    look()
    for host in 0..<settings.members { pictureDue[host] = random.below(100_000 as UInt64) }
  }

  // MARK: A history

  func beginAsking() {
    for _ in 0..<settings.clients { clients.append(Client(nextAsk: world.now + random.below(100_000 as UInt64))) }
  }

  /// Everything from the beginning to the judgement.
  public func play() {
    let end = settings.storyMilliseconds * 1000
    run(until: 400_000)
    beginAsking()
    world.network.duplication = 0.02
    world.network.reordering = 0.1
    world.add(faults(until: end - 500_000))
    for _ in 0..<settings.evictions { evictionTimes.append(500_000 + random.below(end - 500_000)) }
    evictionTimes.sort()
    run(until: end)
    clients = []
    world.network.loss = 0
    rest()
  }

  private func faults(until end: UInt64) -> FaultSchedule {
    var own = random.fork()
    guard settings.isAboutLinks else {
      return FaultSchedule.random(
        hosts: settings.members, from: 600_000, until: end, longestSeconds: settings.longestFaultSeconds,
        down: settings.down, &own)
    }
    var schedule = FaultSchedule()
    for _ in 0..<8 {
      let at = own.within(600_000...(end - 600_000))
      let host = own.below(settings.members)
      let link = SimulatedLink(from: host, to: (host + 1 + own.below(settings.members - 1)) % settings.members)
      schedule.add(.cut(link), at: at)
      schedule.add(.mend(link), at: at + own.within(20_000...500_000))
    }
    schedule.add(.peace, at: end)
    return schedule
  }

  /// Until everything is at rest, which it has to come to.
  private func rest() {
    for _ in 0..<120 {
      run(until: world.now + 500_000)
      if unrest == nil { break }
    }
    if let unrest { return ledger.problem("\(world.now / 1000) ms: no rest: \(unrest)") }
    compare()
    guard let first = nodes.first else { return }
    ledger.judge(nodes.map(\.wallClock).max() ?? 0, first.store.flushStamp) { slot, hash in
      self.holders(of: slot).first.flatMap { $0.store[slot, hash] }
    }
  }

  var nodes: [ReplicaNode] { world.nodes.compactMap { $0 } }

  private func holders(of slot: Slot) -> [ReplicaNode] {
    nodes.filter { $0.sets?.slots(of: MemberNumber($0.index)).contains(slot) == true }
  }

  /// What is still under way.
  private var unrest: String? {
    guard let version = nodes.first?.picture?.version else { return "nobody has joined" }
    for node in nodes {
      if node.picture?.version != version { return "n\(node.index) has another view" }
      if !node.doubts.unverified.isEmpty { return "n\(node.index) has not verified \(node.doubts.unverified)" }
      if !node.ownership.progress.isAtRest { return "n\(node.index)'s ownership: \(node.ownership.progress)" }
      if node.hints.count > 0 { return "n\(node.index) has \(node.hints.count) hints" }
      // Who is told by the next routine comparison only.
      if !node.repair.isSettled, !settings.isAboutLinks { return "n\(node.index)'s repair is not settled" }
    }
    expire()
    for slot in 0..<settings.slotCount {
      let digests = Set(holders(of: Slot(index: UInt16(slot))).map { $0.store.slots[slot].digest })
      if digests.count > 1 { return "slot \(slot) has \(digests.count) digests" }
    }
    return nil
  }

  /// What has expired is gone some time after, on each member by its own clock; here, by the one that is ahead.
  private func expire() {
    let now = nodes.map(\.wallClock).max() ?? 0
    for node in nodes { settings.allSlots.forEach { node.store.expireDue($0, now: now) } }
  }

  /// All copies are equal, by their entries too.
  private func compare() {
    for index in 0..<settings.slotCount {
      let slot = Slot(index: UInt16(index))
      let holders = holders(of: slot)
      for node in nodes where node.store.slots[index].digest != node.store.countedDigest(of: index) {
        ledger.problem("n\(node.index)'s digest of slot \(index) is not that of its entries")
      }
      guard let first = holders.first else { continue }
      let values = first.store.slots[index].entries.filter { $0.value.kind == .value }
      for node in holders.dropFirst()
      where node.store.slots[index].entries.filter({ $0.value.kind == .value }) != values {
        ledger.problem("n\(node.index) and n\(first.index) differ in slot \(index)")
      }
      for node in nodes where !holders.contains(where: { $0 === node }) {
        if !node.store.slots[index].entries.isEmpty {
          ledger.problem("n\(node.index) still has something of slot \(index)")
        }
      }
    }
  }

  // MARK: Time

  public func run(until end: UInt64) {
    while true {
      var moment = end
      for client in clients { moment = min(moment, client.current == nil ? client.nextAsk : client.patienceEnds) }
      for host in pictureDue.indices { moment = min(moment, min(pictureDue[host], refreshDue[host])) }
      if let time = evictionTimes.first { moment = min(moment, time) }
      while true {
        around.worldNow = world.now
        guard let host = world.step(until: moment) else { break }
        around.worldNow = world.now
        host < 0 ? look() : attend(host)
        // Somebody may be answered, or want something, before the moment that was looked for.
        if !around.finished.isEmpty { break }
      }
      around.worldNow = world.now
      settleAccounts()
      showPictures()
      evictSome()
      ask()
      if world.now >= end { return }
    }
  }

  func act(_ host: Int, _ body: (ReplicaNode, UInt64) -> Void) {
    world.act(on: host) { node, now in
      body(node, now)
      return node.endTurn()
    }
    attend(host)
  }

  func attend(_ host: Int) {
    if world.nodes[host]?.wantsRefresh == true, refreshDue[host] == .max {
      refreshDue[host] = world.now + random.within(50_000...300_000)
    }
  }

  // MARK: Clients

  private func ask() {
    for index in clients.indices {
      if clients[index].current != nil, clients[index].patienceEnds <= world.now {
        around.open.remove(clients[index].current!)
        failed += 1
        rest(index)
      }
      guard clients[index].current == nil, clients[index].nextAsk <= world.now else { continue }
      let ready = world.running.filter { !world.isPaused($0) }
      guard !ready.isEmpty else {
        clients[index].nextAsk = world.now + 50_000
        continue
      }
      let request = request(from: ready[random.below(ready.count)])
      clients[index].current = request.number
      clients[index].patienceEnds = world.now + 1_500_000
      around.open.insert(request.number)
      begun[request.number] = ledger.losses
      act(request.origin) { node, now in
        node.begin(now)
        node.route(request)
      }
    }
  }

  private func rest(_ index: Int) {
    clients[index].current = nil
    clients[index].nextAsk = world.now + random.within(settings.pause) * 1000
  }

  static func hash(ofKey key: Int) -> UInt64 { RepairDigest.mix(UInt64(key + 1)) / 1000 * 1000 + UInt64(key) }

  private func request(from origin: Int) -> ReplicaRequest {
    requestCount += 1
    let key = random.below(settings.keyCount)
    let dice = random.below(100)
    let levels: [Acknowledgement] = [.one, .quorum, .quorum, .all]
    let level = levels[random.below(levels.count)]
    var verb = ReplicaRequest.Verb.set
    if dice < settings.deletePercent + settings.getPercent { verb = dice < settings.deletePercent ? .delete : .get }
    var request = ReplicaRequest(
      number: requestCount, verb: verb, slot: Slot(index: UInt16(key % settings.slotCount)),
      hash: Self.hash(ofKey: key), acknowledgement: level, origin: origin)
    if random.below(100) < settings.expiringPercent {
      request.lifeMilliseconds = Int64(random.within(200...4000))
    }
    return request
  }

  func notePassing() {
    for version in around.passing {
      if version.kind == .evicted { ledger.noteEvicted(version) } else { ledger.notePassing(version) }
    }
    around.passing = []
  }

  private func settleAccounts() {
    notePassing()
    let finished = around.finished
    around.finished = []
    for (request, reply) in finished {
      if let index = clients.firstIndex(where: { $0.current == request.number }) { rest(index) }
      let begun = begun.removeValue(forKey: request.number) ?? ledger.losses
      guard case .done(let version?) = reply, request.verb != .get else { continue }
      acknowledged += 1
      ledger.acknowledged(
        version, request.acknowledgement, begun: begun, copies: settings.copies, nodes, world.now / 1000)
    }
  }

  private func evictSome() {
    while let time = evictionTimes.first, time <= world.now {
      evictionTimes.removeFirst()
      let ready = world.running.filter { !world.isPaused($0) }
      guard !ready.isEmpty else { continue }
      let host = ready[random.below(ready.count)]
      let key = random.below(settings.keyCount)
      act(host) { node, now in
        node.evict(Slot(index: UInt16(key % self.settings.slotCount)), Self.hash(ofKey: key), now: now)
      }
    }
  }
}
