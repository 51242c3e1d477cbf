import NexusService
import Testing

@Suite struct RedisConfigTests {
  @Test(arguments: [
    ("maxmemory", "100mb", "104857600"), ("timeout", "300", "300"), ("slowlog-log-slower-than", "-1", "-1"),
    ("slowlog-log-slower-than", "500", "500"), ("latency-monitor-threshold", "7", "7"), ("tcp-keepalive", "60", "60"),
    ("maxmemory-policy", "allkeys-lru", "allkeys-lru"), ("maxmemory-policy", "lru", "allkeys-lru"),
    ("maxmemory-policy", "s3fifo", "s3fifo"), ("maxmemory-policy", "noeviction", "noeviction"),
    ("loglevel", "verbose", "notice"), ("loglevel", "error", "error"), ("requirepass", " a b ", " a b "),
    ("client-output-buffer-limit", "normal 1048576 0 0", "normal 1048576 0 0 slave 0 0 0 pubsub 1048576 0 0"),
    ("hash-max-listpack-entries", "64", "64"), ("appendonly", "no", "no"), ("save", "", ""),
    ("eviction", "random", "random"), ("max-memory", "64mb", "64mb"),
  ])
  func whatIsSetReadsBackInTheNamesOwnWords(_ name: String, _ value: String, _ read: String) throws {
    let settings = Settings()
    try settings.redisSet([(name, value)])
    #expect(settings.redisValue(name) == read)
  }

  @Test(arguments: [
    ("maxmemory", "x", "argument must be a memory value"),
    ("timeout", "abc", "argument couldn't be parsed into an integer"),
    ("maxclients", "0", "argument must be between 1 and 1000000 inclusive"),
    ("slowlog-max-len", "-5", "argument must be between 0 and 9223372036854775807 inclusive"),
    ("databases", "3", "can't set immutable config"), ("port", "1", "can't set immutable config"),
    (
      "maxmemory-policy", "foo",
      "argument(s) must be one of the following: allkeys-lru, allkeys-random, volatile-ttl, noeviction, s3fifo, lru, size-aware, random, ttl, none"
    ),
    ("client-output-buffer-limit", "foo", "Wrong number of arguments in buffer limit configuration."),
    ("appendonly", "yes", "this server accepts only 'no' here: values are kept in memory only"),
    ("hash-max-listpack-entries", "foo", "argument couldn't be parsed into an integer"),
  ])
  func refusalsAreWordedAsInRedis(_ name: String, _ value: String, _ why: String) {
    let error = #expect(throws: RedisConfigError.self) { try Settings().redisSet([(name, value)]) }
    #expect(error?.reply == "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(why)")
  }

  @Test func onePairRefusedRefusesAll() {
    let settings = Settings()
    #expect(throws: RedisConfigError.self) {
      try settings.redisSet([("maxmemory", "64mb"), ("hz", "20"), ("nosuch", "1")])
    }
    #expect(settings.origin(.maxMemory) == .standard && settings.redisValue("hz") == "10")
    #expect(throws: RedisConfigError.self) { try settings.redisSet([("hz", "20"), ("hz", "30")]) }
  }

  @Test func whatTheNodeWasNotBuiltForIsRefusedWithWhatIsPossible() throws {
    let settings = Settings()
    settings.limitChanges(of: .maxMemory, to: 8 << 30, why: "it can be raised to 8gb at most")
    try settings.redisSet([("maxmemory", "8gb")])
    for name in ["maxmemory", "max-memory"] {
      let error = #expect(throws: RedisConfigError.self) { try settings.redisSet([(name, "9gb")]) }
      #expect(error?.reply.contains("argument '\(name)'") == true)
      #expect(error?.reply.hasSuffix("cannot be '9gb': it can be raised to 8gb at most") == true)
    }
    #expect(settings.maxMemoryBytes == 8 << 30)
  }

  @Test func everyNameHasAValueAndEveryPolicyAWay() throws {
    let settings = Settings()
    for name in Settings.redisNames { #expect(settings.redisValue(name) != nil, "\(name)") }
    #expect(settings.redisValue("nosuch") == nil)
    try settings.redisSet([("maxmemory", "0")])
    #expect(settings.maxMemoryBytes == Settings().maxMemoryBytes)
  }
}
