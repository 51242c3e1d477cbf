/// A world in which everything that happens follows from one seed: hosts with processes and clocks of their own, a
/// network between them, and faults. It has no clock, no socket and no thread; an hour passes as fast as its events
/// are handled.
///
/// How to use it:
///
///     var world = World(seed: seed, hosts: 3) { birth, random in MyNode(...) }
///     world.start(0)                                  // the process on host 0 starts now
///     world.network.loss = 0.05
///     world.add(.kill(2), after: 5_000_000)           // or world.add(schedule)
///     while let host = world.step(until: 60_000_000) {
///       checks.look(at: world.nodes[host]!, ...)      // invariants, after every step of every node
///     }
///
/// `step(until:)` handles one event and says whose it was, so that checks see every state and can stop where something
/// breaks. `run(until:)` is for stretches that need no checks. Doing something to a node as its operator would is
/// `act(on:)`. A failure is a seed: print it, and the same seed, the same code and the same calls give the same world,
/// of which `trace` is the proof.
public struct World<Node: SimulatedNode> {
  private enum Event {
    case wake(Int, ticket: UInt64)
    case datagram(Node.Message, SimulatedLink)
    /// `life` is the receiver's, nil on a new stream: one does not outlast the process that it was opened to.
    case stream(Node.Message, SimulatedLink, life: Int?)
    case failure(to: Int, of: Int, life: Int, isRefused: Bool)
    case breakage(to: Int, of: Int, life: Int)
    case fault(SimulatedFault)
  }

  private enum Power: Hashable {
    case running, paused, processGone, powerless
  }

  private struct Host {
    var power = Power.processGone
    var clock: SimulatedClock
    /// How many processes have run here.
    var life = 0
    var waiting: [SimulatedInput<Node.Message>] = []
    /// The wake that counts, and when it is, in world time.
    var ticket: UInt64 = 0
    var wakeAt: UInt64?
    /// Hosts with which a stream was used.
    var streams: Set<Int> = []
  }

  /// Microseconds since the world began.
  public private(set) var now: UInt64 = 0
  public var network = SimulatedNetwork()
  /// The processes; nil where none runs.
  public private(set) var nodes: [Node?]
  /// A hash of every event so far: equal worlds have equal traces.
  public private(set) var trace: UInt64 = 0
  /// Events handled.
  public private(set) var events = 0
  public private(set) var datagramsSent = 0
  public private(set) var random: SimulationRandom
  private var hosts: [Host]
  private var queue = EventQueue<Event>()
  private let make: (_ birth: SimulatedBirth, _ random: inout SimulationRandom) -> Node

  /// `make` gives the process of a host whenever one starts there.
  /// Clocks begin anywhere within an hour and drift by up to `drift` parts per million.
  public init(
    seed: UInt64, hosts: Int, drift: Int64 = 200,
    make: @escaping (_ birth: SimulatedBirth, _ random: inout SimulationRandom) -> Node
  ) {
    random = SimulationRandom(seed: seed)
    nodes = Array(repeating: nil, count: hosts)
    self.hosts = []
    for _ in 0..<hosts {
      let start = random.below(3_600_000_000 as UInt64), rate = Int64(random.below(UInt64(2 * drift + 1))) - drift
      self.hosts.append(Host(clock: SimulatedClock(start: start, drift: rate)))
    }
    self.make = make
  }

  /// The processes that run, paused ones too.
  public var running: [Int] { nodes.indices.filter { nodes[$0] != nil } }

  public func isPaused(_ host: Int) -> Bool { hosts[host].power == .paused }

  public func localTime(of host: Int) -> UInt64 { hosts[host].clock.local(now) }

  // MARK: What is done to it

  /// Starts a process on a host, now.
  public mutating func start(_ host: Int) {
    guard nodes[host] == nil else { return }
    nodes[host] = make(SimulatedBirth(host: host, life: hosts[host].life, now: localTime(of: host)), &random)
    hosts[host].life += 1
    hosts[host].power = .running
    handle(.start, at: host)
  }

  public mutating func startAll() {
    for host in nodes.indices { start(host) }
  }

  /// The operator's hand on a running node: `body` gets it and its local time, and says what it sends.
  public mutating func act(on host: Int, _ body: (inout Node, UInt64) -> [SimulatedEffect<Node.Message>]) {
    guard nodes[host] != nil else { return }
    let effects = body(&nodes[host]!, hosts[host].clock.local(now))
    carryOut(effects, from: host)
  }

  public mutating func add(_ fault: SimulatedFault, after microseconds: UInt64 = 0) {
    queue.add(.fault(fault), at: now + microseconds)
  }

  /// Times of the schedule that are past happen now.
  public mutating func add(_ schedule: FaultSchedule) {
    for (time, fault) in schedule.faults { queue.add(.fault(fault), at: max(now, time)) }
  }

  // MARK: Its time

  /// Handles one event and returns the host at which it happened (-1: at none); nil if nothing happens until then, and
  /// time has come to `end`.
  public mutating func step(until end: UInt64) -> Int? {
    guard let next = queue.nextAt, next <= end, let (time, event) = queue.take() else {
      now = max(now, end)
      return nil
    }
    now = max(now, time)
    events += 1
    switch event {
    case .wake(let host, let ticket):
      note(1, host)
      guard hosts[host].ticket == ticket else { return -1 }
      hosts[host].wakeAt = nil
      return handle(.wake, at: host)
    case .datagram(let message, let link):
      note(2, link.to)
      return handle(.datagram(message, from: link.from), at: link.to)
    case .stream(let message, let link, let life):
      note(3, link.to)
      return arrive(message, link, life: life)
    case .failure(let host, let other, let life, let isRefused):
      note(4, host)
      return hosts[host].life == life ? handle(.streamFailed(to: other, isRefused: isRefused), at: host) : -1
    case .breakage(let host, let other, let life):
      note(5, host)
      return hosts[host].life == life ? handle(.streamBroken(with: other), at: host) : -1
    case .fault(let fault):
      note(6, 0)
      apply(fault)
      return -1
    }
  }

  /// Everything until then, without looking.
  public mutating func run(until end: UInt64) {
    while step(until: end) != nil {}
  }

  private mutating func note(_ kind: UInt64, _ host: Int) {
    var hash = SimulationRandom(seed: trace ^ (now << 12) ^ (UInt64(host) << 4) ^ kind)
    trace = hash.next()
  }

  // MARK: Inside

  @discardableResult
  private mutating func handle(_ input: SimulatedInput<Node.Message>, at host: Int) -> Int {
    switch hosts[host].power {
    case .running:
      guard nodes[host] != nil else { return -1 }
      let effects = nodes[host]!.step(input, now: hosts[host].clock.local(now))
      carryOut(effects, from: host)
      return host
    case .paused:
      hosts[host].waiting.append(input)
      return -1
    case .processGone, .powerless: return -1
    }
  }

  private mutating func carryOut(_ effects: [SimulatedEffect<Node.Message>], from: Int) {
    for effect in effects {
      switch effect {
      case .datagram(let message, let to):
        datagramsSent += 1
        guard hosts.indices.contains(to) else { continue }
        for delay in network.datagramDelays(from: from, to: to, &random) {
          queue.add(.datagram(message, SimulatedLink(from: from, to: to)), at: now + delay)
        }
      case .stream(let message, let to):
        guard hosts.indices.contains(to) else {
          queue.add(.failure(to: from, of: to, life: hosts[from].life, isRefused: false), at: now)
          continue
        }
        if let arrival = network.streamArrival(from: from, to: to, now: now, &random) {
          let life = hosts[from].streams.contains(to) ? hosts[to].life : nil
          queue.add(.stream(message, SimulatedLink(from: from, to: to), life: life), at: arrival)
        } else {
          fail(from: from, to: to, isRefused: false)
        }
      }
    }
    setWake(from)
  }

  private mutating func setWake(_ host: Int) {
    let wakeAt = nodes[host]?.wakeAt.map { max(now, hosts[host].clock.world($0)) }
    guard wakeAt != hosts[host].wakeAt else { return }
    hosts[host].ticket += 1
    hosts[host].wakeAt = wakeAt
    if let wakeAt { queue.add(.wake(host, ticket: hosts[host].ticket), at: wakeAt) }
  }

  private mutating func arrive(_ message: Node.Message, _ link: SimulatedLink, life: Int?) -> Int {
    switch hosts[link.to].power {
    case .running where life != nil && life != hosts[link.to].life,
      .paused where life != nil && life != hosts[link.to].life:
      fail(from: link.from, to: link.to, isRefused: true)
    case .running, .paused:
      hosts[link.to].streams.insert(link.from)
      hosts[link.from].streams.insert(link.to)
      return handle(.stream(message, from: link.from), at: link.to)
    case .processGone: fail(from: link.from, to: link.to, isRefused: true)
    case .powerless: fail(from: link.from, to: link.to, isRefused: false)
    }
    return -1
  }

  /// The refusal travels back; silence is noticed after the timeout.
  private mutating func fail(from: Int, to: Int, isRefused: Bool) {
    let delay = isRefused ? random.within(network.delay) : network.streamTimeout
    let answered = isRefused && !network.isCut(to, from)
    queue.add(
      .failure(to: from, of: to, life: hosts[from].life, isRefused: answered),
      at: now + (answered ? delay : network.streamTimeout))
  }

  private mutating func apply(_ fault: SimulatedFault) {
    switch fault {
    case .cut(let link): network.cut(link)
    case .mend(let link): network.mend(link)
    case .partition(let group): for link in links(around: group) { network.cut(link) }
    case .heal(let group): for link in links(around: group) { network.mend(link) }
    case .kill(let host): end(host, .processGone)
    case .powerOff(let host): end(host, .powerless)
    case .restart(let host): start(host)
    case .pause(let host): if hosts[host].power == .running { hosts[host].power = .paused }
    case .resume(let host): resume(host)
    case .loss(let share): network.loss = share
    case .peace:
      network.mendAll()
      network.loss = 0
      network.duplication = 0
      network.reordering = 0
      for host in hosts.indices {
        resume(host)
        start(host)
      }
    }
  }

  private func links(around group: [Int]) -> [SimulatedLink] {
    let inside = Set(group)
    var links: [SimulatedLink] = []
    for host in group {
      for other in hosts.indices where !inside.contains(other) {
        links.append(SimulatedLink(from: host, to: other))
        links.append(SimulatedLink(from: other, to: host))
      }
    }
    return links
  }

  private mutating func end(_ host: Int, _ power: Power) {
    guard nodes[host] != nil else { return }
    nodes[host] = nil
    hosts[host].power = power
    hosts[host].waiting = []
    hosts[host].ticket += 1
    hosts[host].wakeAt = nil
    for other in hosts.indices where hosts[host].streams.contains(other) {
      hosts[other].streams.remove(host)
      let delay = random.within(network.delay)
      if power == .processGone, nodes[other] != nil, !network.isCut(host, other) {
        queue.add(.breakage(to: other, of: host, life: hosts[other].life), at: now + delay)
      }
    }
    hosts[host].streams = []
  }

  private mutating func resume(_ host: Int) {
    guard hosts[host].power == .paused else { return }
    hosts[host].power = .running
    let waiting = hosts[host].waiting
    hosts[host].waiting = []
    for input in waiting { handle(input, at: host) }
  }
}
