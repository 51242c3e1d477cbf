import Glibc
import NexusCache
import NexusService
import Testing

@Suite struct ConfigurationTests {
  @Test func aFlagOverridesTheEnvironmentWhichOverridesTheFile() throws {
    let path = try file("threads = 1\nmax-clients = 10\neviction = lru\n")
    defer { unlink(path) }
    let settings = try Configuration.load(
      flags: [("config", path), ("threads", "3")],
      environment: ["NEXUSCACHE_THREADS=2", "NEXUSCACHE_MAX_CLIENTS=20", "HOME=/root", "NEXUS=1"]
    ).settings
    #expect(settings.threads == 3 && settings.origin(.threads) == .flag)
    #expect(settings.maxClients == 20)
    #expect(settings.origin(.maxClients) == .environment(variable: "NEXUSCACHE_MAX_CLIENTS"))
    #expect(settings.eviction == .lru && settings.origin(.eviction) == .file(path: path, line: 3))
    #expect(settings.origin(.redisPort) == .standard)
  }

  @Test func theEnvironmentMayNameTheFile() throws {
    let path = try file("max-clients 7")
    defer { unlink(path) }
    let settings = try Configuration.load(flags: [], environment: ["NEXUSCACHE_CONFIG=\(path)"]).settings
    #expect(settings.maxClients == 7)
  }

  @Test func errorsSayWhereAndWhatIsAccepted() throws {
    let path = try file("# first\nmax-memroy = 64mb\n")
    defer { unlink(path) }
    #expect(
      error(flags: [("config", path)]) == "\(path):2: there is no setting 'max-memroy'; did you mean 'max-memory'?")
    #expect(
      error(flags: [("threads", "many")]) == "--threads cannot be 'many': give a whole number from 0 to 256, or auto")
    #expect(
      error(environment: ["NEXUSCACHE_EVICTION=fifo"])
        == "NEXUSCACHE_EVICTION: eviction cannot be 'fifo': give s3fifo, lru, size-aware, random, ttl or none")
    #expect(
      error(environment: ["NEXUSCACHE_EVICTOIN=lru"])
        == "there is no setting for the environment variable NEXUSCACHE_EVICTOIN; did you mean NEXUSCACHE_EVICTION?")
    #expect(
      error(flags: [("config", "/nonexistent")])
        == "config file '/nonexistent' cannot be read: No such file or directory")
  }

  @Test func whatKubernetesPutsInTheEnvironmentIsNoSetting() throws {
    let settings = try Configuration.load(
      flags: [],
      environment: [
        "NEXUSCACHE_SERVICE_HOST=10.0.0.7", "NEXUSCACHE_SERVICE_PORT=6379", "NEXUSCACHE_PORT=tcp://10.0.0.7:6379",
        "NEXUSCACHE_PORT_6379_TCP_ADDR=10.0.0.7", "NEXUSCACHE_REDIS_PORT=tcp://10.0.0.7:6379",
      ]
    ).settings
    #expect(settings.redisPort == 6379 && settings.origin(.redisPort) == .standard)
  }

  @Test func settingsMustMakeSenseTogether() {
    #expect(
      error(flags: [("redis-port", "0"), ("http-port", "0")])?.hasSuffix("open at least one of these doors") == true)
    #expect(error(flags: [("redis-port", "0"), ("http-port", "0"), ("unix-socket", "/tmp/x.sock")]) == nil)
    #expect(
      error(flags: [("redis-port", "8080")])
        == "http-port cannot be '8080': redis-port is the same; give each door a port of its own")
    #expect(error(flags: [("bind", "")]) == "bind is empty: give at least one address, such as 127.0.0.1")
    #expect(
      error(flags: [("data-dir", "/nonexistent")]) == "data-dir cannot be '/nonexistent': there is no such folder")
    #expect(error(flags: [("unix-socket", String(repeating: "x", count: 108))])?.hasSuffix("at most 107 bytes") == true)
  }

  @Test func aNodeStaysByItselfUntilToldOfACluster() throws {
    func isClustered(_ flags: [(String, String)]) throws -> Bool {
      try Configuration.load(flags: flags.map { (name: $0.0, value: $0.1) }, environment: []).settings.isClustered
    }
    #expect(try !isClustered([]))
    #expect(try !isClustered([("node-id", "n1"), ("zone", "a")]))
    #expect(try isClustered([("peer-port", "7946")]))
    #expect(try isClustered([("join", "127.0.0.1:7946")]))
    #expect(try isClustered([("cluster-secret", "s")]))
    #expect(try !isClustered([("join", "127.0.0.1:7946"), ("peer-port", "0")]))
  }

  @Test func whatAClusterNeedsIsAskedFor() {
    #expect(
      error(flags: [("node-id", "n 1")])
        == "node-id cannot be 'n 1': it has 1 to 64 letters, digits, '.', '_' and '-'")
    #expect(
      error(flags: [("join", "10.0.0.1")])
        == "join cannot be '10.0.0.1': write HOST:PORT, such as 10.0.0.1:7946 or [::1]:7946")
    #expect(
      error(flags: [("peer-port", "6379")])
        == "peer-port cannot be '6379': redis-port is the same; give each door a port of its own")
    #expect(
      error(flags: [("discovery", "etcd")]) == "discovery is etcd: say where it is with discovery-url")
    #expect(
      error(flags: [("bind", "0.0.0.0"), ("peer-port", "7946")])
        == "cluster-secret is empty and bind is '0.0.0.0': beyond this machine a cluster needs a secret that all "
        + "members share")
    #expect(error(flags: [("bind", "0.0.0.0"), ("peer-port", "7946"), ("cluster-secret", "s")]) == nil)
  }

  private func error(flags: [(name: String, value: String)] = [], environment: [String] = []) -> String? {
    do {
      _ = try Configuration.load(flags: flags, environment: environment)
      return nil
    } catch { return error.description }
  }

  private func file(_ text: String) throws -> String {
    var path = Array("/tmp/nexus-test-XXXXXX".utf8CString)
    let descriptor = mkstemp(&path)
    try #require(descriptor >= 0)
    defer { close(descriptor) }
    var text = text
    text.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    return String(decoding: path.dropLast().map { UInt8($0) }, as: UTF8.self)
  }
}
