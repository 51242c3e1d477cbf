import NexusModel
import NexusService
import NexusStore
import Synchronization

/// What the Redis doors of all loops share. Created once per node, before its loops run.
public final class RedisDoor: @unchecked Sendable {
  /// The Redis whose commands, replies and errors these are.
  public static let redisVersion = "7.0.15"

  public let node: Node
  public let commands: CommandTable
  /// What the dispatcher counts and INFO, SLOWLOG and LATENCY report.
  public let diagnostics: Diagnostics
  public let databases = Databases()
  public let watches: WatchRegistry
  let channels: ChannelRegistry
  /// One per loop, in order; the loops own them. Invariant: complete before any loop runs, and alive until all have
  /// ended.
  private var references: [Unmanaged<Engine>] = []

  /// Above 0 while anything anywhere keeps requests from the shortest way: a monitor, a pause.
  let obstacles = Atomic<Int>(0)
  /// Clients in MONITOR mode, over all loops.
  let monitorCount = Atomic<Int>(0)
  private let lastClientID = Atomic<UInt64>(0)
  private let pause = Guarded(Pause())
  private var listener = 0

  private struct Pause {
    var until: UnixMilliseconds = 0
    var writesOnly = false
    /// Whether `obstacles` counts it.
    var isCounted = false
  }

  public init(node: Node, commands: CommandTable = CommandTable()) {
    self.node = node
    self.commands = commands
    diagnostics = Diagnostics(node: node, commandCount: commands.count)
    watches = WatchRegistry(node.store, databases)
    channels = ChannelRegistry(loopCount: node.loopCount)
    // Not held weakly: that would make every count of references to this slow.
    listener = node.events.listen { [unowned self] in tell($0) }
  }

  deinit { node.events.forget(listener) }

  /// The engine of one loop: a stream door for its transport. Call once for each loop, in order, before they run.
  public func makeEngine(_ loop: any EventLoop) -> Engine {
    precondition(loop.index == references.count, "engines are made in the order of their loops")
    let engine = Engine(door: self, loop: loop)
    references.append(Unmanaged.passUnretained(engine))
    return engine
  }

  /// The same engine behind the port for cluster clients: told MOVED instead of being served from elsewhere.
  public func makeRedirectingDoor(_ engine: Engine) -> any StreamDoor { RedirectingDoor(engine) }

  /// Runs on its loop what other members' Redis doors were asked. Once all engines are made.
  public func executor(ofLoop index: Int) -> any OperationExecutor { engines[index] }

  /// An engine is touched on its loop's thread only; to the others' one posts.
  var engines: LazyMapSequence<[Unmanaged<Engine>], Engine> { references.lazy.map { $0.takeUnretainedValue() } }

  func nextClientID() -> UInt64 { lastClientID.wrappingAdd(1, ordering: .relaxed).newValue }

  /// Runs the work on every loop's own thread; on `here` at once.
  func onEveryLoop(from here: Engine, _ work: @escaping @Sendable (Engine) -> Void) {
    for engine in engines where engine !== here { engine.post { work(engine) } }
    work(here)
  }

  // MARK: CLIENT PAUSE

  enum PauseState { case none, writes, everything }

  func pauseState(now: UnixMilliseconds) -> PauseState {
    pause.withLock { now < $0.until ? ($0.writesOnly ? .writes : .everything) : .none }
  }

  /// A pause never becomes shorter or weaker by another one, as in Redis.
  func beginPause(until: UnixMilliseconds, writesOnly: Bool, now: UnixMilliseconds) {
    pause.withLock { pause in
      let isRunning = now < pause.until
      pause.writesOnly = isRunning ? pause.writesOnly && writesOnly : writesOnly
      pause.until = isRunning ? max(pause.until, until) : until
      if !pause.isCounted {
        pause.isCounted = true
        obstacles.wrappingAdd(1, ordering: .relaxed)
      }
    }
  }

  /// Milliseconds until the pause is over, 0 where there is none.
  func pauseLeft(now: UnixMilliseconds) -> Int { pause.withLock { Int(max(0, $0.until - now)) } }

  /// Ends the pause if its time is over, or in any case; answers whether there is none now.
  @discardableResult func endPause(now: UnixMilliseconds, force: Bool = false) -> Bool {
    pause.withLock { pause in
      guard force || now >= pause.until else { return false }
      pause.until = 0
      if pause.isCounted {
        pause.isCounted = false
        obstacles.wrappingSubtract(1, ordering: .relaxed)
      }
      return true
    }
  }
}
