extension CommandShape {
  /// Server commands: their errors must be Redis's, what they report is each server's own.
  public static let server: [CommandShape] = [
    .init(2, .sameType) { $0.chance(80) ? ["TIME"] : ["TIME", $0.oddWord()] },
    .init(2, .sameType) { _ in ["LASTSAVE"] },
    .init(2) { _ in ["ROLE"] },
    .init(2, bends: false) { ["WAIT", $0.pick(["0", "-1", "abc"]), $0.pick(["0", "-1", "abc", "1"])] },
    .init(2) { [$0.anyCase($0.pick(["READONLY", "READWRITE"]))] },
    .init(2) { ["CLUSTER", $0.pick(["INFO", "NODES", "SLOTS", "MYID"])] },
    .init(1, bends: false) { ["REPLICAOF", $0.pick(["no", "NO"]), $0.pick(["one", "ONE"])] },
    .init(1, bends: false) { ["REPLICAOF", "host", $0.pick(["abc", "-1", "70000", ""])] },
    .init(2, .sameType) { ["INFO", $0.pick(["server", "nosuch", "clients"])] },
    .init(2, bends: false) {
      ["CONFIG", "GET", $0.pick(["nosuch", "hash-max-listpack-entries", "databases", "maxclients"])]
    },
    .init(2, bends: false) {
      ["CONFIG", "SET", $0.pick(["nosuch", "hash-max-listpack-entries", "databases"]), $0.pick(["64", "abc"])]
    },
    .init(1, bends: false) {
      ["CONFIG", "SET", "hash-max-listpack-entries", "64", "hash-max-listpack-entries", $0.pick(["64", "65"])]
    },
    .init(1, bends: false) {
      ["CONFIG", "SET", "maxmemory", $0.pick(["abc", "-5", "1x"])]
    },
    .init(1) { ["CONFIG", $0.pick(["NOSUCH", "", "GET", "SET", "RESETSTAT"])] },
    .init(1, .sameType) { ["SLOWLOG", $0.anyCase("GET"), $0.pick(["-2", "abc", "1.5", ""])] },
    .init(1, .sameType) { _ in ["SLOWLOG", "LEN"] },
    .init(1) { ["SLOWLOG", $0.pick(["RESET", "NOSUCH"])] },
    .init(1) { ["LATENCY", $0.pick(["LATEST", "RESET", "NOSUCH"])] },
    .init(1) { ["LATENCY", $0.pick(["HISTORY", "GRAPH", "RESET"]), $0.pick(["command", "nosuch"])] },
    .init(1, .sameType) { ["LATENCY", "HISTOGRAM", $0.pick(["get", "nosuch"])] },
    .init(1, .sameType) { ["MEMORY", $0.pick(["DOCTOR", "STATS", "MALLOC-STATS"])] },
    .init(1, .sameType) { ["MEMORY", $0.pick(["NOSUCH", "", "USAGE", "PURGE"])] },
    .init(2) { ["COMMAND", "GETKEYS", $0.pick(["GET", "MGET", "MSET", "PING", "nosuch"]), $0.key(), $0.value()] },
    .init(1) { ["COMMAND", "GETKEYSANDFLAGS", $0.pick(["SET", "DEL", "COPY"]), $0.key(), $0.key()] },
    .init(1) { ["COMMAND", "LIST", $0.pick(["FILTERBY", "abc"]), $0.pick(["MODULE", "abc"]), "x"] },
    .init(1, .sameType) { ["COMMAND", $0.pick(["COUNT", "LIST", "NOSUCH"])] },
    .init(1) { _ in ["ACL", "WHOAMI"] },
    .init(1) { ["ACL", $0.pick(["USERS", "LIST", "NOSUCH", "CAT"])] },
    .init(1) { ["ACL", "GETUSER", $0.pick(["nobody", ""])] },
    .init(1, bends: false) { ["DEBUG", "SLEEP", $0.pick(["0", "0.001"])] },
    .init(1, bends: false) { ["SHUTDOWN", $0.pick(["abc", "ABORT"])] },
    .init(1, .sameType) { ["LOLWUT", "VERSION", $0.pick(["abc", ""])] },
  ]
}
