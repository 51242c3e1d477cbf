import NexusDiscovery
import NexusModel
import NexusService
import NexusTestSupport
import Testing

/// A list of addresses that an operator wrote.
@Suite struct StaticDiscoveryTests {
  /// A resolver whose answers a test changes.
  final class Names: Sendable {
    private let answers = Guarded<[String: Result<[String], ResolverFailure>]>([:])
    private let asked = Guarded<Int>(0)

    var lookups: Int { asked.withLock { $0 } }
    func set(_ name: String, _ addresses: String...) { answers.withLock { $0[name] = .success(addresses) } }
    func fail(_ name: String, _ reason: String) {
      answers.withLock { $0[name] = .failure(ResolverFailure(reason: reason)) }
    }
    var resolve: Resolver {
      { name in
        self.asked.withLock { $0 += 1 }
        return self.answers.withLock { $0[name] ?? .failure(ResolverFailure(reason: "no such name")) }
      }
    }
  }

  @Test func addressesAreFoundButNotOnesOwn() throws {
    let finds = Finds()
    let list = try ["127.0.0.1:7001", "127.0.0.1:7002", "[::1]:7003"].map { try NetworkAddress(parsing: $0) }
    let discovery = StaticDiscovery(list, log: SilentLog())
    discovery.start(member("a", port: 7001), events: finds.receive)
    #expect(finds.become(["127.0.0.1:7002", "[::1]:7003"]))
    #expect(discovery.deregister(timeoutMilliseconds: 0))
    discovery.stop()
    #expect(finds.all.count == 2)
  }

  @Test func aNameThatDoesNotResolveIsSaidOnceAndTriedAgain() {
    let (names, finds, log) = (Names(), Finds(), KeptLog())
    names.set("one", "10.0.0.1")
    names.fail("two", "temporary failure in name resolution")
    let discovery = StaticDiscovery(
      [NetworkAddress(host: "one", port: 1), NetworkAddress(host: "two", port: 2)], intervalMilliseconds: 5,
      retryMilliseconds: 1,
      resolver: names.resolve, log: log)
    discovery.start(member("a", port: 7001), events: finds.receive)
    #expect(finds.become(["10.0.0.1:1"]))
    let before = names.lookups
    #expect(eventually { names.lookups > before + 10 })
    #expect(log.count("does not resolve") == 1)
    #expect(log.count("name=two reason=temporary failure in name resolution") == 1)
    names.set("two", "10.0.0.2", "10.0.0.3")
    #expect(finds.become(["10.0.0.1:1", "10.0.0.2:2", "10.0.0.3:2"]))
    #expect(log.count("resolves now name=two") == 1)
    discovery.stop()
  }

  @Test func aNameThatChangesMovesAndOneThatIsLostStands() {
    let (names, finds, log) = (Names(), Finds(), KeptLog())
    names.set("one", "10.0.0.1", "10.0.0.2")
    let discovery = StaticDiscovery(
      [NetworkAddress(host: "one", port: 1), NetworkAddress(host: "other", port: 1)], intervalMilliseconds: 2,
      retryMilliseconds: 1,
      resolver: names.resolve, log: log)
    names.set("other", "10.0.0.2")
    discovery.start(member("a", port: 7001), events: finds.receive)
    #expect(finds.become(["10.0.0.1:1", "10.0.0.2:1"]))
    // The other name still stands for the second address.
    names.set("one", "10.0.0.9")
    #expect(finds.become(["10.0.0.9:1", "10.0.0.2:1"]))
    names.fail("one", "no such name")
    #expect(eventually { log.count("does not resolve") == 1 })
    #expect(finds.current == ["10.0.0.9:1", "10.0.0.2:1"])
    discovery.stop()
    let said = finds.all.count
    names.set("one", "10.0.0.10")
    #expect(finds.all.count == said)
  }

  @Test func theSystemResolvesAddressesAndSaysWhyItDoesNot() throws {
    #expect(try resolveBySystem("127.0.0.1").get() == ["127.0.0.1"])
    #expect(try resolveBySystem("::1").get() == ["::1"])
    guard case .failure(let failure) = resolveBySystem("no-such-host.invalid") else {
      Issue.record("a name of .invalid resolves")
      return
    }
    #expect(!failure.reason.isEmpty)
  }

  @Test func addressesAreReadAsPeopleWriteThem() throws {
    #expect(try NetworkAddress(parsing: "cache-1.example:7946") == NetworkAddress(host: "cache-1.example", port: 7946))
    #expect(try NetworkAddress(parsing: "[fd00::5]:1") == NetworkAddress(host: "fd00::5", port: 1))
    #expect(try NetworkAddress(parsing: "[fd00::5]", defaultPort: 7946).description == "[fd00::5]:7946")
    #expect(try NetworkAddress(parsing: "10.0.0.5", defaultPort: 7946).description == "10.0.0.5:7946")
    for text in [
      "", ":", ":7946", "a", "a:", "a:0", "a:65536", "a:+1", "a:1x", "fd00::5", "fd00::5:1", "[fd00::5", "[]:1",
      "[a]:1",
      "[::1]x", "[::1]7946", "a b:1", "a\n:1", String(repeating: "a", count: 254) + ":1",
    ] {
      #expect(throws: NetworkAddress.Invalid.self, "\(text)") { try NetworkAddress(parsing: text) }
    }
    do { _ = try NetworkAddress(parsing: "cache-1") } catch {
      #expect(error.description.contains("'cache-1' is no address"))
    }
  }
}
