import NexusDiscovery
import NexusModel
import NexusService
import NexusTestSupport
import Testing

/// Real agents on this machine's loopback.
@Suite(.serialized, .enabled(if: SerfAgent.isInstalled, "scripts/setup test installs serf"))
struct SerfDiscoveryTests {
  private func discovery(of agent: SerfAgent, key: String? = nil, log: any Log = SilentLog()) -> SerfDiscovery {
    SerfDiscovery(
      SerfDiscovery.Configuration(
        agent: NetworkAddress(host: "127.0.0.1", port: UInt16(agent.rpcPort)), authenticationKey: key,
        refreshMilliseconds: 500, timeoutMilliseconds: 5000, retryMilliseconds: 20...200), log: log)
  }

  @Test func nodesFindOneAnotherAndSeeOneAnotherGo() throws {
    let first = try SerfAgent("first"), second = try SerfAgent("second", join: first)
    let firstFinds = Finds(), secondFinds = Finds()
    let one = discovery(of: first), two = discovery(of: second)
    one.start(member("one", port: 7001), events: firstFinds.receive)
    two.start(member("two", port: 7002), events: secondFinds.receive)
    #expect(firstFinds.become(["127.0.0.1:7002"]), "\(firstFinds.all)")
    #expect(secondFinds.become(["127.0.0.1:7001"]), "\(secondFinds.all)")

    // The second node leaves, its agent stays: then it comes back.
    #expect(two.deregister(timeoutMilliseconds: 10_000))
    #expect(firstFinds.become([]), "\(firstFinds.all)")
    two.stop()
    let again = discovery(of: second)
    again.start(member("two", port: 7003), events: secondFinds.receive)
    #expect(firstFinds.become(["127.0.0.1:7003"]), "\(firstFinds.all)")

    // The machine of the second dies.
    again.stop()
    second.kill()
    #expect(firstFinds.become([], seconds: 60), "\(firstFinds.all)")
    one.stop()
    let said = firstFinds.all.count
    #expect(firstFinds.all.count == said)
  }

  @Test func anAgentThatLeavesTakesItsNodeWithIt() throws {
    let first = try SerfAgent("first"), second = try SerfAgent("second", join: first)
    let finds = Finds()
    let one = discovery(of: first), two = discovery(of: second)
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: { _ in })
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(try second.run("leave"))
    #expect(finds.become([]), "\(finds.all)")
    two.stop()
    one.stop()
  }

  @Test func anAgentThatRestartsIsRegisteredWithAgainAndWhatItSaidStands() throws {
    let first = try SerfAgent("first"), second = try SerfAgent("second", join: first)
    let firstFinds = Finds(), secondFinds = Finds(), log = KeptLog()
    let one = discovery(of: first, log: log), two = discovery(of: second)
    one.start(member("one", port: 7001), events: firstFinds.receive)
    two.start(member("two", port: 7002), events: secondFinds.receive)
    #expect(firstFinds.become(["127.0.0.1:7002"]), "\(firstFinds.all)")
    #expect(secondFinds.become(["127.0.0.1:7001"]), "\(secondFinds.all)")
    // Either may have been said while the agent started.
    let (warnings, returns) = (log.count("no conversation"), log.count("answers again"))

    first.kill()
    #expect(eventually(seconds: 30) { log.count("no conversation") == warnings + 1 }, "\(log.all)")
    #expect(secondFinds.become([], seconds: 60), "\(secondFinds.all)")
    // Alone at first: the agent knows nobody, and the node goes on knowing the other.
    try first.start(join: nil)
    #expect(eventually(seconds: 30) { log.count("answers again") == returns + 1 }, "\(log.all)")
    #expect(firstFinds.current == ["127.0.0.1:7002"])
    // The second agent remembers the first and joins it again, by itself or when told to.
    #expect(try first.run("join", "127.0.0.1:\(second.gossipPort)"))
    #expect(secondFinds.become(["127.0.0.1:7001"], seconds: 60), "\(secondFinds.all)")
    #expect(firstFinds.current == ["127.0.0.1:7002"])
    #expect(log.count("no conversation") == warnings + 1, "\(log.all)")
    one.stop()
    two.stop()
  }

  @Test func anAgentWithAKeyWantsTheKey() throws {
    let agent = try SerfAgent("first", key: "right")
    let other = try SerfAgent("second", extra: ["-tag", "nexuscache_peer=7002", "-tag", "role=web"], join: agent)
    let log = KeptLog(), finds = Finds()
    let wrong = discovery(of: agent, key: "wrong", log: log)
    wrong.start(member("one", port: 7001), events: finds.receive)
    #expect(eventually(seconds: 30) { log.count("reason=it answers: Invalid authentication token") == 1 }, "\(log.all)")
    let right = discovery(of: agent, key: "right")
    right.start(member("one", port: 7001), events: finds.receive)
    // A tag that an operator set: a port, at the agent's address.
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(!wrong.deregister(timeoutMilliseconds: 50))
    #expect(log.count("Invalid authentication token") == 1, "\(log.all)")
    wrong.stop()
    right.stop()
    _ = other
  }

  @Test func whereNobodyListensOneLineSaysSo() {
    let log = KeptLog()
    let discovery = SerfDiscovery(
      SerfDiscovery.Configuration(agent: NetworkAddress(host: "127.0.0.1", port: 1), retryMilliseconds: 1...5), log: log
    )
    discovery.start(member("one", port: 7001), events: { _ in })
    #expect(eventually { log.count("no conversation") == 1 })
    #expect(log.count("agent=127.0.0.1:1 reason=Connection refused") == 1, "\(log.all)")
    discovery.stop()
    #expect(log.all.count == 1, "\(log.all)")
  }
}
