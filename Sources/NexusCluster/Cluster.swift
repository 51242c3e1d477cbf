import NexusGossip
import NexusModel
import NexusRing
import NexusService
import NexusStore
import NexusWire

/// This node's part in its cluster: finds the others, follows who is there, and keeps its slots.
///
/// Everything but `picture`, `join`, `leave` and what `PeerControl` names belongs to the control loop's thread, where
/// gossip and ownership go on however busy the other loops are.
public final class Cluster: ClusterFace, TurnTask, @unchecked Sendable {
  public let configuration: ClusterConfiguration
  let node: Node
  let log: any Log
  /// The control loop.
  let loop: any EventLoop
  let streams: any MessageStreams
  let identity: PeerIdentity
  /// One per loop of the node, then the control's own.
  private(set) var peers: [PeerLoop] = []
  private let board = LinkBoard()
  var controlPeers: PeerLoop { peers[peers.count - 1] }

  var gossip: Gossip
  private let seal: DatagramSeal
  private var socket: DatagramSocket!
  var roster = Roster()
  private(set) var placement: Placement?
  private(set) var slots: SlotKeeper!
  /// Of each loop, as `peers`; none where writes have no copies.
  let copies: Replicas?
  /// Where writes have copies.
  private(set) var replicaKeeper: ReplicaKeeper?
  private var hasJoined = false
  private var startedAt: UInt64 = 0
  private var joinComplaintAt: UInt64 = .max
  private static let alonenessMilliseconds: UInt64 = 600
  private var departed: (() -> Void)?
  private var haveRoutesChanged = false
  /// Something that `picture` shows may have changed.
  var isPictureOld = true
  private var publishedAt: UInt64 = 0
  private var refusals: [DatagramRefusal: UInt64] = [:]
  var complaints = Complaints()
  var announcer = Announcer()
  private let shared: Guarded<ClusterPicture>

  /// Opens the UDP socket; nothing is sent before `begin`.
  ///
  /// - Parameters:
  ///   - loops: the node's loops with their streams, in order.
  ///   - control: a loop without clients, with streams of its own.
  ///   - watch: has the control loop drive a descriptor.
  public init(
    _ configuration: ClusterConfiguration, node: Node, loops: [(loop: any EventLoop, streams: any MessageStreams)],
    control: (loop: any EventLoop, streams: any MessageStreams), watch: (any WatchedDescriptor) -> Void
  ) throws(ClusterRefusal) {
    self.configuration = configuration
    self.node = node
    var nothingYet = ClusterPicture()
    nothingYet.isReady = false
    shared = Guarded(nothingYet)
    log = node.log
    loop = control.loop
    streams = control.streams
    let key = ClusterKey(
      clusterName: "\(configuration.clusterName)\n\(configuration.placementSettings)", secret: configuration.secret)
    identity = PeerIdentity(
      id: configuration.member.id, clusterName: configuration.clusterName,
      productVersion: configuration.member.version, placementSettings: configuration.placementSettings, key: key,
      startedAt: configuration.member.startedAt)
    seal = DatagramSeal(key)
    var member = configuration.member
    member.isJoining = configuration.expectsOthers
    gossip = Gossip(
      member: member, seed: UInt64.random(in: 0 ... .max),
      now: control.loop.monotonicNanoseconds / 1_000_000)
    _ = roster.number(of: configuration.member.id)
    copies = configuration.ring.copies > 1 ? Replicas(configuredCopies: configuration.ring.copies) : nil
    peers = (loops + [control]).map { loop, streams in
      let peer = PeerLoop(node: node, loop: loop, streams: streams, identity: identity, control: self, myself: 0)
      peer.board = board
      streams.serve(PeerIdentity.path) { [unowned peer] head in .taken(by: PeerCallee(owner: peer, peer: head.peer)) }
      loop.atTurnEnd(peer)
      return peer
    }
    copies?.attach(peers, self, node.store)
    slots = SlotKeeper(cluster: self, node: node, worker: Node.worker(ofLoop: control.loop.index))
    if copies != nil {
      replicaKeeper = ReplicaKeeper(cluster: self, node: node, worker: Node.worker(ofLoop: control.loop.index))
    }
    socket = try DatagramSocket(
      host: configuration.bindHost, port: configuration.member.peerPort,
      received: { [unowned self] in onDatagram($0, from: $1) },
      refused: { [unowned self] in step(.streamBroken($0)) },
      timeout: { [unowned self] in milliseconds(until: nextDeadline) },
      due: { [unowned self] in onDue() })
    watch(socket)
    loop.atTurnEnd(self)
  }

  /// The router of each of the node's loops, in order.
  public var routers: [any OperationRouter] { Array(peers.dropLast()) }

  /// Before the loops run: operations of this kind are executed on the loop of this index by this door.
  public func setExecutor(_ executor: any OperationExecutor, for kind: NexusService.Operation.Kind, loop index: Int) {
    peers[index].setExecutor(executor, for: kind)
  }

  var now: UInt64 { loop.monotonicNanoseconds / 1_000_000 }

  private var nextDeadline: UInt64 {
    min(min(gossip.nextDeadline ?? .max, slots.nextDeadline), replicaKeeper?.nextDeadline ?? .max)
  }

  private func milliseconds(until deadline: UInt64) -> Int { Int(min(deadline - min(deadline, now), 1000)) }

  /// What brings each of the node's loops' writes to other members, in order; empty where writes have no copies.
  public var replicators: [any Replicator] { copies.map { Array($0.ofLoops.dropLast()) } ?? [] }
  public var links: [PeerLinkReport] { board.reports }
  public var replication: ReplicationReport? { copies?.report(picture) }

  // MARK: Coming and going

  /// Once the loops run.
  public func begin() { loop.post { [self] in start() } }

  private func start() {
    joinComplaintAt = now + 5000
    log.info(
      "a member", ("node", identity.id.text), ("cluster", identity.clusterName),
      ("address", configuration.member.gossipAddress.description))
    startedAt = now
    hasJoined = !configuration.expectsOthers
    if !configuration.seeds.isEmpty {
      step(.join(configuration.seeds))
    }
    if let patience = configuration.beginsAloneAfterMilliseconds {
      loop.after(milliseconds: Int(patience)) { [weak self] in self?.beginAlone() }
    }
    refresh()
  }

  public var myself: MemberID { identity.id }
  public var picture: ClusterPicture { shared.withLock { $0 } }

  public func join(_ addresses: [String]) throws(ClusterRefusal) {
    var targets: [NetworkAddress] = []
    for text in addresses {
      guard let target = NetworkAddress(text) else {
        throw ClusterRefusal("'\(text)' is not the address of a peer port: write HOST:PORT, such as 10.0.0.1:7946")
      }
      if target == configuration.member.gossipAddress {
        throw ClusterRefusal("\(text) is this node itself: name the peer port of another member")
      }
      targets.append(target)
    }
    if targets.isEmpty { throw ClusterRefusal("no address to join: write HOST:PORT of a member's peer port") }
    found(targets)
  }

  /// Members may be at these addresses. From any thread.
  public func found(_ addresses: [NetworkAddress]) {
    loop.post { [self] in step(.join(addresses.filter { $0 != configuration.member.gossipAddress })) }
  }

  /// Nobody can be found, and what is configured says that this node may be the first.
  private func beginAlone() {
    guard !hasJoined else { return }
    log.info("no member of the cluster has answered: this node begins it")
    becomeMember()
  }

  private func becomeMember() {
    guard !hasJoined else { return }
    hasJoined = true
    var member = gossip.me.member
    member.isJoining = false
    step(.change(member))
    refresh()
  }

  /// Of nodes that all look for their cluster and find only one another, the first by name begins it.
  private func considerBeginning() {
    guard !hasJoined, now >= startedAt + Self.alonenessMilliseconds else { return }
    let others = gossip.records.filter { $0.status.isLive && $0.member.id != identity.id }
    if !others.isEmpty, others.allSatisfy({ $0.member.isJoining && $0.member.id > identity.id }) { beginAlone() }
  }

  public func leave() { leave(limitMilliseconds: 600_000) {} }

  /// Hands over what this node executes, says goodbye, then calls back on the control loop's thread.
  public func leave(limitMilliseconds: UInt64, _ done: @escaping @Sendable () -> Void) {
    loop.post { [self] in
      departed = done
      guard hasJoined, gossip.liveCount > 1 else { return step(.leave) }
      var member = gossip.me.member
      member.isLeaving = true
      log.info("leaving the cluster", ("slots", "\(slots.progress.executed)"))
      step(.change(member))
      slots.leave(limitMilliseconds: limitMilliseconds)
    }
  }

  /// Once every loop has ended, the control's too. Nothing is done here any more.
  public func letGo() {
    copies?.letGo(node.store)
    for peer in peers { peer.letGo() }
  }

  /// Nothing is left to hand over, or the time is over.
  func drained(_ unmoved: SlotSet) {
    if !unmoved.isEmpty {
      log.warning("left with slots that were not handed over in time", ("slots", "\(unmoved.count)"))
    }
    step(.leave)
  }

  // MARK: Gossip

  private func onDue() {
    considerBeginning()
    if let deadline = gossip.nextDeadline, now >= deadline { step(.tick) }
    slots.due(now)
    replicaKeeper?.due(now)
    if !hasJoined, now >= joinComplaintAt {
      joinComplaintAt = now + 5000
      log.warning(
        "no member has answered yet: this node serves nothing until one does",
        ("asked", configuration.seeds.map(\.description).joined(separator: " ")))
    }
  }

  func step(_ input: GossipInput) {
    let outputs = gossip.step(input, now: now)
    var hasChanged = false
    for output in outputs {
      switch output {
      case .send(let message, let address): send(message, to: address)
      case .synchronize(let address): synchronize(with: address)
      case .pingOverStream(let address, let sequence): ping(address, sequence)
      case .changed(let record, let old):
        hasChanged = true
        tell(record, old)
        announce(record)
      case .digestChanged: break
      case .conflict(let conflict): onConflict(conflict)
      case .misdirected(let record, let other):
        complain(
          "another member answers at the address that this one gives", record.member.id.text,
          ("address", record.member.gossipAddress.description), ("answers", other.text))
      case .departed:
        refresh()
        departed?()
        departed = nil
      }
    }
    if hasChanged { refresh() }
  }

  private func send(_ message: GossipMessage, to address: NetworkAddress) {
    let packet = message.packet(clusterName: identity.clusterName)
    var bytes = OutputBuffer(capacity: 2048)
    defer { bytes.deallocate() }
    packet.encode(to: &bytes)
    socket.send(seal.seal(Array(bytes.bytes), now: UInt64(loop.now)), to: address)
  }

  private func onDatagram(_ bytes: UnsafeRawBufferPointer, from address: NetworkAddress) {
    let text: [UInt8]
    switch seal.open(bytes, now: UInt64(loop.now)) {
    case .success(let opened): text = opened
    case .failure(let refusal): return drop(refusal, address)
    }
    guard let packet = text.withUnsafeBytes({ try? GossipPacket(decoding: $0) }),
      packet.clusterName == identity.clusterName, let message = GossipMessage(packet)
    else { return drop(.malformed, address) }
    heed(message.updates.lazy.map(\.record))
    step(.received(message, from: address))
  }

  /// Whoever is held for dead may have lost its slots to others.
  func heed(_ records: some Sequence<MemberRecord>) {
    let own = gossip.me
    for record in records where record.member.id == identity.id && !record.status.isLive {
      if record.incarnation >= own.incarnation, record.member.startedAt == own.member.startedAt { slots.away() }
    }
  }

  private func drop(_ refusal: DatagramRefusal, _ address: NetworkAddress) {
    refusals[refusal, default: 0] += 1
    isPictureOld = true
    if refusal == .replayed { return }
    complain(
      "a datagram was dropped", "\(refusal.rawValue) \(address.host)", ("reason", refusal.sentence),
      ("from", address.description))
  }

  private func tell(_ record: MemberRecord, _ old: MemberStatus?) {
    guard record.member.id != identity.id else { return }
    let fields = [
      ("member", record.member.id.text), ("address", record.member.gossipAddress.description),
      ("incarnation", "\(record.incarnation)"),
    ]
    switch (record.status, old) {
    case (.alive, .suspect?), (.suspect, _):
      log.write(.debug, record.status == .alive ? "a member has refuted the suspicion" : "a member is suspect", fields)
    case (.alive, .alive?): break
    case (.alive, _): log.write(.info, "a member has joined", fields)
    case (.dead, _): log.write(.warning, "a member has died", fields)
    case (.left, _): log.write(.info, "a member has left", fields)
    }
  }

  private func onConflict(_ conflict: GossipConflict) {
    let text =
      conflict.mustStop
      ? "another process is this member already: this one stops. Give each node a node-id of its own"
      : "a second process calls itself like this member; it was told to stop"
    log.error(text, ("node", identity.id.text), ("other", conflict.other.address.description))
    if conflict.mustStop { node.requestStop() }
  }

  // MARK: What follows from the membership

  /// Works out the placement anew and tells everyone who needs to know.
  private func refresh() {
    let records = gossip.records
    if !hasJoined,
      records.contains(where: { $0.status.isLive && !$0.member.isJoining && $0.member.id != identity.id })
    {
      return becomeMember()
    }
    for record in records { _ = roster.number(of: record.member.id) }
    if hasJoined { announce(gossip.me) }
    if Placement.version(of: records, settings: configuration.ring) != placement?.version {
      let previous = placement
      placement = Placement(of: records, settings: configuration.ring, previous: placement)
      if hasJoined { announceMoves(previous) }
    }
    guard let placement else { return }
    let directory = roster.directory(records, placement, isMember: hasJoined)
    let map = copies?.copyMap(placement, records, roster)
    for peer in peers { peer.loop.post { peer.update(directory, map) } }
    if hasJoined {
      let view = roster.view(records, placement)
      if let replicaKeeper { tellCopies(replicaKeeper, view, records, placement) }
      slots.view(view)
    }
    isPictureOld = true
  }

  /// Makes `picture` anew.
  private func publish() {
    guard let placement else { return }
    isPictureOld = false
    publishedAt = now
    var picture = ClusterPicture()
    picture.clusterName = identity.clusterName
    picture.version = placement.version
    picture.members = roster.seen(gossip.records, node.routes)
    (picture.places, picture.copies) = roster.places(placement)
    let progress = slots.progress
    picture.incomingCount = progress.incoming + progress.awaited
    picture.outgoingCount = progress.held + progress.misplaced
    picture.datagramsDropped = DatagramRefusal.allCases.map { ($0.rawValue, refusals[$0] ?? 0) }
    picture.rebalancedBytes = slots.bytesSent
    picture.entriesKeptOut = slots.keptOut.count
    picture.isReady =
      hasJoined && progress.incoming == 0 && progress.awaited == 0 && (replicaKeeper?.unsettledCount ?? 0) == 0
    shared.withLock { $0 = picture }
    if picture.isReady, picture.outgoingCount == 0 { announceSettled(progress.executed) }
  }

  /// The routes that the loops' parked operations may wait for have changed.
  func routesChanged() { haveRoutesChanged = true }

  public func turnEnding() -> Bool {
    slots.turnEnding()
    if haveRoutesChanged {
      haveRoutesChanged = false
      isPictureOld = true
      for peer in peers { peer.loop.post { peer.wake() } }
    }
    if isPictureOld, now >= publishedAt + 20 { publish() }
    return isPictureOld
  }

  // MARK: Complaints

  /// Says it once in a while for each subject, not for each datagram.
  func complain(_ text: String, _ subject: String, _ fields: (String, String)...) {
    guard let left = complaints.note(text + subject, now: now) else { return }
    log.write(.warning, text, [("member", subject)] + fields + (left > 0 ? [("times", "\(left + 1)")] : []))
  }
}
