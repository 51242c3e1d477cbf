import NexusModel
import NexusStore

/// One node: the store and everything that its doors share. Created once, before the loops start.
public final class Node: @unchecked Sendable {
  public let store: Store
  public let log: any Log
  public let settings: Settings
  /// One per loop, each on cache lines of its own. Invariant: element i is written by loop i only.
  public let statistics: UnsafeMutablePointer<LoopStatistics>
  public let loopCount: Int
  public let startedAt: UnixMilliseconds
  /// 40 hexadecimal digits, new at every start.
  public let runID: String
  /// Invariant: set once before any loop runs.
  public var processFigures: any ProcessFigures = NoProcessFigures()
  /// Asks whoever runs this node to stop it gracefully (SHUTDOWN); returns at once. Invariant: set once before any
  /// loop runs.
  public var requestStop: @Sendable () -> Void = {}
  /// Which slots run here and which elsewhere.
  public let routes = SlotRoutes()
  public let incoming = IncomingSlots()
  /// Which slots of others reads may come from here.
  public let goodCopies = GoodCopies()
  /// The cluster that this node belongs to; nil for a node by itself. Invariant: set once before any loop runs.
  public var cluster: (any ClusterFace)?
  /// One per loop, in order; empty for a node by itself. Invariant: set once before any loop runs; each is used on its
  /// loop's thread only.
  public var routers: [any OperationRouter] = []
  /// Fills misses; one for all loops, and each loop's own part in order of the loops. Invariant: set once before any
  /// loop runs.
  public let filler: Filler
  /// Who is to hear of changes of which keys.
  public let interests: Interests
  /// What whoever listens is told of.
  public let events: EventBus
  /// Which copies of hot keys are still good, and each loop's part in hot keys, in order of the loops. Invariant: as
  /// `fillers`.
  public let hotMarks: HotMarks
  public var hotKeepers: [HotKeeper] = []
  /// Some namespace has an origin, or may be given one: requests may have to wait. Invariant: set once before any loop
  /// runs.
  public var mayFill = false
  public var fillers: [LoopFiller] = []
  /// One per loop, in order; empty where writes have no copies. Invariant: as `routers`.
  public var replicators: [any Replicator] = []
  /// The loops, in order. Invariant: set once before any loop runs.
  public internal(set) var loops: [any EventLoop] = []

  public init(
    store: Store, loopCount: Int, log: any Log, startedAt: UnixMilliseconds, runID: String,
    settings: Settings = Settings()
  ) {
    self.store = store
    self.settings = settings
    self.loopCount = loopCount
    self.log = log
    self.startedAt = startedAt
    self.runID = runID
    filler = Filler(store)
    events = EventBus(runID: runID, gauge: store.configuration.outside)
    hotMarks = HotMarks(routes)
    interests = Interests(store, settings, loopCount: loopCount)
    statistics = .allocate(capacity: loopCount)
    for index in 0..<loopCount { (statistics + index).initialize(to: LoopStatistics()) }
  }

  deinit {
    statistics.deinitialize(count: loopCount)
    statistics.deallocate()
  }

  public func attach(_ loops: [any EventLoop]) {
    self.loops = loops
    interests.attach(loops)
    var seeds = SplitMix64(seed: UInt64(bitPattern: startedAt))
    fillers = loops.map { LoopFiller(filler, self, $0, seed: seeds.next()) }
    hotKeepers = loops.map { HotKeeper(self, $0, seed: seeds.next()) }
  }

  /// When all loops have ended: what was attached holds this node, and is let go.
  public func detach() {
    loops = []
    interests.attach([])
    fillers = []
    hotKeepers = []
    routers = []
    replicators = []
    cluster = nil
  }

  /// The live members beside this node.
  public var otherMembers: [MemberNumber] {
    guard let cluster else { return [] }
    return cluster.picture.members.filter { $0.record.status.isLive && $0.record.member.id != cluster.myself }
      .map(\.number)
  }

  /// The store's name for whoever runs on this loop.
  public static func worker(ofLoop index: Int) -> Worker { Worker(index + 1) }
}
