import NexusModel
import NexusService
import Testing

@testable import NexusRedisDoor

@Suite("Channels of events")
struct EventChannelTests {
  @Test("tell subscribers on every loop what the node announces, in its order")
  func subscribing() {
    let node = FakeNode(loops: 2)
    let near = node.connect(loop: 0)
    let far = node.connect(loop: 1)
    _ = near.say("SUBSCRIBE __nexus__:membership")
    _ = far.say("PSUBSCRIBE __nexus__:*")
    for member in ["n2", "n3"] {
      node.node.announce(.membership, "joined", at: 5) { $0.append(",\"member\":\"\(member)\"" as String) }
    }
    node.node.announce(.topology, "settled", at: 6) { _ in }
    node.settle()
    let (heard, all) = (near.take(), far.take())
    #expect(heard.contains("|message|$20|__nexus__:membership|"))
    #expect(all.contains("|pmessage|$11|__nexus__:*|$18|__nexus__:topology|"))
    func sequences(_ text: String) -> [String] {
      text.split(separator: "\"sequence\":").dropFirst().map { String($0.prefix { $0 != "," }) }
    }
    #expect(sequences(heard) == ["1", "2"])
    #expect(sequences(all) == ["1", "2", "3"])
    #expect(heard.contains(#""type":"membership","event":"joined","node":"1""#))
  }

  @Test("are the node's own: clients cannot publish there, within MULTI either")
  func publishing() {
    let node = FakeNode()
    let client = node.connect()
    let refused =
      "-ERR channels whose names begin with __nexus__: tell the node's own events: clients subscribe to them and "
      + "cannot publish there|"
    #expect(client.say("PUBLISH __nexus__:membership lies") == refused)
    #expect(client.say("SPUBLISH __nexus__:topology lies") == refused)
    #expect(client.say("MULTI", "PUBLISH __nexus__:x lies", "EXEC") == "+OK|+QUEUED|*1|" + refused)
    #expect(client.say("PUBLISH __nexus__ truth") == ":0|")
  }

  @Test("tell of flushes, with the namespace's name")
  func flushing() {
    let node = FakeNode()
    let listener = node.connect()
    let client = node.connect()
    _ = listener.say("SUBSCRIBE __nexus__:invalidation")
    #expect(client.say("SELECT 3", "FLUSHDB", "FLUSHALL") == "+OK|+OK|+OK|")
    node.settle()
    let heard = listener.take()
    #expect(heard.contains(#""event":"flush""#) && heard.contains(#""scope":"namespace","namespace":"db3"}"#))
    #expect(heard.contains(#""scope":"all"}"#))
  }
}
