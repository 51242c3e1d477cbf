import NexusTestSupport
import Testing

/// What a server says of itself, beside what Redis says of itself.
@Suite("Introspection")
struct ServerCommandTests {
  private func both() throws -> (redis: RESPClient, nexus: RESPClient) {
    (try Shared.redis.get().connect(), try Shared.nexus.get().connect())
  }

  /// Flags and categories come as sets: their order means nothing.
  private func normal(_ value: RESPValue) -> RESPValue {
    switch value {
    case .set(let elements): .set(elements.map(normal).sorted { "\($0)" < "\($1)" })
    case .array(let elements): .array(elements.map(normal))
    case .map(let elements): .map(elements.map(normal))
    default: value
    }
  }

  /// Deliberate differences of the command table, and why.
  static let tableDifferences: [String: String] = [
    "replicaof": "the flag no_async_loading has no meaning: nothing is ever loaded",
    "slaveof": "as replicaof", "save": "as replicaof", "bgsave": "as replicaof", "bgrewriteaof": "as replicaof",
  ]

  @Test("COMMAND INFO describes every command as Redis does")
  func commandTable() throws {
    let (redis, nexus) = try both()
    for client in [redis, nexus] { try client.ask("HELLO", "3") }
    let names = try #require(try nexus.ask("COMMAND", "LIST").elements?.compactMap(\.string))
    #expect(names.count >= 100)
    for name in names where Self.tableDifferences[name] == nil {
      let ours = try #require(try nexus.ask("COMMAND", "INFO", name)[0])
      let theirs = try #require(try redis.ask("COMMAND", "INFO", name)[0])
      if theirs.elements == nil { continue }
      #expect(theirs.elements?.map(Comparison.shape) == ours.elements?.map(Comparison.shape), "\(name)")
      // Name, arity, flags, first and last key, step, categories, tips.
      for index in 0..<8 {
        #expect(normal(ours[index]!) == normal(theirs[index]!), "\(name), element \(index)")
      }
      let (ourSpecs, theirSpecs) = (ours[8]?.elements ?? [], theirs[8]?.elements ?? [])
      #expect(ourSpecs.count == theirSpecs.count, "\(name): key specifications")
      for (mine, other) in zip(ourSpecs, theirSpecs) {
        for field in ["flags", "begin_search", "find_keys"] {
          #expect(mine[field].map(normal) == other[field].map(normal), "\(name): \(field)")
        }
      }
      for subcommand in ours[9]?.elements ?? [] {
        let subname = try #require(subcommand[0]?.string)
        let other = try #require(try redis.ask("COMMAND", "INFO", subname)[0])
        if other.elements == nil { continue }
        for index in 0..<8 {
          #expect(normal(subcommand[index]!) == normal(other[index]!), "\(subname), element \(index)")
        }
      }
    }
  }

  @Test("COMMAND without a subcommand, COUNT and LIST agree with one another")
  func commandCount() throws {
    let nexus = try Shared.nexus.get().connect()
    let count = try #require(try nexus.ask("COMMAND", "COUNT").number)
    #expect(try nexus.ask("COMMAND").elements?.count == Int(count))
    #expect(try nexus.ask("COMMAND", "LIST").elements?.count == Int(count))
    #expect(try nexus.ask("COMMAND", "DOCS", "get", "config", "nosuch").elements?.count == 4)
    #expect(try nexus.ask("COMMAND", "DOCS", "config")["config"]?["subcommands"]?.elements?.isEmpty == false)
  }

  @Test("COMMAND GETKEYS finds the keys that Redis finds")
  func commandKeys() throws {
    let (redis, nexus) = try both()
    let lines = [
      "GET a", "MGET a b c", "MSET a 1 b 2", "MSET a", "SET a b GET", "SET a b", "DEL a b", "BITOP AND d a b",
      "BITOP AND d",
      "RENAME a b", "COPY a b REPLACE", "OBJECT FREQ a", "PING x", "NOSUCH a", "CONFIG GET a", "SET a", "LCS a b LEN",
      "WATCH a b", "BITFIELD a GET u8 0", "BITFIELD a SET u8 0 1", "GETEX a PERSIST", "EXISTS a b",
    ]
    for line in lines {
      for subcommand in ["GETKEYS", "GETKEYSANDFLAGS"] {
        let words = (["COMMAND", subcommand] + line.split(separator: " ").map { String($0) }).map { Array($0.utf8) }
        #expect(try nexus.ask(words) == redis.ask(words), "COMMAND \(subcommand) \(line)")
      }
    }
  }

  @Test("COMMAND LIST filters by pattern and by category as Redis does")
  func commandFilters() throws {
    let (redis, nexus) = try both()
    // Each side has commands that the other has not.
    let known = try [redis, nexus].map { side in
      Set(
        try side.ask("COMMAND").elements!.flatMap { command in
          [command[0]!.string!] + (command[9]?.elements ?? []).map { $0[0]!.string! }
        })
    }
    let common = known[0].intersection(known[1])
    for filter in [
      ["PATTERN", "get*"], ["PATTERN", "c*g|*"], ["ACLCAT", "dangerous"], ["aclcat", "read"], ["MODULE", "x"],
    ] {
      let words = (["COMMAND", "LIST", "FILTERBY"] + filter).map { Array($0.utf8) }
      let ours = Set(try #require(try nexus.ask(words).elements).map { $0.string! })
      let theirs = Set(try #require(try redis.ask(words).elements).map { $0.string! })
      #expect(ours.intersection(common) == theirs.intersection(common), "\(filter)")
    }
  }

  @Test("INFO's sections are those that are asked for")
  func infoSections() throws {
    let nexus = try Shared.nexus.get().connect()
    let standard = [
      "Server", "Clients", "Memory", "Persistence", "Stats", "Replication", "CPU", "Modules", "Errorstats",
    ]
    #expect(try nexus.info().sections == standard + ["Cluster", "Keyspace"])
    #expect(try nexus.info("keyspace", "server").sections == ["Server", "Keyspace"])
    #expect(try nexus.info("everything").sections.contains("Commandstats"))
    #expect(try nexus.info("nosuch").sections.isEmpty)
    try nexus.ask("HELLO", "3")
    guard case .verbatim = try nexus.ask("INFO") else {
      Issue.record("RESP3 has INFO as a verbatim string")
      return
    }
  }

  @Test("every field of INFO that Redis has too has Redis's form")
  func infoFields() throws {
    let (redis, nexus) = try both()
    for client in [redis, nexus] {
      try client.ask("SET", "k", "v")
      try client.ask("GET", "k")
    }
    let (theirs, ours) = (try redis.info("everything"), try nexus.info("everything"))
    for (name, value) in ours.fields {
      guard let other = theirs[name] else { continue }
      let forms = [value, other].map { text in
        text.map { $0.isNumber ? "9" : $0.isLetter ? "a" : $0 }.reduce(into: "") { if $0.last != $1 { $0.append($1) } }
      }
      let free = [
        "os", "executable", "mem_allocator", "maxmemory_policy", "run_id", "master_replid", "redis_mode", "db0",
      ]
      let human = name.hasSuffix("_human") || name.hasPrefix("mem_frag")
      if !free.contains(name) && !human { #expect(forms[0] == forms[1], "\(name): \(value) where Redis has \(other)") }
    }
  }

  @Test("what INFO counts is counted")
  func infoCounts() throws {
    let server = try NexusServer()
    let client = try server.connect()
    try client.ask("CONFIG", "RESETSTAT")
    for number in 0..<10 { try client.ask("SET", "key\(number)", "value") }
    for number in 0..<15 { try client.ask("GET", "key\(number)") }
    try client.ask("INCR", "key1")
    try client.ask("GET")
    let info = try client.info("everything")
    #expect(info["cmdstat_set"]?.hasPrefix("calls=10,") == true)
    #expect(info["cmdstat_get"]?.hasPrefix("calls=15,") == true)
    #expect(info["cmdstat_get"]?.hasSuffix("rejected_calls=1,failed_calls=0") == true)
    #expect(info["cmdstat_incr"]?.hasSuffix("failed_calls=1") == true)
    #expect(info["errorstat_ERR"] == "count=2")
    #expect(info.number("keyspace_hits") == 10)
    #expect(info.number("keyspace_misses") == 5)
    #expect(info.number("total_error_replies") == 2)
    #expect(info["db0"]?.hasPrefix("keys=10,expires=0") == true)
    #expect(info.number("connected_clients") == 1)
    #expect(info["latency_percentiles_usec_get"]?.hasPrefix("p50=") == true)
    #expect(info.number("process_id") == Int(server.process.identifier))
    #expect(info.number("tcp_port") == server.redisPort)
    #expect((info.number("used_memory_rss") ?? 0) > 1 << 20)
  }

  @Test("CONFIG SET changes all settings or none")
  func configIsAtomic() throws {
    let server = try NexusServer()
    let client = try server.connect()
    #expect(try client.ask("CONFIG", "SET", "slowlog-max-len", "7", "timeout", "100") == .ok)
    #expect(try client.ask("CONFIG", "SET", "slowlog-max-len", "8", "maxmemory", "abc").isError)
    #expect(try client.ask("CONFIG", "GET", "slowlog-max-len")["slowlog-max-len"]?.string == "7")
    #expect(try client.ask("CONFIG", "GET", "timeout", "hash-max-*")["hash-max-listpack-entries"]?.string == "512")
    #expect(try client.ask("CONFIG", "SET", "hash-max-listpack-entries", "64") == .ok)
    #expect(try client.ask("CONFIG", "GET", "hash-max-listpack-entries")[1]?.string == "64")
  }

  @Test("a slow command enters the slow log with its client")
  func slowlog() throws {
    let server = try NexusServer()
    let client = try server.connect()
    try client.ask("CLIENT", "SETNAME", "tester")
    try client.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
    try client.ask([Array("SET".utf8), Array("k".utf8), [UInt8](repeating: 120, count: 1000)])
    try client.ask(["MGET".word] + (0..<50).map { "k\($0)".word })
    try client.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
    let entries = try #require(try client.ask("SLOWLOG", "GET", "-1").elements)
    let set = try #require(entries.first { $0[3]?[0]?.string == "SET" })
    #expect(set[3]?[2]?.string?.hasSuffix("... (872 more bytes)") == true)
    #expect(set[5]?.string == "tester")
    #expect(set[4]?.string?.hasPrefix("127.0.0.1:") == true)
    let many = try #require(entries.first { $0[3]?[0]?.string == "MGET" })
    #expect(many[3]?.elements?.count == 32)
    #expect(many[3]?[31]?.string == "... (20 more arguments)")
    #expect(try client.ask("SLOWLOG", "LEN").number == Int64(entries.count))
    #expect(try client.ask("SLOWLOG", "RESET") == .ok)
    #expect(try client.ask("SLOWLOG", "LEN").number == 0)
  }

  @Test("DEBUG SLEEP holds up only who asked for it")
  func debugSleep() throws {
    let server = try NexusServer(threads: 1)
    let sleeper = try server.connect()
    let other = try server.connect()
    try sleeper.send("DEBUG SLEEP 1\r\nPING\r\n")
    for _ in 0..<10 { #expect(try other.ask("PING") == .simple(Array("PONG".utf8))) }
    #expect(!sleeper.hasInput)
    #expect(try sleeper.read() == .ok)
    #expect(try sleeper.read() == .simple(Array("PONG".utf8)))
    // Inside a transaction nobody waits: its keys are held.
    try other.send("MULTI\r\nDEBUG SLEEP 100\r\nEXEC\r\n")
    #expect(try [other.read(), other.read()] == [.ok, .simple(Array("QUEUED".utf8))])
    #expect(try other.read() == .array([.ok]))
  }

  @Test("LATENCY HISTOGRAM counts every call once")
  func latencyHistogram() throws {
    let server = try NexusServer()
    let client = try server.connect()
    for _ in 0..<100 { try client.ask("GET", "k") }
    let get = try #require(try client.ask("LATENCY", "HISTOGRAM", "get")["get"])
    #expect(get["calls"]?.number == 100)
    let steps = try #require(get["histogram_usec"]?.elements).compactMap { $0.number }
    #expect(steps.last == 100)
    let counts = stride(from: 1, to: steps.count, by: 2).map { steps[$0] }
    #expect(counts == counts.sorted())
  }

  @Test("LATENCY tells of what took longer than the threshold")
  func latencyEvents() throws {
    let server = try NexusServer()
    let client = try server.connect()
    #expect(try client.ask("LATENCY", "DOCTOR").string?.contains("latency-monitor-threshold") == true)
    try client.ask("CONFIG", "SET", "latency-monitor-threshold", "150")
    try client.ask("DEBUG", "SLEEP", "0.2")
    let latest = try #require(try client.ask("LATENCY", "LATEST")[0])
    #expect(latest[0]?.string == "command")
    #expect(try #require(latest[3]?.number) >= 200)
    #expect(try client.ask("LATENCY", "HISTORY", "command").elements?.isEmpty == false)
    #expect(try client.ask("LATENCY", "GRAPH", "command").string?.contains("command - high ") == true)
    #expect(try client.ask("LATENCY", "DOCTOR").string?.contains("- command: ") == true)
    let slow = try #require(try client.ask("SLOWLOG", "GET").elements)
    #expect(slow.contains { $0[3]?.elements?.map(\.string) == ["DEBUG", "SLEEP", "0.2"] })
    #expect(try #require(try client.ask("LATENCY", "RESET").number) >= 1)
    #expect(try client.ask("LATENCY", "LATEST").elements?.isEmpty == true)
  }

  @Test("MEMORY reports what the store holds")
  func memory() throws {
    let server = try NexusServer()
    let client = try server.connect()
    for number in 0..<100 {
      try client.ask([Array("SET".utf8), "key\(number)".word, [UInt8](repeating: 120, count: 10_000)])
    }
    let stats = try client.ask("MEMORY", "STATS")
    #expect(stats["keys.count"]?.number == 100)
    #expect(try #require(try client.ask("MEMORY", "USAGE", "key1").number) > 10_000)
    #expect(try client.ask("MEMORY", "USAGE", "nosuch") == .nullBulk)
    #expect(try client.ask("MEMORY", "PURGE") == .ok)
    #expect(try client.ask("MEMORY", "DOCTOR").string?.isEmpty == false)
    #expect(try client.ask("MEMORY", "MALLOC-STATS").string?.contains("entries") == true)
  }

  @Test("a counter that CONFIG RESETSTAT resets starts anew")
  func resetStatistics() throws {
    let server = try NexusServer()
    let client = try server.connect()
    for _ in 0..<10 { try client.ask("GET", "nothing") }
    #expect(try client.info("stats").number("keyspace_misses") == 10)
    #expect(try client.ask("CONFIG", "RESETSTAT") == .ok)
    let info = try client.info("all")
    #expect(info.number("keyspace_misses") == 0)
    #expect(info["cmdstat_get"] == nil && info["errorstat_ERR"] == nil)
    #expect(try #require(info.number("total_commands_processed")) <= 1)
  }

  @Test("commands about files on disk are refused instead of pretended")
  func persistence() throws {
    let client = try Shared.nexus.get().connect()
    for command in ["SAVE", "BGSAVE", "BGREWRITEAOF"] {
      #expect(try client.ask(command).string?.hasPrefix("ERR this server keeps everything in memory") == true)
    }
    #expect(try client.ask("REPLICAOF", "127.0.0.1", "6379").isError)
    #expect(try client.ask("CONFIG", "REWRITE").isError)
  }
}
