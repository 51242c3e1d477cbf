import Foundation
import NexusDiscovery
import NexusModel
import NexusService
import NexusTestSupport
import Testing

/// Real etcd servers, Debian's, with nodes whose leases last three seconds.
@Suite(.serialized, .enabled(if: EtcdServer.isInstalled, "scripts/setup test installs etcd"))
struct EtcdDiscoveryTests {
  @Test func `nodes find one another and see one another go`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let firstFinds = Finds(), secondFinds = Finds()
    let one = try loop.discovery(etcd.url), two = try loop.discovery(etcd.url)
    one.start(member("one", port: 7001), events: firstFinds.receive)
    two.start(member("two", port: 7002), events: secondFinds.receive)
    #expect(firstFinds.become(["127.0.0.1:7002"]), "\(firstFinds.all)")
    #expect(secondFinds.become(["127.0.0.1:7001"]), "\(secondFinds.all)")
    #expect(try etcd.control("get", "/nexuscache/test/members/one").output.contains("127.0.0.1:7001"))

    // The second leaves, and comes back elsewhere.
    #expect(two.deregister(timeoutMilliseconds: 10_000))
    #expect(firstFinds.become([]), "\(firstFinds.all)")
    two.stop()
    let again = try loop.discovery(etcd.url)
    again.start(member("two", port: 7003), events: secondFinds.receive)
    #expect(firstFinds.become(["127.0.0.1:7003"]), "\(firstFinds.all)")

    // It ends without a word: its lease runs out.
    again.stop()
    #expect(firstFinds.become([]), "\(firstFinds.all)")
    #expect(try etcd.control("get", "/nexuscache/test/members/two").output.isEmpty)
    one.stop()
    #expect(firstFinds.all.count == 4, "\(firstFinds.all)")
  }

  @Test func `of many that start at the same moment each finds all others`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let names = (1...12).map { UInt16($0) }
    let finds = names.map { _ in Finds() }
    let nodes = try names.map { _ in try loop.discovery(etcd.url) }
    for (index, number) in names.enumerated() {
      nodes[index].start(member("node-\(number)", port: 7000 + number), events: finds[index].receive)
    }
    for (index, number) in names.enumerated() {
      let others = Set(names.filter { $0 != number }.map { "127.0.0.1:\(7000 + $0)" })
      #expect(finds[index].become(others), "\(finds[index].all)")
    }
    for node in nodes { node.stop() }
  }

  @Test func `clusters that share an etcd do not see one another`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let finds = Finds()
    let one = try loop.discovery(etcd.url, cluster: "red")
    one.start(member("one", port: 7001), events: finds.receive)
    let stranger = try loop.discovery(etcd.url, cluster: "red/members"), other = try loop.discovery(etcd.url)
    stranger.start(member("two", port: 7002), events: { _ in })
    other.start(member("three", port: 7003), events: { _ in })
    let friend = try loop.discovery(etcd.url, cluster: "red")
    #expect(eventually { (try? etcd.control("get", "--prefix", "/nexuscache"))?.output.contains("7003") == true })
    friend.start(member("four", port: 7004), events: { _ in })
    #expect(finds.become(["127.0.0.1:7004"]), "\(finds.all)")
    #expect(finds.all.count == 1, "\(finds.all)")
    for node in [one, stranger, other, friend] { node.stop() }
  }

  @Test func `two nodes of one name are told, and the one that stays is registered in the end`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let log = KeptLog(), finds = Finds()
    let watcher = try loop.discovery(etcd.url)
    watcher.start(member("watcher", port: 7000), events: finds.receive)
    let first = try loop.discovery(etcd.url, log: log), second = try loop.discovery(etcd.url)
    first.start(member("twin", port: 7001), events: { _ in })
    #expect(finds.become(["127.0.0.1:7001"]), "\(finds.all)")
    second.start(member("twin", port: 7002), events: { _ in })
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(eventually { log.count("under this one's name") == 1 }, "\(log.all)")
    #expect(second.deregister(timeoutMilliseconds: 10_000))
    #expect(finds.become(["127.0.0.1:7001"]), "\(finds.all)")
    #expect(log.count("under this one's name") == 1, "\(log.all)")
    for node in [watcher, first, second] { node.stop() }
  }

  @Test func `what operators do to the keys is followed, and undone where it is a node's own`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let log = KeptLog(), finds = Finds(), otherFinds = Finds()
    let one = try loop.discovery(etcd.url, log: log), two = try loop.discovery(etcd.url)
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: otherFinds.receive)
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(otherFinds.become(["127.0.0.1:7001"]), "\(otherFinds.all)")

    try etcd.control("put", "/nexuscache/test/members/by-hand", "10.0.0.9:7946 put here by hand")
    #expect(finds.become(["127.0.0.1:7002", "10.0.0.9:7946"]), "\(finds.all)")
    try etcd.control("put", "/nexuscache/test/members/by-hand", "db-9")
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(eventually { log.count("key=/nexuscache/test/members/by-hand value=db-9") == 1 }, "\(log.all)")

    // A key taken away, then the lease under it.
    let before = otherFinds.all.count
    try etcd.control("del", "/nexuscache/test/members/one")
    #expect(eventually(seconds: 30) { otherFinds.all.count == before + 2 }, "\(otherFinds.all)")
    let leases = try etcd.control("lease", "list").output.split(separator: "\n").filter { $0.count == 16 }
    #expect(leases.count == 2, "\(leases)")
    for lease in leases { try etcd.control("lease", "revoke", String(lease)) }
    #expect(eventually(seconds: 30) { otherFinds.all.count == before + 4 }, "\(otherFinds.all)")
    #expect(otherFinds.current == ["127.0.0.1:7001"])
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(log.count("has lost this node's lease") == 1, "\(log.all)")
    one.stop()
    two.stop()
  }

  @Test(arguments: [false, true])
  func `an etcd that was gone is registered with again, and what it said stands`(_ losesItsData: Bool) throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let log = KeptLog(), finds = Finds(), otherFinds = Finds()
    let one = try loop.discovery(etcd.url, log: log), two = try loop.discovery(etcd.url)
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: otherFinds.receive)
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(otherFinds.become(["127.0.0.1:7001"]), "\(otherFinds.all)")

    try etcd.kill(losingItsData: losesItsData)
    #expect(eventually(seconds: 30) { log.count("no conversation with etcd") == 1 }, "\(log.all)")
    // Longer than a lease lasts.
    usleep(4_000_000)
    #expect(finds.current == ["127.0.0.1:7002"])
    try etcd.start()
    #expect(eventually(seconds: 30) { log.count("etcd answers again") == 1 }, "\(log.all)")
    let third = try loop.discovery(etcd.url), thirdFinds = Finds()
    third.start(member("three", port: 7003), events: thirdFinds.receive)
    #expect(thirdFinds.become(["127.0.0.1:7001", "127.0.0.1:7002"]), "\(thirdFinds.all)")
    #expect(finds.become(["127.0.0.1:7002", "127.0.0.1:7003"]), "\(finds.all)")
    // Of the connection that broke; none of those that could not be made.
    #expect(log.count("no conversation with etcd") == 1, "\(log.all)")
    for node in [one, two, third] { node.stop() }
  }

  @Test func `an etcd that stands still for longer than a lease is registered with again`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let log = KeptLog(), finds = Finds(), otherFinds = Finds()
    let one = try loop.discovery(etcd.url, log: log), two = try loop.discovery(etcd.url)
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: otherFinds.receive)
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(otherFinds.become(["127.0.0.1:7001"]), "\(otherFinds.all)")

    etcd.process?.signal(SIGSTOP)
    #expect(eventually(seconds: 30) { log.count("reason=no answer within 2000 ms") == 1 }, "\(log.all)")
    usleep(4_000_000)
    #expect(finds.current == ["127.0.0.1:7002"])
    #expect(!two.deregister(timeoutMilliseconds: 100))
    etcd.process?.signal(SIGCONT)
    #expect(eventually(seconds: 30) { log.count("etcd answers again") == 1 }, "\(log.all)")
    // What could not be done in time is done now.
    #expect(finds.become([]), "\(finds.all)")
    let third = try loop.discovery(etcd.url), thirdFinds = Finds()
    third.start(member("three", port: 7003), events: thirdFinds.receive)
    #expect(thirdFinds.become(["127.0.0.1:7001"]), "\(thirdFinds.all)")
    #expect(finds.become(["127.0.0.1:7003"]), "\(finds.all)")
    for node in [one, two, third] { node.stop() }
  }

  @Test func `a node goes on with another member of etcd's cluster where one ends`() throws {
    let servers = try EtcdServer.cluster("a", "b", "c"), loop = try DiscoveryLoop()
    let urls = servers.map(\.url).joined(separator: ",")
    let one = try loop.discovery(urls), two = try loop.discovery(urls), finds = Finds()
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: { _ in })
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    for server in servers {
      try server.kill()
      let guest = try loop.discovery(urls), guestFinds = Finds()
      guest.start(member("guest", port: 7003), events: guestFinds.receive)
      #expect(guestFinds.become(["127.0.0.1:7001", "127.0.0.1:7002"], seconds: 60), "\(guestFinds.all)")
      #expect(finds.become(["127.0.0.1:7002", "127.0.0.1:7003"], seconds: 60), "\(finds.all)")
      #expect(guest.deregister(timeoutMilliseconds: 20_000))
      #expect(finds.become(["127.0.0.1:7002"], seconds: 60), "\(finds.all)")
      guest.stop()
      try server.start()
    }
    one.stop()
    two.stop()
  }

  @Test func `an etcd that takes no keys still says who is there, and is asked until it takes them`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    let log = KeptLog(), finds = Finds(), otherFinds = Finds()
    let one = try loop.discovery(etcd.url), two = try loop.discovery(etcd.url, log: log)
    one.start(member("one", port: 7001), events: finds.receive)
    #expect(eventually { (try? etcd.control("get", "--prefix", "/nexuscache"))?.output.contains("7001") == true })
    let alarm = try ChildProcess.run(
      Environment.find(program: "curl")!,
      ["-s", "-d", #"{"action":"ACTIVATE","alarm":"NOSPACE","memberID":"1"}"#, etcd.url + "/v3/maintenance/alarm"])
    #expect(alarm.output.contains("NOSPACE"), "\(alarm.output)")
    two.start(member("two", port: 7002), events: otherFinds.receive)
    #expect(otherFinds.become(["127.0.0.1:7001"]), "\(otherFinds.all)")
    #expect(eventually(seconds: 30) { log.count("database space exceeded") == 1 }, "\(log.all)")
    usleep(1_500_000)
    #expect(log.count("etcd does not register this node") == 1, "\(log.all)")
    #expect(finds.current.isEmpty)
    try etcd.control("alarm", "disarm")
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    #expect(eventually { log.count("etcd registers this node again") == 1 }, "\(log.all)")
    one.stop()
    two.stop()
  }

  @Test func `a wrong endpoint is one line, and the right one beside it is found`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop(), other = try DiscoveryLoop(serving: true)
    let wrong = [
      ("http://127.0.0.1:1", "the connection was refused"),
      ("http://127.0.0.1:\(other.runtime.endpoints[0].port!)", "it answers: unimplemented"),
      ("http://nobody.invalid:2379", "its name does not resolve"),
    ]
    for (url, reason) in wrong {
      let log = KeptLog()
      let lost = try loop.discovery(url, log: log)
      lost.start(member("lost", port: 7009), events: { _ in })
      #expect(eventually(seconds: 30) { !log.all.isEmpty }, "\(url)")
      // There is nothing to take away.
      #expect(lost.deregister(timeoutMilliseconds: 10_000))
      #expect(log.count("endpoint=\(url) reason=\(reason)") == 1, "\(log.all)")
      #expect(log.all.count == 1 + log.count("does not register this node"), "\(log.all)")
      lost.stop()
    }
    let finds = Finds(), urls = (wrong.map(\.0) + [etcd.url]).joined(separator: ",")
    let one = try loop.discovery(urls), two = try loop.discovery(urls)
    one.start(member("one", port: 7001), events: finds.receive)
    two.start(member("two", port: 7002), events: { _ in })
    #expect(finds.become(["127.0.0.1:7002"]), "\(finds.all)")
    one.stop()
    two.stop()
  }
}
