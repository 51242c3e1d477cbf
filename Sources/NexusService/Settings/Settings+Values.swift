import NexusModel

/// The values that code reads, with their units. Those that are numbers cost one load.
extension Settings {
  public var bind: [String] { text(.bind).split(separator: " ").map(String.init) }
  /// 0: this door is closed.
  public var redisPort: Int { number(.redisPort) }
  /// 0: this door is closed.
  public var httpPort: Int { number(.httpPort) }
  /// 0: none.
  public var formPort: Int { number(.formPort) }
  public var formGroup: String { text(.formGroup) }
  /// Empty: none.
  public var unixSocket: String { text(.unixSocket) }
  public var tcpBacklog: Int { number(.tcpBacklog) }
  /// 0: off.
  public var tcpKeepaliveSeconds: Int { number(.tcpKeepalive) / 1_000_000 }
  /// 0: never.
  @inlinable public var idleTimeoutMilliseconds: Int { number(.idleTimeout) / 1000 }
  /// At least 1.
  public var httpIdleTimeoutSeconds: Int { number(.httpIdleTimeout) / 1_000_000 }

  @inlinable public var maxMemoryBytes: Int { number(.maxMemory) }
  public var eviction: EvictionPolicyName { EvictionPolicyName(rawValue: text(.eviction))! }
  /// 0: no limit.
  public var maxEntries: Int { number(.maxEntries) }
  /// 0: none.
  public var defaultTTLMilliseconds: Int64 { Int64(number(.defaultTTL) / 1000) }
  /// 0...1
  public var ttlJitter: Double { Double(number(.ttlJitter)) / 100 }

  @inlinable public var maxClients: Int { number(.maxClients) }
  @inlinable public var maxValueBytes: Int { number(.maxValueSize) }
  @inlinable public var maxQueryBufferBytes: Int { number(.maxQueryBuffer) }
  /// `Int.max`: no limit of its own.
  @inlinable public var outputBufferLimitBytes: Int {
    let limit = number(.outputBufferLimit)
    return limit == 0 ? Int.max : limit
  }
  @inlinable public var httpMaxBodyBytes: Int { number(.httpMaxBody) }
  /// 0: no limit.
  @inlinable public var trackingTableMaxKeys: Int { number(.trackingTableMaxKeys) }

  /// Empty: no password.
  public var password: String { text(.password) }
  /// Without a lock, for each request.
  @inlinable public var hasPassword: Bool { number(.password) != 0 }

  /// Whether this is the password. Takes the same time wherever the first difference is.
  public func passwordMatches(_ given: UnsafeRawBufferPointer) -> Bool {
    let password = Array(password.utf8)
    var difference = UInt(bitPattern: password.count ^ given.count)
    for index in given.indices {
      difference |= UInt(given[index] ^ (password.isEmpty ? 0 : password[index % password.count]))
    }
    return difference == 0
  }

  /// Whether this node is to be a member of a cluster: as soon as one setting that only makes sense in one is given.
  public var isClustered: Bool {
    let telling: [SettingID] = [
      .peerPort, .join, .clusterName, .clusterSecret, .discovery, .discoveryURL, .clusterPort,
    ]
    return peerPort != 0 && telling.contains { origin($0) != .standard }
  }
  /// Empty: at random.
  public var nodeID: String { text(.nodeID) }
  /// 0: this node stays by itself.
  public var peerPort: Int { number(.peerPort) }
  public var join: [String] { text(.join).split(separator: " ").map(String.init) }
  public var clusterName: String { text(.clusterName) }
  public var clusterSecret: String { text(.clusterSecret) }
  public var discovery: String { text(.discovery) }
  public var discoveryURL: String { text(.discoveryURL) }
  public var advertise: String { text(.advertise) }
  /// 0: none.
  public var clusterPort: Int { number(.clusterPort) }
  public var zone: String { text(.zone) }
  public var weight: Int { number(.weight) }
  public var replicas: Int { number(.replicas) }
  public var ringHash: String { text(.ringHash) }
  public var virtualNodes: Int { number(.virtualNodes) }
  @inlinable public var forwardTimeoutMilliseconds: Int { number(.forwardTimeout) / 1000 }
  @inlinable public var rebalanceBytesPerSecond: Int { number(.rebalanceRate) }
  /// 0: no copies.
  @inlinable public var hotCacheBytes: Int { number(.hotCacheSize) }
  @inlinable public var hotTTLMilliseconds: Int { number(.hotTTL) / 1000 }
  @inlinable public var hotKeyRate: Int { number(.hotKeyRate) }

  public var acknowledgement: Acknowledgement { Acknowledgement.allCases[number(.acknowledgement)] }
  public var reads: ReadPreference { ReadPreference.allCases[number(.reads)] }
  @inlinable public var acknowledgementTimeoutMilliseconds: Int { number(.acknowledgementTimeout) / 1000 }
  @inlinable public var replicaQueueBytes: Int { number(.replicaQueue) }
  @inlinable public var hintLimitBytes: Int { number(.hintLimit) }
  @inlinable public var clockBoundMilliseconds: Int { number(.clockBound) / 1000 }
  @inlinable public var repairIntervalMilliseconds: Int { number(.repairInterval) / 1000 }
  @inlinable public var repairBytesPerSecond: Int { number(.repairRate) }
  @inlinable public var tombstoneGraceMilliseconds: Int { number(.tombstoneGrace) / 1000 }
  /// Writes go to other members too.
  public var isReplicated: Bool { isClustered && replicas > 1 }

  /// 0: one per core.
  public var threads: Int { number(.threads) }
  public var dataDirectory: String { text(.dataDirectory) }

  public var logLevel: LogLevel { LogLevel.allCases[number(.logLevel)] }
  public var logsJSON: Bool { number(.logFormat) == 1 }
  /// -1: off. 0: every command.
  @inlinable public var slowlogThresholdMicroseconds: Int { number(.slowlogThreshold) }
  @inlinable public var slowlogMaxLength: Int { number(.slowlogMaxLength) }
  /// 0: off.
  @inlinable public var latencyThresholdMilliseconds: Int { number(.latencyThreshold) / 1000 }
}
