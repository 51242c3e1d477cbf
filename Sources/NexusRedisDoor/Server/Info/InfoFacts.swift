/// A field of INFO that has one answer here, and why it is given at all: programs read it.
///
/// The one list of what INFO reports without measuring.
struct InfoFact {
  let name: String
  let value: String
  let reason: String

  init(_ name: String, _ value: String, _ reason: String) {
    self.name = name
    self.value = value
    self.reason = reason
  }
}

enum InfoFacts {
  static let server = [
    InfoFact(
      "redis_version", RedisDoor.redisVersion, "the level of the Redis protocol and commands that this server speaks"),
    InfoFact("redis_mode", "standalone", "clients choose by it whether to look for a cluster"),
    InfoFact("arch_bits", String(Int.bitWidth), "the size of a word of this build"),
    InfoFact("multiplexing_api", "epoll", "how the event loops wait"),
  ]

  static let clients = [
    InfoFact("blocked_clients", "0", "no command blocks its client; redis-cli --stat prints nonsense without it")
  ]

  static let persistence = [
    InfoFact("loading", "0", "nothing is loaded at the start; clients wait while this is 1"),
    InfoFact("async_loading", "0", "as above"),
    InfoFact("rdb_bgsave_in_progress", "0", "there are no snapshots; backup tools poll this"),
    InfoFact("aof_enabled", "0", "there is no append-only file"),
    InfoFact("aof_rewrite_in_progress", "0", "as above"),
  ]

  static let replication = [
    InfoFact("role", "master", "the node takes writes and follows nobody"),
    InfoFact("connected_slaves", "0", "no node follows this one"),
    InfoFact("master_failover_state", "no-failover", "failover tools read it"),
    InfoFact("master_repl_offset", "0", "there is no replication stream"),
  ]

  static let all = server + clients + persistence + replication
}
