import Glibc
import NexusCache
import NexusModel
import NexusService
import NexusTestSupport
import Testing

@Suite("Namespaces of a node") struct NamespaceTests {
  private func file(_ text: String) throws -> String {
    let path = "/tmp/nexuscache-namespaces-\(getpid())-\(UInt32.random(in: 0 ... .max)).conf"
    let handle = try #require(fopen(path, "w"))
    fputs(text, handle)
    fclose(handle)
    return path
  }

  @Test func aFileTheEnvironmentAndFlagsDeclareTogether() throws {
    let path = try file("namespace = a:max-entries=1\nnamespace b:eviction=lru;max-memory=1mb\n")
    defer { unlink(path) }
    let settings = try Configuration.load(
      flags: [("config", path), ("namespace", "d"), ("namespace", "a:max-entries=2")],
      environment: ["NEXUSCACHE_NAMESPACE=b c"]
    ).settings
    #expect(settings.text(.namespace) == "a:max-entries=2 b c d")
  }

  @Test func aFileDeclaresANameOnce() throws {
    let path = try file("namespace = a:max-entries=1\nnamespace = b\nnamespace = a\n")
    defer { unlink(path) }
    let error = #expect(throws: ConfigurationError.self) {
      try Configuration.load(flags: [("config", path)], environment: [])
    }
    #expect(error?.description == "\(path):3: namespace a is already set in line 1")
  }

  private func node(_ namespaces: String...) throws -> NexusCacheServer {
    var configuration = Configuration()
    configuration.log = SilentLog()
    try configuration.set("max-memory", to: "16mb")
    try configuration.set("redis-port", to: "0")
    try configuration.set("http-port", to: "0")
    try configuration.set("unix-socket", to: "/tmp/unused.sock")
    for namespace in namespaces { try configuration.set("namespace", to: namespace) }
    return try NexusCacheServer(configuration)
  }

  @Test func aNodeHasWhatIsDeclaredAndDefaultsFollowTheNodeAtRunTime() throws {
    let server = try node("scores:max-entries=10", "users")
    let scores = NamespaceName.number(of: "scores"), users = NamespaceName.number(of: "users")
    let store = server.node.store
    #expect(store.settings(of: scores)?.limitEntries == 10 && store.settings(of: users)?.limitEntries == 0)
    try server.configuration.settings.redisSet([("default-ttl", "2s"), ("max-entries", "99")])
    #expect(store.settings(of: scores)?.limitEntries == 10 && store.settings(of: users)?.limitEntries == 99)
    #expect(store.settings(of: 0)?.limitEntries == 99)
    #expect(store.lifetime(in: users).milliseconds == 2000)
  }

  @Test("A namespace whose origin lists its keys has a guard, and a new one with each listing")
  func guards() async throws {
    let directory = Environment.makeTemporaryDirectory()
    defer { unlink(directory + "/scores.db") }
    let declared = try DemonstrationData.write(to: directory)[0].value
    let server = try node(declared + "&keys=SELECT%20key%20FROM%20scores&keys-every=100ms")
    let scores = NamespaceName.number(of: "scores")
    let first = try #require(server.node.filler.keyGuard(of: scores))
    #expect(first.mayHave(Array("Tom".utf8)) && !first.mayHave(Array("nobody".utf8)))
    for _ in 0..<3000 where server.node.filler.keyGuard(of: scores) === first {
      try await Task.sleep(nanoseconds: 10_000_000)
    }
    let second = try #require(server.node.filler.keyGuard(of: scores))
    #expect(second !== first && second.mayHave(Array("Tom".utf8)) && !second.mayHave(Array("nobody".utf8)))
  }

  @Test func aProgramDeclaresAtRunTime() throws {
    let server = try node("users:max-entries=3")
    let store = server.node.store
    let scores = try server.namespace("scores", ["max-entries": "4", "eviction": "lru"])
    #expect(scores == NamespaceName.number(of: "scores") && store.settings(of: scores)?.limitEntries == 4)
    // Asked for without options it stays as it is.
    #expect(try server.namespace("scores") == scores && store.settings(of: scores)?.limitEntries == 4)
    let users = try server.namespace("users")
    #expect(store.settings(of: users)?.limitEntries == 3)
    #expect(try store.settings(of: server.namespace("plain"))?.name == "plain")
    try server.namespace("users", ["max-entries": "8"])
    #expect(store.settings(of: users)?.limitEntries == 8)
    #expect(try server.namespace("default") == 0)
    #expect(throws: SettingError.self) { try server.namespace("default", ["max-entries": "8"]) }
    #expect(throws: SettingError.self) { try server.namespace("a b") }
    #expect(throws: SettingError.self) { try server.namespace("users", ["nonsense": "8"]) }
    #expect(store.settings(of: users)?.limitEntries == 8)
  }
}
