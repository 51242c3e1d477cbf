import Glibc
import NexusModel
import NexusService
import NexusStore
import NexusTelemetry

/// A node with its doors: the one place where store, transport and doors meet.
///
///     let server = try NexusCacheServer(configuration).start()
///     ...
///     server.stop()
public final class NexusCacheServer {
  public let configuration: Configuration
  public let node: Node
  public let log: any Log

  /// Builds the node; nothing listens yet.
  public init(_ configuration: Configuration) throws(ConfigurationError) {
    try configuration.check()
    self.configuration = configuration
    let settings = configuration.settings
    let log: any Log
    if let given = configuration.log {
      log = given
    } else {
      let stream = StreamLog(minimum: settings.logLevel, json: settings.logsJSON)
      settings.onChange(of: .logLevel, .logFormat) { settings in
        stream.minimum = settings.logLevel
        stream.json = settings.logsJSON
      }
      log = stream
    }
    self.log = log
    let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
    let loopCount = settings.threads == 0 ? cores : settings.threads
    var random = SystemRandomNumberGenerator()
    let store = Store(Self.storeConfiguration(settings, loopCount: loopCount, seed: random.next()))
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    node = Node(
      store: store, loopCount: loopCount, log: log,
      startedAt: UnixMilliseconds(time.tv_sec * 1000 + time.tv_nsec / 1_000_000), runID: Self.runID(&random),
      settings: settings)
    node.processFigures = LinuxProcessFigures()
    Self.apply(settings, to: store)
    settings.onChange(of: .maxMemory, .eviction, .maxEntries, .defaultTTL, .ttlJitter) { Self.apply($0, to: store) }
  }

  private static func storeConfiguration(_ settings: Settings, loopCount: Int, seed: UInt64) -> StoreConfiguration {
    var configuration = StoreConfiguration()
    configuration.maxMemoryBytes = settings.maxMemoryBytes
    configuration.loops = loopCount
    configuration.seed = seed
    return configuration
  }

  /// The databases are namespaces with the same settings.
  private static func apply(_ settings: Settings, to store: Store) {
    store.maxMemoryBytes = settings.maxMemoryBytes
    for number in store.settings.indices {
      store.settings[number].eviction = settings.eviction
      store.settings[number].limitEntries = settings.maxEntries
      store.settings[number].defaultTTLMilliseconds = settings.defaultTTLMilliseconds
      store.settings[number].ttlJitter = settings.ttlJitter
    }
  }

  /// 40 hexadecimal digits.
  private static func runID(_ random: inout SystemRandomNumberGenerator) -> String {
    String((0..<40).map { _ in "0123456789abcdef".randomElement(using: &random)! })
  }
}
