import NexusService

extension NexusCache {
  /// What an embedded node is started with. As it stands: a node by itself, which listens on nothing.
  ///
  /// ```swift
  /// var configuration = NexusCache.Configuration()
  /// configuration.maxMemoryBytes = 256 << 20
  /// configuration.cluster = .init(name: "shop", secret: secret, peerPort: 7946, seeds: ["10.0.0.1:7946"])
  /// let cache = try await NexusCache.start(configuration)
  /// ```
  public struct Configuration: Sendable {
    /// The ceiling of the node's memory: entries, indexes and buffers together. At least 16 MiB.
    public var maxMemoryBytes = 256 << 20
    /// Event loops, a thread each: they fill misses, speak with other nodes and serve the doors. Hits need none.
    public var threads = 1
    /// Where doors and peers listen: addresses of this machine, or `*` for all.
    public var bind = ["127.0.0.1"]
    /// Nil: no Redis clients.
    public var redisPort: Int?
    /// Nil: no HTTP, and no `/metrics`.
    public var httpPort: Int?
    /// Nil: a node by itself.
    public var cluster: Cluster?
    /// Nil: warnings and errors, as lines on the standard error output.
    public var log: (any Log)?
    /// Any other setting of a node by its name (docs/operating.md), such as `"max-clients": "100"`.
    public var settings: [String: String] = [:]

    public init() {}
  }

  /// The cluster that an embedded node belongs to, with others that are embedded and with servers.
  public struct Cluster: Sendable {
    /// All nodes of the cluster say the same.
    public var name: String
    /// What proves that a node belongs to the cluster: all have the same. Needed wherever `bind` is not this machine
    /// alone.
    public var secret: String
    /// Where other nodes reach this one (TCP and UDP).
    public var peerPort: Int
    /// `HOST:PORT` of peers to join. Empty: this node begins a cluster that others join.
    public var seeds: [String]
    /// This node's name in the cluster, unlike any other's. Nil: chosen by the node.
    public var nodeID: String?
    /// Of every key so many nodes have a copy; all nodes of the cluster say the same.
    public var replicas = 1
    /// How long `NexusCache.start` waits for this node to have joined, before it gives up.
    public var joinTimeout: Duration = .seconds(15)

    public init(name: String, secret: String, peerPort: Int, seeds: [String] = [], nodeID: String? = nil) {
      self.name = name
      self.secret = secret
      self.peerPort = peerPort
      self.seeds = seeds
      self.nodeID = nodeID
    }
  }
}

extension Configuration {
  /// What the settings of a node are where it is embedded.
  init(_ embedded: NexusCache.Configuration) throws(SettingError) {
    self.init()
    isEmbedded = true
    log = embedded.log
    try set("log-level", to: "warning")
    try set("max-memory", to: "\(embedded.maxMemoryBytes)")
    try set("threads", to: "\(embedded.threads)")
    try set("bind", to: embedded.bind.joined(separator: " "))
    try set("redis-port", to: "\(embedded.redisPort ?? 0)")
    try set("http-port", to: "\(embedded.httpPort ?? 0)")
    try set("peer-port", to: "0")
    if let cluster = embedded.cluster {
      try set("cluster-name", to: cluster.name)
      try set("cluster-secret", to: cluster.secret)
      try set("peer-port", to: "\(cluster.peerPort)")
      try set("join", to: cluster.seeds.joined(separator: " "))
      if let id = cluster.nodeID { try set("node-id", to: id) }
      try set("replicas", to: "\(cluster.replicas)")
    }
    for (name, value) in embedded.settings.sorted(by: { $0.key < $1.key }) { try set(name, to: value) }
  }
}
