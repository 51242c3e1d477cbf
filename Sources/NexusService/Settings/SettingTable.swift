/// Names for the table's rows, in its order.
public enum SettingID: Int, CaseIterable, Sendable {
  case bind, redisPort, httpPort, formPort, formGroup, unixSocket, tcpBacklog, tcpKeepalive, idleTimeout,
    httpIdleTimeout
  case maxMemory, eviction, maxEntries, defaultTTL, ttlJitter
  case namespace
  case origin, staleWhileRevalidate, staleIfError, absentTTL, earlyRefresh
  case maxClients, maxValueSize, maxQueryBuffer, outputBufferLimit, httpMaxBody, trackingTableMaxKeys
  case password
  case nodeID, peerPort, join, clusterName, clusterSecret, discovery, discoveryURL, advertise, clusterPort
  case zone, weight, replicas, ringHash, virtualNodes, forwardTimeout, rebalanceRate
  case hotCacheSize, hotTTL, hotKeyRate
  case acknowledgement, reads, acknowledgementTimeout, replicaQueue, hintLimit, clockBound
  case repairInterval, repairRate, tombstoneGrace
  case threads, dataDirectory
  case logLevel, logFormat, slowlogThreshold, slowlogMaxLength, latencyThreshold
}

extension Setting {
  public static let all: [Setting] =
    doors + memory + namespaces + filling + limits + security + cluster + replication + process + diagnostics

  private static let doors: [Setting] = [
    Setting(
      .bind, "bind", .doors, .list, "127.0.0.1",
      "Addresses to listen on. Anything but 127.0.0.1 and ::1 opens the node to the network: set a password.",
      redis: RedisAlias("bind", .text)),
    Setting(
      .redisPort, "redis-port", .doors, .integer(0...65535), "6379",
      "TCP port of the Redis protocol; 0 closes this door.", redis: RedisAlias("port", .integer)),
    Setting(
      .httpPort, "http-port", .doors, .integer(0...65535), "8080",
      "TCP port of the HTTP API, /health and /metrics; 0 closes this door."),
    Setting(
      .formPort, "form-port", .doors, .integer(0...65535), "0",
      "One more TCP port of the HTTP API, for /api/get and /api/set (usually 9999); 0: none."),
    Setting(
      .formGroup, "form-group", .doors, .text, "default",
      "The namespace of /api/get and /api/set where a request names no group."),
    Setting(
      .unixSocket, "unix-socket", .doors, .text, "",
      "Path of a Unix socket that speaks the Redis protocol; empty for none.", redis: RedisAlias("unixsocket", .text)),
    Setting(
      .tcpBacklog, "tcp-backlog", .doors, .integer(1...65535), "511",
      "Connections the kernel holds until a loop accepts them.", redis: RedisAlias("tcp-backlog", .integer)),
    Setting(
      .tcpKeepalive, "tcp-keepalive", .doors, .duration(0...second * 86_400), "5m",
      "Ask silent clients this often whether they are still there; off: never.", mutable: true, words: ["off": 0],
      redis: RedisAlias("tcp-keepalive", .seconds)),
    Setting(
      .idleTimeout, "idle-timeout", .doors, .duration(0...second * 2_147_483_647), "off",
      "Close a client that has asked nothing for this long.", mutable: true, words: ["off": 0],
      redis: RedisAlias("timeout", .seconds)),
    Setting(
      .httpIdleTimeout, "http-idle-timeout", .doors, .duration(second...second * 86_400), "1m",
      "Close an HTTP connection on which nothing has moved for this long: longer than a proxy in front keeps its own."),
  ]

  private static let memory: [Setting] = [
    Setting(
      .maxMemory, "max-memory", .memory, .memory((4 << 20)...(1 << 46)), "75%",
      "The one ceiling: entries, indexes and buffers together. A size, or a share of the machine's memory.",
      mutable: true, redis: RedisAlias("maxmemory", .bytes)),
    Setting(
      .eviction, "eviction", .memory, .choice(["s3fifo", "lru", "size-aware", "random", "ttl", "none"]), "s3fifo",
      "What leaves when memory is full. none: writes fail instead.", mutable: true,
      redis: RedisAlias(
        "maxmemory-policy",
        .words([
          ("allkeys-lru", "lru"), ("allkeys-random", "random"), ("volatile-ttl", "ttl"), ("noeviction", "none"),
        ]))),
    Setting(
      .maxEntries, "max-entries", .memory, .integer(0...(1 << 40)), "off",
      "Evict past this many entries in a database, whatever the memory.", mutable: true, words: ["off": 0]),
    Setting(
      .defaultTTL, "default-ttl", .memory, .duration(0...second * 3_153_600_000), "off",
      "Entries written without a TTL get this one.", mutable: true, words: ["off": 0]),
    Setting(
      .ttlJitter, "ttl-jitter", .memory, .percent(0...100), "0%",
      "Shorten default TTLs by a random share of up to this, so that entries written together expire apart.",
      mutable: true, words: ["off": 0]),
  ]

  private static let namespaces: [Setting] = [
    Setting(
      .namespace, "namespace", .namespaces, .namespaces, "",
      "A namespace beside the databases, with options of its own; may be given several times. See docs/namespaces.md.",
      mutable: true)
  ]

  private static let limits: [Setting] = [
    Setting(
      .maxClients, "max-clients", .limits, .integer(1...1_000_000), "10000",
      "Clients beyond this many are refused.", mutable: true, redis: RedisAlias("maxclients", .integer)),
    Setting(
      .maxValueSize, "max-value-size", .limits, .bytes((1 << 20)...(512 << 20)), "512mb",
      "Longest single value (or any one argument of a command).", mutable: true,
      redis: RedisAlias("proto-max-bulk-len", .bytes)),
    Setting(
      .maxQueryBuffer, "max-query-buffer", .limits, .bytes((1 << 20)...(1 << 40)), "1gb",
      "Longest unfinished request; a client that sends more is dropped.", mutable: true,
      redis: RedisAlias("client-query-buffer-limit", .bytes)),
    Setting(
      .outputBufferLimit, "output-buffer-limit", .limits, .bytes(0...(1 << 40)), "64mb",
      "Replies a client may leave unread before it is dropped; off: only max-memory bounds them.", mutable: true,
      words: ["off": 0], redis: RedisAlias("client-output-buffer-limit", .outputBufferLimit)),
    Setting(
      .httpMaxBody, "http-max-body", .limits, .bytes(1024...(512 << 20)), "64mb",
      "Longest body of an HTTP request; a longer one is answered with 413.", mutable: true),
    Setting(
      .trackingTableMaxKeys, "tracking-table-max-keys", .limits, .integer(0...(1 << 40)), "1000000",
      "Keys that clients with CLIENT TRACKING follow at most; past it some are told early. off: no limit.",
      mutable: true, words: ["off": 0], redis: RedisAlias("tracking-table-max-keys", .integer)),
  ]

  private static let security: [Setting] = [
    Setting(
      .password, "password", .security, .text, "",
      "Ask clients of every door for this password; empty: no password.", mutable: true, secret: true,
      redis: RedisAlias("requirepass", .text))
  ]

  private static let cluster: [Setting] = [
    Setting(
      .nodeID, "node-id", .cluster, .text, "",
      "This node's name in the cluster: 1 to 64 letters, digits, '.', '_' and '-'. Empty: one at random."),
    Setting(
      .peerPort, "peer-port", .cluster, .integer(0...65535), "7946",
      "Port for the other members, UDP and TCP; 0: this node stays by itself."),
    Setting(
      .join, "join", .cluster, .list, "",
      "Members to join, as HOST:PORT of their peer ports; any one that answers is enough."),
    Setting(
      .clusterName, "cluster-name", .cluster, .text, "nexuscache",
      "Members of other cluster names are not let in."),
    Setting(
      .clusterSecret, "cluster-secret", .cluster, .text, "",
      "Members prove that they know it, and gossip is encrypted with it. Needed beyond this machine.", secret: true),
    Setting(
      .discovery, "discovery", .cluster, .choice(["gossip", "static", "etcd", "serf"]), "gossip",
      "Where the first members are found: gossip and static ask those of join, etcd and serf a registry."),
    Setting(
      .discoveryURL, "discovery-url", .cluster, .text, "",
      "The registry: http://HOST:2379[,http://...] of etcd, or HOST:7373 of a serf agent."),
    Setting(
      .advertise, "advertise", .cluster, .text, "",
      "The address at which others reach this node. Empty: the first of bind, or the machine's own."),
    Setting(
      .clusterPort, "cluster-port", .cluster, .integer(0...65535), "0",
      "A second Redis port for cluster clients: it answers MOVED where redis-port forwards; 0: none."),
    Setting(
      .zone, "zone", .cluster, .text, "",
      "Where this node stands (a rack, a data centre): copies of a slot are spread over zones."),
    Setting(
      .weight, "weight", .cluster, .integer(1...10_000), "100",
      "This node's share of the slots beside the other members'."),
    Setting(
      .replicas, "replicas", .cluster, .integer(1...7), "1",
      "Copies of each entry, its owner's included. The same on every member."),
    Setting(
      .ringHash, "ring-hash", .cluster, .choice(["xxh3", "md5", "sha256", "fnv1a64"]), "xxh3",
      "The hash that spreads members over the ring. The same on every member."),
    Setting(
      .virtualNodes, "virtual-nodes", .cluster, .integer(1...10_000), "150",
      "Points of a member of weight 100 on the ring. The same on every member."),
    Setting(
      .forwardTimeout, "forward-timeout", .cluster, .duration((1000)...(second * 3600)), "2s",
      "A client is told of a failure when another member has not answered for this long.", mutable: true),
    Setting(
      .rebalanceRate, "rebalance-rate", .cluster, .bytes((64 << 10)...(1 << 40)), "64mb",
      "Bytes a second that this node sends to new owners of its slots.", mutable: true),
    Setting(
      .hotCacheSize, "hot-cache-size", .cluster, .bytes(0...(1 << 40)), "16mb",
      "Memory for copies of other members' hot keys, all loops together; off: no copies.", mutable: true,
      words: ["off": 0]),
    Setting(
      .hotTTL, "hot-ttl", .cluster, .duration(10_000...(second * 60)), "1s",
      "A copy of a hot key is that old at most, whatever becomes of the news of its change.", mutable: true),
    Setting(
      .hotKeyRate, "hot-key-rate", .cluster, .integer(1...1_000_000_000), "200",
      "Reads a second through one event loop that make a key hot.", mutable: true),
  ]

  private static let replication: [Setting] = [
    Setting(
      .acknowledgement, "ack", .replication, .choice(["one", "quorum", "all"]), "one",
      "Copies that have a write before it is answered: the owner's, more than half of replicas, or all of them.",
      mutable: true),
    Setting(
      .reads, "reads", .replication, .choice(["owner", "any", "quorum"]), "owner",
      "What answers reads: the slot's owner, this node's own copy where it has one, or the newest of more than half.",
      mutable: true),
    Setting(
      .acknowledgementTimeout, "ack-timeout", .replication, .duration((10_000)...(second * 3600)), "2s",
      "A write that so many copies have not confirmed by then ends in NOREPLICAS; its owner keeps it.", mutable: true),
    Setting(
      .replicaQueue, "replica-queue", .replication, .bytes((1 << 20)...(1 << 36)), "32mb",
      "Writes that wait for one member to take them; beyond it their keys are noted and brought later.", mutable: true),
    Setting(
      .hintLimit, "hint-limit", .replication, .bytes((1 << 16)...(1 << 36)), "32mb",
      "Keys noted for members that cannot be reached; beyond it their slots are compared instead.", mutable: true),
    Setting(
      .clockBound, "clock-bound", .replication, .duration((second)...(second * 86_400)), "2m",
      "Writes of a member whose clock is further ahead than this are refused.", mutable: true),
    Setting(
      .repairInterval, "repair-interval", .replication, .duration((100_000)...(second * 3600)), "2s",
      "How often copies are compared.", mutable: true),
    Setting(
      .repairRate, "repair-rate", .replication, .bytes((64 << 10)...(1 << 40)), "64mb",
      "Bytes a second that this node sends to make copies equal.", mutable: true),
    Setting(
      .tombstoneGrace, "tombstone-grace", .replication, .duration((second)...(second * 86_400 * 30)), "1h",
      "Deletions are remembered this long at most for members that have not heard of them.", mutable: true),
  ]

  private static let process: [Setting] = [
    Setting(
      .threads, "threads", .process, .integer(0...256), "auto",
      "Event loops, one thread each; auto: one per core.", words: ["auto": 0],
      redis: RedisAlias("io-threads", .integer)),
    Setting(
      .dataDirectory, "data-dir", .process, .text, ".",
      "Folder for the node's files. This version keeps everything in memory and writes none.",
      redis: RedisAlias("dir", .text)),
  ]

  private static let diagnostics: [Setting] = [
    Setting(
      .logLevel, "log-level", .diagnostics, .choice(["debug", "info", "warning", "error"]), "info",
      "Least serious messages to write to stderr.", mutable: true,
      redis: RedisAlias(
        "loglevel",
        .words([("debug", "debug"), ("notice", "info"), ("verbose", "info"), ("warning", "warning")]))),
    Setting(
      .logFormat, "log-format", .diagnostics, .choice(["text", "json"]), "text",
      "One line of text per message, or one JSON object per line.", mutable: true),
    Setting(
      .slowlogThreshold, "slowlog-threshold", .diagnostics, .duration(-1...Int.max), "10ms",
      "Commands that take longer enter SLOWLOG; 0: every command; off: none.", mutable: true, words: ["off": -1],
      redis: RedisAlias("slowlog-log-slower-than", .microseconds)),
    Setting(
      .slowlogMaxLength, "slowlog-max-length", .diagnostics, .integer(0...1_000_000), "128",
      "Entries that SLOWLOG keeps.", mutable: true, redis: RedisAlias("slowlog-max-len", .integer)),
    Setting(
      .latencyThreshold, "latency-threshold", .diagnostics, .duration(0...second * 86_400), "off",
      "Events that take longer enter LATENCY's history.", mutable: true, words: ["off": 0],
      redis: RedisAlias("latency-monitor-threshold", .milliseconds)),
  ]

  private static let second = 1_000_000
}
