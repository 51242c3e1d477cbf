import NexusModel
import NexusService
import NexusStore
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A filter's memory and its changes")
struct FilterMemoryTests {
  private let noRoom = "-OOM command not allowed when used memory > 'maxmemory'.|"

  @Test("count against the node's limit when it is made and when it grows; without room nothing changes")
  func limits() {
    let node = FakeNode()
    node.node.store.maxMemoryBytes = 12 << 20
    var settings = node.node.store.settings(of: 0)!
    settings.eviction = .none
    node.node.store.configure(0, settings, as: 1)
    let client = node.connect()
    #expect(client.ask("CF.RESERVE f 40000000") == noRoom)
    #expect(client.ask("EXISTS f") == ":0|")
    #expect(client.ask("CF.RESERVE f 400000 EXPANSION 20") == "+OK|")
    let size = node.node.store.memory.usedBytes
    var (added, reply) = (0, "")
    while added < 420_000, !reply.contains("-") {
      client.push(request(["CF.INSERT", "f", "ITEMS"] + (added..<added + 20_000).map { "\($0)" }))
      reply = client.take()
      if !reply.contains("-") { added += 20_000 }
    }
    // Its second layer would take some 15 MB.
    #expect(reply == noRoom && added == 400_000)
    #expect(client.ask("CF.INFO f").contains("Number of items inserted|:400000|"))
    #expect(abs(node.node.store.memory.usedBytes - size) < 200_000)
    #expect(client.ask("CF.EXISTS f 5", "CF.DEL f 5", "CF.ADD f again", "CF.ADD f more") == ":1|:1|:1|\(noRoom)")
    #expect(client.ask("DEL f") == ":1|")
    #expect(node.node.store.memory.usedBytes < size - 400_000)
  }

  @Test("are seen by who watches the key, and not by who has watched in vain")
  func watching() {
    let node = FakeNode()
    let client = node.connect()
    let other = node.connect()
    for (change, isChange) in [
      ("CF.ADD f a", true), ("CF.ADD f b", true), ("CF.DEL f b", true), ("CF.DEL f none", false),
      ("CF.ADDNX f a", false), ("CF.EXISTS f a", false), ("CF.INSERTNX f ITEMS a a", false),
      ("CF.INSERTNX f ITEMS a c", true), ("CF.RESERVE f 10", false), ("CF.RESERVE g 10", false),
    ] {
      client.ask("WATCH f")
      other.ask(change)
      let reply = client.ask("MULTI", "PING", "EXEC")
      #expect(reply.hasSuffix(isChange ? "*-1|" : "*1|+PONG|"), "\(change): \(reply)")
    }
  }

  @Test("are part of a transaction like any other")
  func transactions() {
    let client = FakeNode().connect()
    let reply = client.ask("MULTI", "CF.RESERVE f 10 EXPANSION 1", "CF.INSERT f ITEMS a b", "CF.EXISTS f a", "EXEC")
    #expect(reply == "+OK|+QUEUED|+QUEUED|+QUEUED|*3|+OK|*2|:1|:1|:1|")
    var lines = ["MULTI"]
    for item in 0..<50 { lines.append("CF.ADD f \(item)") }
    client.push(Array((lines + ["EXEC"]).map { $0 + "\r\n" }.joined().utf8))
    #expect(client.take().hasSuffix("*50|" + String(repeating: ":1|", count: 50)))
    #expect(client.ask("CF.INFO f CAPACITY") == "*1|:60|")
    #expect(client.ask("HELLO 3", "CF.INFO f ERROR", "CF.INFO f").contains("*1|,0.01|%8|+Size|:"))
  }
}
