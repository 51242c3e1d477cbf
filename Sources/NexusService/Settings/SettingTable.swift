/// Names for the table's rows, in its order.
public enum SettingID: Int, CaseIterable, Sendable {
  case bind, redisPort, httpPort, unixSocket, tcpBacklog, tcpKeepalive, idleTimeout
  case maxMemory, eviction, maxEntries, defaultTTL, ttlJitter
  case maxClients, maxValueSize, maxQueryBuffer, outputBufferLimit, httpMaxBody
  case password
  case threads, dataDirectory
  case logLevel, logFormat, slowlogThreshold, slowlogMaxLength, latencyThreshold
}

extension Setting {
  public static let all: [Setting] = doors + memory + limits + security + process + diagnostics

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
      "Shorten each TTL by a random share of up to this, so that entries written together expire apart.",
      mutable: true, words: ["off": 0]),
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
  ]

  private static let security: [Setting] = [
    Setting(
      .password, "password", .security, .text, "",
      "Ask clients of every door for this password; empty: no password.", mutable: true, secret: true,
      redis: RedisAlias("requirepass", .text))
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
