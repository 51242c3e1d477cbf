import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// The Redis door of one event loop: parses what arrives, finds the command, runs it, writes the reply.
///
/// Belongs to its loop's thread; other threads reach it through `post`.
public final class Engine: StreamDoor, @unchecked Sendable {
  public let door: RedisDoor
  public let store: Store
  /// The loop lets go of its doors when it has stopped, which ends this circle.
  public let loop: any EventLoop
  public let worker: Worker
  /// Invariant: this loop's element of `node.statistics`; the node outlives its loops.
  let statistics: UnsafeMutablePointer<LoopStatistics>
  let counters: CommandCounters
  let settings: Settings
  let databases: Databases

  /// True while EXEC runs: the stripes of its keys are held.
  @exclusivity(unchecked) var isExecuting = false
  /// The requests of a batch. Invariant: room for `batchLimit`; nothing of it outlives a batch.
  let requests: UnsafeMutablePointer<Request>
  static let batchLimit = 64
  /// What `foresee` has asked for. Invariant: room for `foreseenMost`, the first `foreseenCount` initialised.
  private let foreseenKeys: UnsafeMutablePointer<Key>
  private var foreseenCount = 0
  private static let foreseenMost = 16
  @exclusivity(unchecked) var arena = ArgumentArena()
  @exclusivity(unchecked) var parser = RequestParser()
  let literals: LiteralCommands
  let routes: SlotRoutes
  let goodCopies: GoodCopies
  /// What of this loop runs elsewhere. Nil until something does.
  @exclusivity(unchecked) var madeForwarder: Forwarder?
  /// The keys of the request that runs now, in a cluster.
  @exclusivity(unchecked) var keyList = KeyList()
  /// Those of them that have to be fetched from elsewhere first.
  @exclusivity(unchecked) var missingKeys: [Key] = []
  /// True while a command runs under the locks of its keys: no room can be made then (`hasRoomWhileHolding`).
  @exclusivity(unchecked) var isHolding = false
  @exclusivity(unchecked) var roomGranted = 0
  @exclusivity(unchecked) var roomWanted = 0
  @exclusivity(unchecked) var roomNamespace: NamespaceNumber = 0
  let filler: Filler
  /// Nil in tests without loops of their own.
  let hot: HotKeeper?
  let interests: Interests
  /// Whether the command that runs now may be filled from origins, and wait for it.
  @exclusivity(unchecked) var filling = Filling.none
  /// What it waits for, where it has been put off.
  @exclusivity(unchecked) var awaited: (number: UInt64, milliseconds: Int) = (0, 0)
  /// Room for the arguments of a plain GET or SET.
  let literalArguments: UnsafeMutablePointer<Argument>
  let literalNames = (get: Argument("GET"), set: Argument("SET"))
  /// What other members have this loop execute.
  @exclusivity(unchecked) var peers = PeerSessions()
  @exclusivity(unchecked) var peerWatches = PeerWatches()
  let execIndex: Int
  /// Nil where writes have no copies.
  let replicator: (any Replicator)?

  /// Every session of this loop, by its client id.
  var sessions: [UInt64: Session] = [:]
  /// Sessions held back by CLIENT PAUSE.
  var paused: [UInt64] = []
  var monitors: [Session] = []
  /// Who on this loop listens to what.
  var subscribers = Subscribers()
  /// Those that track.
  var trackers: [UInt64: Session] = [:]
  /// Who on this loop wants to hear of all keys with which prefix, and what there is to tell at the end of the turn.
  var broadcasts = Broadcasts()
  /// Messages are put together here.
  var messageBuffer = OutputBuffer(capacity: 4096)

  init(door: RedisDoor, loop: any EventLoop) {
    self.door = door
    self.store = door.node.store
    self.loop = loop
    self.worker = Node.worker(ofLoop: loop.index)
    statistics = door.node.statistics + loop.index
    counters = door.diagnostics.counters(ofLoop: loop.index)
    settings = door.node.settings
    databases = door.databases
    requests = .allocate(capacity: Self.batchLimit)
    foreseenKeys = .allocate(capacity: Self.foreseenMost)
    literals = LiteralCommands(door.commands)
    execIndex = LiteralCommands.index(of: "exec", door.commands)
    routes = door.node.routes
    goodCopies = door.node.goodCopies
    filler = door.node.filler
    interests = door.node.interests
    hot = door.node.hotKeepers.isEmpty ? nil : door.node.hotKeepers[loop.index]
    replicator = door.node.replicators.isEmpty ? nil : door.node.replicators[loop.index]
    literalArguments = .allocate(capacity: 3)
    literalArguments.initialize(repeating: literalNames.get, count: 3)
  }

  deinit {
    requests.deallocate()
    literalArguments.deallocate()
    keyList.deallocate()
    peers.deallocate()
    foreseenKeys.deallocate()
    arena.deallocate()
    parser.deallocate()
    messageBuffer.deallocate()
  }

  public var node: Node { door.node }

  func post(_ work: @escaping @Sendable () -> Void) { loop.post(work) }

  func noteError(_ text: String) {
    statistics.pointee.errorReplies.add()
    door.diagnostics.noteError(text, loop: loop.index)
  }

  // MARK: StreamDoor

  public func open(
    _ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer
  ) -> UnsafeMutableRawPointer? { open(id, peer, redirects: false) }

  func open(_ id: ConnectionID, _ peer: PeerAddress, redirects: Bool) -> UnsafeMutableRawPointer {
    let session = Session(
      id: door.nextClientID(), connection: id, peer: peer, now: loop.now, redirects: redirects)
    session.set(.unauthenticated, !node.settings.password.isEmpty)
    sessions[session.id] = session
    return Unmanaged.passRetained(session).toOpaque()
  }

  public func refuse(_ farewell: inout OutputBuffer) {
    noteError("ERR")
    farewell.writeError("ERR max number of clients reached")
  }

  public func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) {
    let session = Unmanaged<Session>.fromOpaque(session).takeRetainedValue()
    forget(session)
    abandonReplies(of: session)
    sessions[session.id] = nil
  }

  /// A plain GET or SET at the head of a small input: its bucket is asked for at once, its entry when all buckets
  /// are on their way.
  public func foresee(_ session: UnsafeMutableRawPointer, _ input: UnsafeRawBufferPointer) {
    guard foreseenCount < Self.foreseenMost, var start = input.baseAddress else { return }
    let end = start + input.count
    var key = Argument(base: start, count: 0)
    var value = key
    guard LiteralRequest.parse(&start, end, input.count, &key, &value) != .other else { return }
    let session = Unmanaged<Session>.fromOpaque(session)
    let hashed = session._withUnsafeGuaranteedRef { store.key(key.bytes, in: $0.namespace) }
    foreseenKeys[foreseenCount] = hashed
    foreseenCount &+= 1
    store.prefetchBucket(hashed)
  }

  public func foreseen() {
    for index in 0..<foreseenCount { store.prefetchEntry(foreseenKeys[index]) }
    foreseenCount = 0
  }

  public func turnEnded(now: UnixMilliseconds) -> Bool {
    door.diagnostics.turnEnded(now: now)
    if interests.hasNews(loop: loop.index) || !broadcasts.isEmpty || interests.isOverfull { tellChanges() }
    return false
  }

  /// Lets go of everything that others hold about the session: watches, subscriptions, MONITOR, tracking.
  func forget(_ session: Session) {
    stopMonitoring(session)
    guard let extras = session.extras else { return }
    stopTracking(session)
    unwatch(session)
    extras.transaction = nil
    if extras.subscriptionCount > 0 { unsubscribeFromEverything(session) }
  }
}

extension Argument {
  init(_ text: StaticString) { self.init(base: text.utf8Start, count: text.utf8CodeUnitCount) }
}

/// Where GET and SET stand in the table, so that the shortest way counts them too. -1: not there.
struct LiteralCommands {
  let get: Int
  let set: Int
  let mget: Int

  init(_ table: CommandTable) {
    get = Self.index(of: "get", table)
    mget = Self.index(of: "mget", table)
    set = Self.index(of: "set", table)
  }

  static func index(of name: StaticString, _ table: CommandTable) -> Int {
    table.index(of: UnsafeRawBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount)) ?? -1
  }
}
