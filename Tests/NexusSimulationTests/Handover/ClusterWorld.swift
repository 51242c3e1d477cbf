import NexusGossip
import NexusModel
import NexusRing
import NexusService
import NexusSimulation
import NexusTestSupport

/// A cluster of whole members in the simulated world, with clients.
final class ClusterWorld {
  var world: World<ClusterNode>
  let shared: ClusterShared
  var dice: Dice
  /// Off while the cluster forms: newcomers may meet one another before they meet it, and are two clusters then.
  var checksTokens = false
  /// When each client asks next, in microseconds of the world.
  private var nextAsk: [UInt64] = []
  /// When the patience with an open request ends.
  private var patience: [(at: UInt64, request: Request)] = []
  private var leaving: [Int: UInt64] = [:]
  private(set) var gone: Set<Int> = []

  var book: RequestBook { shared.book }

  init(seed: UInt64, hosts: Int, bug: PlantedBug? = nil, change: @escaping (inout Gossip) -> Void = { _ in }) {
    let shared = ClusterShared()
    shared.bug = bug
    self.shared = shared
    dice = Dice(seed: seed)
    world = World(seed: seed, hosts: hosts) { birth, random in
      let host = birth.host, life = birth.life
      let startedAt: Int = 1000 + host + 100_000 * life
      let member = GossipNode.member("n\(host)", host: host, startedAt: UInt64(startedAt))
      var gossip = Gossip(member: member, settings: GossipSettings(), seed: random.next(), now: birth.now / 1000)
      change(&gossip)
      // The very first process makes the cluster; everyone else joins it, by members that run if that is known.
      let others: [Int] = (0..<hosts).filter { other in other != host }
      let seeds: [Int] = host == 0 && life == 0 ? [] : shared.seeds ?? others
      return ClusterNode(index: host, gossip: gossip, seeds: seeds, shared: shared)
    }
  }

  /// After each event: nobody has begun to execute what another executes.
  private func checkTokens() {
    let begun = shared.begun
    shared.begun = []
    guard checksTokens, !begun.isEmpty else { return }
    let hosts: [Int] = world.running.filter { host in !world.isPaused(host) }
    for (slots, node) in begun {
      for text in HandoverChecks.doubles(slots, node, handovers(hosts)) { problem(text) }
    }
  }

  func handovers(_ hosts: [Int]) -> [HandoverNode] { hosts.compactMap { world.nodes[$0]?.handover } }

  func problem(_ text: String) { book.problem("\(world.now / 1000) ms: \(text)") }

  func begin(_ clients: Int, _ verbs: [(weight: Int, Request.Verb)], judges: Bool = true) {
    for number in 0..<clients {
      let client = HandoverClient(key: "k\(number)", verbs: verbs)
      client.judges = judges
      book.clients.append(client)
      nextAsk.append(world.now + UInt64(dice.below(50_000)))
      client.onEnd = { [unowned self] in
        nextAsk[number] = shared.worldNow + UInt64(dice.within(1000...60_000))
      }
    }
  }

  func run(milliseconds: Int) {
    let end = world.now + UInt64(milliseconds) * 1000
    while true {
      let moment = min(end, nextAsk.min() ?? end, patience.first?.at ?? end)
      shared.worldNow = world.now
      while world.step(until: moment) != nil {
        shared.worldNow = world.now
        checkTokens()
        finishLeaving()
      }
      shared.worldNow = world.now
      serveClients()
      if moment >= end { return }
    }
  }

  private func serveClients() {
    while let first = patience.first, first.at <= world.now {
      patience.removeFirst()
      book.fail(first.request)
    }
    for (number, client) in book.clients.enumerated() where nextAsk[number] <= world.now {
      nextAsk[number] = .max
      guard !client.isStopped else { continue }
      let ready = world.running.filter { !world.isPaused($0) && leaving[$0] == nil && !gone.contains($0) }
      let origin = dice.pick(ready)
      let request = book.begin(client, origin: origin, world.now / 1000, &dice)
      patience.append((world.now + 2_100_000, request))
      world.act(on: request.origin) { node, now in
        node.begin(request, now: now)
        return node.takeEffects(now)
      }
    }
  }

  func start(_ host: Int) {
    shared.seeds = world.running.filter { !isLeaving($0) && world.nodes[$0]?.hasJoined == true }
    world.start(host)
    shared.seeds = nil
  }

  func kill(_ host: Int) {
    guard let node = world.nodes[host] else { return }
    let others = handovers(world.running.filter { $0 != host })
    for client in book.clients { client.noteCrash(of: node.handover, others: others) }
    world.add(dice.chance(50) ? .kill(host) : .powerOff(host))
  }

  func isLeaving(_ host: Int) -> Bool { leaving[host] != nil || gone.contains(host) }

  func leave(_ host: Int) {
    leaving[host] = .max
    world.act(on: host) { node, now in node.leave(now: now) }
  }

  private func finishLeaving() {
    for (host, at) in leaving.sorted(by: { $0.key < $1.key }) {
      guard let node = world.nodes[host] else { continue }
      if at == .max, let unmoved = node.handover.unmoved {
        if !unmoved.isEmpty { problem("n\(host) left with slots unmoved: \(unmoved)") }
        leaving[host] = world.now + 3_000_000
      } else if at <= world.now {
        leaving[host] = nil
        gone.insert(host)
        world.act(on: host) { node, now in node.depart(now: now) }
        world.add(.kill(host), after: 2_500_000)
      }
    }
  }

  /// Clients stop, time passes, and all must be in its place.
  func rest() {
    run(milliseconds: 4000)
    for client in book.clients { client.isStopped = true }
    run(milliseconds: 8000)
    let running = world.running.filter { !gone.contains($0) }
    guard let first = running.first.flatMap({ world.nodes[$0] }) else { return }
    let owners = first.owners
    for host in running where world.nodes[host]?.owners != owners { problem("n\(host) has another placement") }
    for text in HandoverChecks.unrest(handovers(running), owners: owners) { problem(text) }
  }
}
