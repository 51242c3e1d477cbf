import Glibc
import NexusHTTPDoor
import NexusModel
import NexusOrigins
import NexusRedisDoor
import NexusService
import NexusStore
import NexusTelemetry
import NexusTransport

/// A node with its doors: the one place where store, transport and doors meet.
///
///     let server = try NexusCacheServer(configuration).start()
///     ...
///     server.stop()
public final class NexusCacheServer {
  /// A door that is open.
  public struct Door: Sendable, Equatable {
    public enum Kind: String, Sendable { case redis, http, unix, peers, cluster }
    public let kind: Kind
    /// `127.0.0.1:6379`, `[::1]:6379` or a path.
    public let address: String
    /// 0 for a Unix socket.
    public let port: Int
  }

  public let configuration: Configuration
  public let node: Node
  public let log: any Log
  /// What clients reach. Set by `start`.
  public private(set) var doors: [Door] = []

  private let runtime: Runtime
  private var httpDoors: [HTTPDoors] = []
  private var membership: Membership?
  private let origins: NamespaceOrigins
  private var isRunning = false
  /// Where the program that embeds the node asks it: one per loop.
  private(set) var valueDoors: [ValueDoor] = []
  private(set) var hitReporter: HitReporter?
  private var loans: Loans?

  /// Builds the node; nothing listens yet.
  public init(_ configuration: Configuration) throws(StartFailure) {
    let settings = configuration.settings
    self.configuration = configuration
    log = configuration.log ?? Self.standardLog(settings)
    do throws(ConfigurationError) { try configuration.check() } catch { throw StartFailure(error.description) }
    let addresses = try BindAddress.resolve(settings.bind)
    let gauge = MemoryGauge()
    do throws(TransportError) {
      runtime = try Runtime(configuration: .init(settings, addresses), gauge: gauge, log: log)
    } catch { throw StartFailure(error.description) }
    var random = SystemRandomNumberGenerator()
    let store: Store
    do throws(StoreError) {
      store = try Store(
        StoreConfiguration(settings, loops: runtime.loops.count, random: random.next(), outside: gauge))
    } catch { throw StartFailure(error.description) }
    node = Node(
      store: store, loopCount: runtime.loops.count, log: log, startedAt: LogLine.Time.now().milliseconds64,
      runID: Self.runID(&random), settings: settings)
    origins = NamespaceOrigins(node)
    node.processFigures = LinuxProcessFigures()
    node.attach(runtime.loops)
    store.apply(settings, as: Settings.visitor())
    let most = SettingText.bytesText(store.maxMemoryBytesMost)
    settings.limitChanges(
      of: .maxMemory, to: store.maxMemoryBytesMost,
      why: "while this node runs it can be raised to \(most) at most, because addresses for more were not reserved at "
        + "its start; for more, set it and restart")
    node.mayFill = configuration.isEmbedded
    try origins.begin()
    settings.onChange(
      of: .maxMemory, .eviction, .maxEntries, .defaultTTL, .ttlJitter, .namespace, .origin, .staleWhileRevalidate,
      .staleIfError, .absentTTL, .earlyRefresh, .acknowledgement, .reads
    ) { [weak origins] in
      store.apply($0, as: $1)
      origins?.settingsChanged()
    }
    settings.onChange(
      of: .maxClients, .idleTimeout, .tcpKeepalive, .outputBufferLimit, .maxQueryBuffer, .maxValueSize, .maxMemory
    ) { [runtime] settings, _ in runtime.setLimits(.init(settings)) }
  }

  deinit {
    stop()
    letGo()
  }

  /// Declares a namespace, before the node starts or while it runs, or with options an existing one anew; what is not
  /// among them follows the node's settings. All members of a cluster have to declare it.
  ///
  ///     try server.namespace("scores", ["max-memory": "64mb", "eviction": "lru"])
  ///
  /// Not to be called on a loop's thread.
  /// - Returns: its number, for `Store.key` and `Keyspace`.
  @discardableResult
  public func namespace(
    _ name: String, _ options: KeyValuePairs<String, String> = [:]
  ) throws(SettingError) -> NamespaceNumber {
    try declareNamespace(name, options.map { (name: $0.key, value: $0.value) })
  }

  func declareNamespace(
    _ name: String, _ options: [(name: String, value: String)]
  ) throws(SettingError) -> NamespaceNumber {
    let number = NamespaceName.number(of: name)
    if !options.isEmpty || node.store.settings(of: number)?.name != name {
      try configuration.settings.declareNamespace(name, options)
    }
    return number
  }

  /// Fills a namespace by a closure. False where it has an origin already.
  func fill(_ number: NamespaceNumber, _ origin: ClosureOrigin, timeoutMilliseconds: Int) -> Bool {
    origins.setClosure(origin, timeoutMilliseconds: timeoutMilliseconds, of: number)
  }

  /// Opens the doors and starts the loops.
  /// - Parameter opened: called when the doors are open, before the log says so.
  /// - Throws: where an address cannot be listened on; nothing is left running then.
  @discardableResult public func start(opened: () -> Void = {}) throws(StartFailure) -> NexusCacheServer {
    let settings = configuration.settings
    for setting in [SettingID.httpPort, .formPort] where settings.number(setting) != 0 {
      for address in try BindAddress.resolve(settings.bind) {
        let opened = try HTTPDoors(node: node, runtime: runtime, address: address, setting: setting)
        if let opened { httpDoors.append(opened) }
      }
    }
    if settings.isClustered { membership = try Membership(node: node, runtime: runtime, settings: settings) }
    let locals = membership == nil ? runtime.loops.map { LocalRouter(node, $0) } : []
    if !locals.isEmpty { node.routers = locals }
    func setExecutor(_ executor: any OperationExecutor, for kind: Operation.Kind, loop index: Int) {
      membership?.cluster.setExecutor(executor, for: kind, loop: index)
      if !locals.isEmpty { locals[index].setExecutor(executor, for: kind) }
    }
    for loop in runtime.loops {
      setExecutor(node.hotKeepers[loop.index], for: .hotCopy, loop: loop.index)
      setExecutor(
        HTTPExecutor(node: node, loop: loop, seed: UInt64.random(in: 1 ... .max)), for: .http, loop: loop.index)
    }
    let loans = Loans(node)
    self.loans = loans
    for loop in runtime.loops {
      let executor = ValueExecutor(node, loop, loans, seed: UInt64.random(in: 1 ... .max))
      setExecutor(executor, for: .value, loop: loop.index)
      valueDoors.append(ValueDoor(node, loop, executor))
    }
    loans.doors = valueDoors
    if configuration.isEmbedded {
      hitReporter = HitReporter(node.statistics, runtime.loops[0])
      runtime.loops[0].atTurnEnd(hitReporter!)
    }
    let redis = RedisDoor(node: node)
    var engines: [Engine] = []
    do throws(TransportError) {
      try runtime.start(statistics: node.statistics) { [node, membership] listener, loop -> any StreamDoor in
        switch listener {
        case Listeners.redis:
          let engine = redis.makeEngine(loop)
          for kind in [Operation.Kind.command, .transaction, .watch, .unwatch, .flush] {
            setExecutor(engine, for: kind, loop: loop.index)
          }
          engines.append(engine)
          return engine
        // Listed behind the other Redis port: the loop has its engine.
        case Listeners.cluster: return redis.makeRedirectingDoor(engines[loop.index])
        case Listeners.peers: return membership!.doors[loop.index]
        default: return Maintenance(node.store, loop)
        }
      }
    } catch { throw StartFailure(error.description) }
    membership?.begin()
    isRunning = true
    doors = runtime.endpoints.map {
      Door(kind: Door.Kind(listener: $0.listener, isUnix: $0.port == nil), address: $0.address, port: Int($0.port ?? 0))
    }
    doors += httpDoors.map {
      Door(kind: .http, address: $0.address.withPort($0.port), port: $0.port)
    }
    opened()
    for door in doors { log.info("listening", ("door", door.kind.rawValue), ("address", door.address)) }
    warnIfOpenToTheNetwork()
    return self
  }

  /// Takes no new clients, answers what has been received, closes everything, and returns: within five seconds.
  /// Not to be called on a loop's thread.
  public func stop() {
    guard isRunning else { return }
    isRunning = false
    membership?.leave(limitMilliseconds: 2000)
    for door in httpDoors { door.drain(milliseconds: 1000) }
    runtime.stop(graceMilliseconds: membership == nil ? 3000 : 1500)
    for door in httpDoors { door.stop() }
    letGo()
    log.info("stopped")
    (log as? StreamLog)?.flush()
  }

  /// Once no loop runs, or where none ever did: the parts of a node hold one another.
  private func letGo() {
    runtime.stop(graceMilliseconds: 0)
    for door in valueDoors { door.letGo() }
    valueDoors = []
    loans?.letGo()
    loans = nil
    hitReporter = nil
    membership?.cluster.letGo()
    membership = nil
    httpDoors = []
    origins.stop()
    node.detach()
  }

  private func warnIfOpenToTheNetwork() {
    let open = doors.filter { $0.kind != .unix && !$0.address.hasPrefix("127.") && !$0.address.hasPrefix("[::1]") }
    guard !open.isEmpty, configuration.settings.password.isEmpty else { return }
    log.warning(
      "this node is open to the network and asks for no password: set one, or bind to 127.0.0.1",
      ("addresses", open.map(\.address).joined(separator: " ")))
  }

  private static func standardLog(_ settings: Settings) -> StreamLog {
    let log = StreamLog(minimum: settings.logLevel, json: settings.logsJSON)
    settings.onChange(of: .logLevel, .logFormat) { settings, _ in
      log.minimum = settings.logLevel
      log.json = settings.logsJSON
    }
    return log
  }

  /// 40 hexadecimal digits.
  private static func runID(_ random: inout SystemRandomNumberGenerator) -> String {
    String((0..<40).map { _ in "0123456789abcdef".randomElement(using: &random)! })
  }
}

extension NexusCacheServer.Door.Kind {
  fileprivate init(listener: String, isUnix: Bool) {
    switch listener {
    case Listeners.peers: self = .peers
    case Listeners.cluster: self = .cluster
    default: self = isUnix ? .unix : .redis
    }
  }
}

/// Why a node did not start, in one line for an operator.
public struct StartFailure: Error, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

extension LogLine.Time {
  var milliseconds64: UnixMilliseconds { UnixMilliseconds(milliseconds) }
}
