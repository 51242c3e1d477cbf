/// A setting of Redis that has no counterpart here, and why it is still answered: programs read or set it.
public struct RedisOnlySetting: Sendable {
  public enum Change: Sendable {
    /// Any whole number, size, yes/no or text of the default's kind: remembered, read back, without effect.
    case ignored
    /// Only the value it has: anything else would promise what this server does not do.
    case fixed
    /// As Redis: CONFIG SET may not touch it.
    case immutable
  }

  public let name: String
  public let value: String
  public let change: Change
  public let why: String

  /// The reason for refusing a value, as the end of Redis's error; nil to accept it.
  func refusal(of value: String) -> String? {
    switch change {
    case .immutable: return "can't set immutable config"
    case .fixed: return value == self.value ? nil : "this server accepts only '\(self.value)' here: \(why)"
    case .ignored:
      if Int(self.value) != nil && SettingText.bytes(value) == nil && Int(value) == nil {
        return "argument couldn't be parsed into an integer"
      }
      if ["yes", "no"].contains(self.value) && !["yes", "no"].contains(value.lowercased()) {
        return "argument must be 'yes' or 'no'"
      }
      return nil
    }
  }

  static let named = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  /// The one list of what is accepted for compatibility only.
  public static let all: [RedisOnlySetting] =
    rows(
      .ignored, "values have one encoding here, without thresholds",
      [
        ("hash-max-listpack-entries", "512"), ("hash-max-listpack-value", "64"),
        ("hash-max-ziplist-entries", "512"), ("hash-max-ziplist-value", "64"),
        ("list-max-listpack-size", "-2"), ("list-max-ziplist-size", "-2"), ("list-compress-depth", "0"),
        ("set-max-intset-entries", "512"), ("zset-max-listpack-entries", "128"), ("zset-max-listpack-value", "64"),
        ("zset-max-ziplist-entries", "128"), ("zset-max-ziplist-value", "64"), ("hll-sparse-max-bytes", "3000"),
        ("stream-node-max-bytes", "4096"), ("stream-node-max-entries", "100"),
      ])
    + rows(
      .ignored, "memory is always returned in the background, in small steps",
      [
        ("lazyfree-lazy-eviction", "yes"), ("lazyfree-lazy-expire", "yes"), ("lazyfree-lazy-server-del", "yes"),
        ("lazyfree-lazy-user-del", "yes"), ("lazyfree-lazy-user-flush", "yes"), ("activerehashing", "yes"),
        ("activedefrag", "no"), ("active-expire-effort", "1"), ("hz", "10"), ("dynamic-hz", "yes"),
        ("jemalloc-bg-thread", "yes"),
      ])
    + rows(
      .ignored, "eviction needs no sampling and no decay settings",
      [
        ("maxmemory-samples", "5"), ("maxmemory-eviction-tenacity", "10"), ("lfu-log-factor", "10"),
        ("lfu-decay-time", "1"),
      ])
    + rows(
      .ignored, "nothing is written to disk, so there is nothing to tune",
      [
        ("appendfsync", "everysec"), ("no-appendfsync-on-rewrite", "no"), ("auto-aof-rewrite-percentage", "100"),
        ("auto-aof-rewrite-min-size", "67108864"), ("rdbcompression", "yes"), ("rdbchecksum", "yes"),
        ("stop-writes-on-bgsave-error", "yes"), ("dbfilename", "dump.rdb"), ("appendfilename", "appendonly.aof"),
      ])
    + rows(
      .ignored, "there are no scripts and no replicas to time out",
      [
        ("busy-reply-threshold", "5000"), ("lua-time-limit", "5000"), ("repl-timeout", "60"),
        ("repl-backlog-size", "1048576"), ("shutdown-timeout", "10"),
      ])
    + rows(.fixed, "values are kept in memory only", [("save", ""), ("appendonly", "no")])
    + rows(.fixed, "keyspace events are not sent", [("notify-keyspace-events", "")])
    + rows(.fixed, "the setting bind alone decides who can connect", [("protected-mode", "no")])
    + rows(
      .immutable, "a fact about this server",
      [("databases", "16"), ("cluster-enabled", "no"), ("daemonize", "no"), ("supervised", "no"), ("replicaof", "")])

  private static func rows(_ change: Change, _ why: String, _ rows: [(String, String)]) -> [RedisOnlySetting] {
    rows.map { RedisOnlySetting(name: $0.0, value: $0.1, change: change, why: why) }
  }
}
