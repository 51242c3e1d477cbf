import NexusCluster
import NexusModel
import NexusService
import NexusStore
import NexusTransport

/// The names under which the runtime asks for doors.
enum Listeners {
  static let redis = "redis"
  static let maintenance = "maintenance"
  static let peers = "peers"
  /// Redis, with MOVED instead of forwarding.
  static let cluster = "cluster"
}

extension RuntimeConfiguration {
  init(_ settings: Settings, _ addresses: [BindAddress]) {
    self.init(listeners: [
      Listener(
        name: Listeners.redis, addresses: addresses.map(\.text),
        port: settings.redisPort == 0 ? nil : UInt16(settings.redisPort),
        unixSocketPath: settings.unixSocket.isEmpty ? nil : settings.unixSocket,
        backlog: Int32(settings.tcpBacklog)),
      // Listens on nothing: a door of every loop that has its turn for the store's background work.
      Listener(name: Listeners.maintenance, port: nil),
    ])
    if settings.isClustered {
      listeners.append(
        Listener(name: Listeners.peers, addresses: addresses.map(\.text), port: UInt16(settings.peerPort)))
      if settings.clusterPort != 0 {
        listeners.append(
          Listener(
            name: Listeners.cluster, addresses: addresses.map(\.text), port: UInt16(settings.clusterPort),
            backlog: Int32(settings.tcpBacklog)))
      }
      hasControlLoop = true
    }
    threads = settings.threads
    limits = Limits(settings)
  }
}

extension RuntimeConfiguration.Limits {
  init(_ settings: Settings) {
    self.init()
    clients = settings.maxClients
    // The transport counts in seconds; a shorter timeout must not become "never".
    idleTimeoutSeconds = (settings.idleTimeoutMilliseconds + 999) / 1000
    keepaliveSeconds = settings.tcpKeepaliveSeconds
    outputBytes = settings.outputBufferLimitBytes == Int.max ? 0 : settings.outputBufferLimitBytes
    singleReplyBytes = settings.maxValueBytes + (1 << 20)
    inputBytes = settings.maxQueryBufferBytes
    // Half of the ceiling stays for entries, whatever clients leave unread.
    allBuffersBytes = max(settings.maxMemoryBytes / 2, 4 << 20)
  }
}

extension StoreConfiguration {
  /// - Parameter random: what differs from process to process.
  init(_ settings: Settings, loops: Int, random: UInt64, outside: MemoryGauge) {
    self.init()
    maxMemoryBytes = settings.maxMemoryBytes
    self.loops = loops
    // Members compare their copies by hashes of keys, which must be equal on all of them, and known to nobody else.
    seed =
      settings.isReplicated
      ? ClusterKey(clusterName: settings.clusterName, secret: settings.clusterSecret).storeSeed : random
    stampMark = random & 0xF
    self.outside = outside
  }
}

extension Store {
  /// Makes the declared namespaces, and gives all their settings; the databases have the node's own. All stripes are
  /// locked meanwhile, so that two threads that change settings at once apply them one after the other.
  func apply(_ settings: Settings, as worker: Worker) {
    let held = lockEverything(as: worker)
    defer { unlock(held) }
    maxMemoryBytes = settings.maxMemoryBytes
    for number in 0..<NamespaceName.databaseCount {
      apply(settings, nil, to: number, NamespaceName.ofDatabase(number), as: worker)
    }
    for declaration in settings.namespaces {
      apply(settings, declaration, to: declaration.number, declaration.name, as: worker)
    }
  }

  private func apply(
    _ settings: Settings, _ declaration: NamespaceDeclaration?, to number: NamespaceNumber, _ name: String,
    as worker: Worker
  ) {
    let before = self.settings(of: number)
    var namespace = before ?? NamespaceSettings(name: name)
    settings.apply(declaration, to: &namespace)
    namespace.isStamped = settings.isReplicated
    if number == 0 { namespace.origin = settings.text(.origin) }
    if namespace != before { configure(number, namespace, as: worker) }
  }
}
