import NexusModel
import NexusService
import NexusStore
import NexusTestSupport
import NexusWire

@testable import NexusCluster
@testable import NexusRedisDoor

/// Members of one process: real stores, Redis engines, routers and replicators on loops and a network that the test
/// drives. Who has which slot the test says; nobody claims, repairs or gossips.
///
/// Slot s is executed by member s modulo the count; the members behind it have its copies.
final class SmallCluster {
  let network = FakeNetwork()
  private(set) var members: [Member] = []
  let copies: Int

  final class Member {
    let index: Int
    let node: Node
    let loop: HandDrivenLoop
    let door: RedisDoor
    let engine: Engine
    let peer: PeerLoop
    let replicas: Replicas
    let control: FakeControl
    var sets = CopySets()

    init(_ index: Int, _ count: Int, _ copies: Int, _ network: FakeNetwork) {
      self.index = index
      loop = HandDrivenLoop()
      var configuration = StoreConfiguration()
      configuration.stampMark = UInt64(index)
      node = Node(
        store: try! Store(configuration), loopCount: 1, log: SilentLog(), startedAt: 1_000_000,
        runID: String(repeating: "0", count: 40))
      node.attach([loop])
      node.routes.becomeClustered()
      node.cluster = SmallFace(index, count)
      control = FakeControl()
      let identity = PeerIdentity(
        id: SmallCluster.id(index), clusterName: "small", productVersion: "1", placementSettings: "alike",
        key: ClusterKey(clusterName: "small", secret: "s"))
      let streams = network.streams(of: SmallCluster.port(index))
      peer = PeerLoop(
        node: node, loop: loop, streams: streams, identity: identity, control: control, myself: 0)
      let peer = peer
      streams.serve(PeerIdentity.path) { head in .taken(by: PeerCallee(owner: peer, peer: head.peer)) }
      replicas = Replicas(configuredCopies: copies)
      replicas.attach([peer], control, node.store)
      node.routers = [peer]
      node.replicators = [replicas.ofLoops[0]]
      for number in 0..<NamespaceNumber(16) {
        var settings = node.store.settings(of: number)!
        settings.isStamped = true
        node.store.configure(number, settings, as: 9)
      }
      door = RedisDoor(node: node)
      engine = door.makeEngine(loop)
      for kind in [Operation.Kind.command, .transaction, .watch, .unwatch, .flush] {
        peer.setExecutor(engine, for: kind)
      }
      peer.setExecutor(node.hotKeepers[0], for: .hotCopy)
    }

    var replicator: LoopReplicator { replicas.ofLoops[0] }

    /// This member's number for another.
    func number(_ other: Int) -> MemberNumber {
      MemberNumber(other == index ? 0 : other < index ? other + 1 : other)
    }

    func letGo() {
      replicas.letGo(node.store)
      peer.letGo()
      loop.letGo()
      node.detach()
    }
  }

  static func port(_ index: Int) -> UInt16 { 7000 + UInt16(index) }
  static func id(_ index: Int) -> MemberID { MemberID("m\(index)")! }

  /// Members `live` (all where it is nil) are seen alive.
  init(_ count: Int, copies: Int) {
    self.copies = copies
    members = (0..<count).map { Member($0, count, copies, network) }
    publish()
    settle()
  }

  deinit {
    // Streams first: what their end leaves in a loop goes with the loop.
    network.letGo()
    for member in members { member.letGo() }
  }

  /// Tells everyone the placement, and who is dead.
  func publish(dead: Set<Int> = []) {
    let count = members.count
    for member in members {
      var places: [MemberNumber] = []
      for slot in 0..<Slot.count {
        let inOrder = (0..<count).map { (slot + $0) % count }
        places += inOrder.prefix(copies).map(member.number)
        let executor = inOrder.first { !dead.contains($0) } ?? 0
        member.node.routes.set(
          Slot(index: UInt16(slot)), executor == member.index ? .here : .member(member.number(executor)))
      }
      let live = Set((0..<count).filter { !dead.contains($0) }.map(member.number))
      let map = member.sets.map(places, copies: copies, myself: 0, live: live, configuredCopies: copies)
      var entries = [PeerDirectory.Entry?](repeating: nil, count: count)
      for other in 0..<count {
        entries[Int(member.number(other))] = PeerDirectory.Entry(
          id: Self.id(other), address: NetworkAddress(host: "127.0.0.1", port: Self.port(other)),
          isLive: !dead.contains(other))
      }
      member.peer.update(PeerDirectory(entries: entries, version: PlacementVersion(digest: 1)), map)
    }
  }

  // MARK: Running

  /// One turn of each loop; false if nothing happened.
  func turn() -> Bool {
    var isBusy = network.step()
    for member in members where !network.stopped.contains(Self.port(member.index)) {
      if member.loop.run() { isBusy = true }
      if member.peer.turnEnding() { isBusy = true }
      _ = member.engine.turnEnded(now: member.loop.now)
    }
    return isBusy || network.isBusy
  }

  func settle() { while turn() {} }

  /// Time passes for all, ten milliseconds at a time, and what is due happens.
  func advance(milliseconds: Int) {
    for _ in 0..<(milliseconds / 10) {
      for member in members { member.loop.advance(milliseconds: 10) }
      settle()
    }
  }

  func connect(_ index: Int) -> SmallClient { SmallClient(self, members[index]) }

  /// A key of this name and a number that this member executes.
  func key(of index: Int, _ name: String = "k") -> String {
    (0...).lazy.map { "\(name)\($0)" }.first { Self.slot(of: $0) % self.members.count == index }!
  }
  static func slot(of key: String) -> Int { Int(Array(key.utf8).withUnsafeBytes { Slot(of: $0) }.index) }

  /// What each member's store has of the key: a value, `deleted`, or `-`.
  func stored(_ key: String, _ namespace: NamespaceNumber = 0) -> [String] {
    members.map { member in
      let store = member.node.store
      return Array(key.utf8).withUnsafeBytes { bytes in
        let key = store.key(bytes, in: namespace)
        return store.withSlot(key.slot, as: 8) {
          guard let version = store.version(of: key) else { return "-" }
          return version.kind == .tombstone ? "deleted" : String(decoding: version.value, as: UTF8.self)
        }
      }
    }
  }

  /// What has expired is removed everywhere: until then it may lie around, on one member and not on another.
  func expireDue(_ keys: [String]) {
    for member in members {
      for key in keys { member.node.store.expireDue(UInt16(Self.slot(of: key)), now: member.loop.now, as: 8) }
    }
  }

  func digests(of key: String) -> [UInt64] {
    members.map { $0.node.store.digest(of: UInt16(Self.slot(of: key)), as: 8) }
  }

  func setAcknowledgement(_ level: Acknowledgement) {
    for member in members {
      var settings = member.node.store.settings(of: 0)!
      settings.acknowledgement = level
      member.node.store.configure(0, settings, as: 9)
    }
  }

  /// Every copy is found good.
  func trustCopies() {
    for member in members {
      let behind = (0..<Slot.count).filter { slot in
        let place = (member.index - slot % members.count + members.count) % members.count
        return 1..<copies ~= place
      }
      member.node.goodCopies.add(SlotSet(behind.map { Slot(index: UInt16($0)) }))
    }
  }
}

/// A client of one member's Redis door.
final class SmallClient {
  private let cluster: SmallCluster
  private let member: SmallCluster.Member
  private let connection: HandDrivenLoop.Connection

  init(_ cluster: SmallCluster, _ member: SmallCluster.Member) {
    self.cluster = cluster
    self.member = member
    connection = member.loop.connect(member.engine)
  }

  /// Sends lines as they are typed, and answers what has come back of them in the same turn.
  @discardableResult func send(_ lines: String...) -> String {
    connection.push(Array(lines.map { $0 + "\r\n" }.joined().utf8))
    return take()
  }

  /// Sends lines, lets everything happen that can without time, and answers what has come back.
  @discardableResult func ask(_ lines: String...) -> String {
    connection.push(Array(lines.map { $0 + "\r\n" }.joined().utf8))
    cluster.settle()
    return take()
  }

  func take() -> String {
    defer { connection.received = [] }
    return String(decoding: connection.received, as: UTF8.self)
      .split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "|")
  }
}

/// A loop whose turns and clock are the test's.
final class HandDrivenLoop: EventLoop, @unchecked Sendable {
  final class Connection {
    let id: ConnectionID
    private unowned let loop: HandDrivenLoop
    private let engine: Engine
    private var session: UnsafeMutableRawPointer?
    private var input: [UInt8] = []
    var received: [UInt8] = []
    fileprivate var isSuspended = false

    init(_ loop: HandDrivenLoop, _ engine: Engine, _ id: ConnectionID) {
      (self.loop, self.engine, self.id) = (loop, engine, id)
      var farewell = OutputBuffer(capacity: 64)
      defer { farewell.deallocate() }
      session = engine.open(
        id, PeerAddress(remote: "127.0.0.1:5", local: "127.0.0.1:6379", descriptor: 9, isUnixSocket: false),
        farewell: &farewell)
    }

    func push(_ bytes: [UInt8]) {
      input += bytes
      offer()
    }

    fileprivate func offer() {
      while let session, !input.isEmpty, !isSuspended {
        var output = OutputBuffer(capacity: 64)
        defer { output.deallocate() }
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: input.count, alignment: 1)
        defer { bytes.deallocate() }
        bytes.copyBytes(from: input)
        let result = engine.receive(session, bytes, &output)
        received += Array(output.bytes)
        input.removeFirst(result.consumed)
        switch result.next {
        case .proceed: return
        case .yield: continue
        case .suspend: isSuspended = true
        case .closeAfterFlush: close()
        }
      }
    }

    fileprivate func close() {
      if let session { engine.closed(session, .shutdown) }
      session = nil
    }
  }

  let index = 0
  private(set) var now: UnixMilliseconds = 1_700_000_000_000
  private var milliseconds: UInt64 = 1000
  private var connections: [ConnectionID: Connection] = [:]
  private var mailbox: [@Sendable () -> Void] = []
  private var timers: [(at: UInt64, work: @Sendable () -> Void)] = []
  /// This clock is wrong by so much.
  var skewMilliseconds: Int64 = 0 { didSet { now += skewMilliseconds - oldValue } }

  var monotonicNanoseconds: UInt64 { milliseconds * 1_000_000 }

  func connect(_ engine: Engine) -> Connection {
    let id = ConnectionID(slot: UInt32(connections.count), generation: 1)
    let connection = Connection(self, engine, id)
    connections[id] = connection
    return connection
  }

  func run() -> Bool {
    let work = mailbox
    mailbox = []
    for item in work { item() }
    return !work.isEmpty
  }

  func advance(milliseconds count: Int) {
    milliseconds += UInt64(count)
    now += Int64(count)
    let due = timers.filter { $0.at <= milliseconds }
    timers.removeAll { $0.at <= milliseconds }
    for timer in due { timer.work() }
  }

  func letGo() {
    for connection in connections.values { connection.close() }
    connections = [:]
    mailbox = []
    timers = []
  }

  func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool {
    connections[id]?.received += Array(bytes)
    return connections[id] != nil
  }
  func close(_ id: ConnectionID, afterFlush: Bool) { connections[id]?.close() }
  func resume(_ id: ConnectionID) {
    connections[id]?.isSuspended = false
    post { [self] in connections[id]?.offer() }
  }
  func pendingOutputBytes(_ id: ConnectionID) -> Int { 0 }
  func pendingInputBytes(_ id: ConnectionID) -> Int { 0 }
  func after(milliseconds count: Int, _ work: @escaping @Sendable () -> Void) {
    timers.append((milliseconds + UInt64(count), work))
  }
  func post(_ work: @escaping @Sendable () -> Void) { mailbox.append(work) }
}

/// What loops tell the control loop, written down.
final class FakeControl: PeerControl, Arrears, @unchecked Sendable {
  private(set) var marked: [MemberNumber: SlotSet] = [:]
  private(set) var hinted: [MemberNumber: [String]] = [:]
  private(set) var numbers: [MemberNumber: UInt64] = [:]
  /// News of slots that came from another member than the one that executes them, by that member.
  private(set) var merged: [MemberNumber: SlotSet] = [:]
  private(set) var evicted: [MemberNumber: [String]] = [:]

  func lostConnection(to member: MemberNumber) {}
  func sawOtherPlacement(of member: MemberID, _ version: PlacementVersion) {}
  func received(_ kind: FrameKind, _ bytes: [UInt8], from member: MemberID, _ answer: PeerAnswer?) {}
  func settle(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable () -> Void) {}
  func refused(_ address: String, _ reason: String) {}
  /// Of quorum reads: the keys, and who answers for the others of the slot.
  private(set) var questions: [(keys: [String], done: @Sendable (String?) -> Void)] = []
  func askQuorum(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable (String?) -> Void) {
    questions.append((keys.map { String(decoding: $0.key, as: UTF8.self) }, done))
  }
  func takeQuestions() -> [(keys: [String], done: @Sendable (String?) -> Void)] {
    defer { questions = [] }
    return questions
  }

  func mark(_ slots: SlotSet, for member: MemberNumber, loop: Int, number: UInt64) {
    marked[member, default: SlotSet()].formUnion(slots)
    numbers[member] = number
  }

  func hint(_ keys: HintedKeys, for member: MemberNumber, loop: Int, number: UInt64) {
    var start = 0
    for key in keys.keys {
      let name = String(decoding: keys.bytes[start..<key.end], as: UTF8.self)
      hinted[member, default: []].append(name)
      if key.isEvicted { evicted[member, default: []].append(name) }
      start = key.end
    }
    numbers[member] = number
  }

  func merged(_ slots: SlotSet, from member: MemberNumber) { merged[member, default: SlotSet()].formUnion(slots) }
}

final class SmallFace: ClusterFace, @unchecked Sendable {
  let myself: MemberID
  let picture: ClusterPicture

  init(_ index: Int, _ count: Int) {
    myself = SmallCluster.id(index)
    var picture = ClusterPicture()
    picture.members = (0..<count).map { other in
      let member = Member(
        id: SmallCluster.id(other), host: "127.0.0.1", peerPort: SmallCluster.port(other), redisPort: 6379)
      return .init(
        number: MemberNumber(other == index ? 0 : other < index ? other + 1 : other),
        record: MemberRecord(member: member, incarnation: 1, status: .alive), slotCount: Slot.count / count)
    }
    self.picture = picture
  }

  func join(_ addresses: [String]) throws(ClusterRefusal) {}
  func leave() {}
}
