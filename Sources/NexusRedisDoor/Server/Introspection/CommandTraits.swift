import NexusModel

/// What COMMAND INFO says of a command beyond its declaration: categories, tips for clients and proxies, and what is
/// done to each key. The first follows from flags and group; exceptions and the rest are tables by name.
enum CommandTraits {
  // MARK: Flags

  /// Without `skipMonitor`, which is our own way of saying that a command carries secrets.
  private static let flagNames: [(Command.Flags, StaticString)] = [
    (.write, "write"), (.readonly, "readonly"), (.denyOOM, "denyoom"), (.admin, "admin"), (.pubsub, "pubsub"),
    (.noscript, "noscript"), (.blocking, "blocking"), (.loading, "loading"), (.stale, "stale"),
    (.skipSlowlog, "skip_slowlog"), (.fast, "fast"), (.noAuth, "no_auth"),
    (.movableKeys, "movablekeys"), (.noMulti, "no_multi"), (.allowBusy, "allow_busy"),
  ]

  static func flags(of command: Command) -> [String] {
    flagNames.filter { command.flags.contains($0.0) }.map { $0.1.description }
  }

  // MARK: Categories

  /// Every category, in the order in which ACL CAT and COMMAND INFO list them.
  static let categories = [
    "keyspace", "read", "write", "set", "sortedset", "list", "hash", "string", "bitmap", "hyperloglog", "geo", "stream",
    "pubsub", "admin", "fast", "slow", "blocking", "dangerous", "connection", "transaction", "scripting",
  ]

  private static let categoryOfGroup: [Command.Group: String] = [
    .string: "string", .bitmap: "bitmap", .generic: "keyspace", .connection: "connection",
    .transactions: "transaction", .pubsub: "pubsub",
  ]

  private static let extraCategories: [String: [String]] = [
    "keys": ["dangerous"], "dbsize": ["keyspace"], "flushdb": ["keyspace", "dangerous"],
    "flushall": ["keyspace", "dangerous"], "swapdb": ["keyspace", "dangerous"], "info": ["dangerous"],
    "lastsave": ["admin", "dangerous"], "role": ["admin", "dangerous"], "wait": ["connection"],
    "command": ["connection"], "asking": ["connection"], "readonly": ["connection"], "readwrite": ["connection"],
  ]

  /// Containers belong to no group's category themselves, their subcommands do; `@` is not part of the name.
  static func categories(of command: Command) -> [String] {
    var found: Set<String> = [command.flags.contains(.fast) ? "fast" : "slow"]
    if command.flags.contains(.write) { found.insert("write") }
    if command.flags.contains(.readonly) { found.insert("read") }
    if command.flags.contains(.admin) { found.formUnion(["admin", "dangerous"]) }
    if command.flags.contains(.pubsub) { found.insert("pubsub") }
    if command.flags.contains(.blocking) { found.insert("blocking") }
    let family = String(command.name.prefix { $0 != "|" })
    let exempt = !command.subcommands.isEmpty || command.name == "wait" || command.name == "pubsub|help"
    if !exempt, let category = categoryOfGroup[command.group] { found.insert(category) }
    found.formUnion(extraCategories[family] ?? [])
    return categories.filter { found.contains($0) }
  }

  // MARK: Tips

  private static let tipsByName: [String: [String]] = {
    let rows: [([String], String)] = [
      (["request_policy:multi_shard"], "mget"),
      (["request_policy:multi_shard", "response_policy:all_succeeded"], "mset"),
      (["request_policy:multi_shard", "response_policy:agg_min"], "msetnx"),
      (["request_policy:multi_shard", "response_policy:agg_sum"], "del unlink exists touch"),
      (
        ["nondeterministic_output"],
        """
        ttl pttl object|freq object|idletime object|encoding object|refcount client|info client|list time lastsave \
        cluster|info cluster|nodes cluster|slots cluster|shards cluster|links cluster|getkeysinslot
        """
      ),
      (["nondeterministic_output", "request_policy:special"], "scan"),
      (["request_policy:all_shards", "nondeterministic_output_order"], "keys"),
      (["request_policy:all_shards", "nondeterministic_output"], "randomkey"),
      (["request_policy:all_shards", "response_policy:agg_sum"], "dbsize"),
      (["request_policy:all_shards", "response_policy:all_succeeded"], "flushdb flushall memory|purge ping"),
      (
        ["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
        "memory|doctor memory|malloc-stats memory|stats info"
      ),
      (["request_policy:all_nodes", "response_policy:all_succeeded"], "config|set slowlog|reset latency|reset"),
      (["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"], "slowlog|len"),
      (["request_policy:all_nodes", "nondeterministic_output"], "slowlog|get"),
      (
        ["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
        "latency|history latency|doctor latency|histogram latency|latest latency|graph"
      ),
      (["request_policy:all_shards", "response_policy:agg_min"], "wait"),
      (["nondeterministic_output_order"], "command command|list command|info command|docs"),
    ]
    var result: [String: [String]] = [:]
    for (tips, names) in rows {
      for name in names.split(separator: " ") { result[String(name)] = tips }
    }
    return result
  }()

  static func tips(of command: Command) -> [String] { tipsByName[command.name] ?? [] }
}
