import NexusModel
import NexusService
import Testing

@testable import NexusRedisDoor

@Suite("A transaction whose slot is elsewhere")
struct DistantTransactionTests {
  let cluster = FakeCluster(3)
  var stranger: FakeClient { cluster.connect(to: cluster.stranger(to: "{x}")) }
  var native: FakeClient { cluster.connect(to: cluster.owner(of: "{x}")) }

  @Test("runs there as one, and answers one array")
  func runs() {
    #expect(
      stranger.ask("MULTI", "SET {x}a 1", "INCR {x}a", "PING", "GET {x}b", "EXEC", "GET {x}a")
        == "+OK|+QUEUED|+QUEUED|+QUEUED|+QUEUED|*4|+OK|:2|+PONG|$-1|$1|2|")
    #expect(stranger.ask("MULTI", "PING", "EXEC", "MULTI", "EXEC") == "+OK|+QUEUED|*1|+PONG|+OK|*0|")
    #expect(stranger.ask("MULTI", "SET {x}a 2", "DISCARD", "GET {x}a") == "+OK|+QUEUED|+OK|$1|2|")
  }

  @Test("has all of its keys in one slot, wherever that is")
  func oneSlot() {
    for client in [stranger, native] {
      #expect(
        client.ask("MULTI", "SET {x}a 1", "SET {y}a 1", "EXEC", "GET {x}a")
          == "+OK|+QUEUED|-CROSSSLOT Keys in request don't hash to the same slot|"
          + "-EXECABORT Transaction discarded because of previous errors.|$-1|")
      #expect(client.ask("MULTI", "MGET {x}a {y}a", "EXEC").hasSuffix("discarded because of previous errors.|"))
    }
    #expect(
      FakeCluster(1).connect(to: 0).ask("MULTI", "SET a 1", "SET b 1", "EXEC") == "+OK|+QUEUED|+QUEUED|*2|+OK|+OK|")
  }

  @Test("holds only what can run on another member")
  func travels() {
    #expect(
      native.ask("MULTI", "CLIENT SETNAME n", "EXEC")
        == "+OK|-ERR 'client|setname' cannot be part of a transaction in a cluster, where it may run on another member|"
        + "-EXECABORT Transaction discarded because of previous errors.|")
  }

  @Test("runs only while nobody touched what was watched")
  func watched() {
    let (client, other) = (stranger, native)
    #expect(client.ask("WATCH {x}a", "MULTI", "SET {x}a 1", "EXEC") == "+OK|+OK|+QUEUED|*1|+OK|")
    #expect(client.ask("WATCH {x}a") == "+OK|")
    #expect(other.ask("SET {x}a 5") == "+OK|")
    #expect(client.ask("MULTI", "SET {x}a 1", "EXEC", "GET {x}a") == "+OK|+QUEUED|*-1|$1|5|")
    #expect(client.ask("MULTI", "INCR {x}a", "EXEC") == "+OK|+QUEUED|*1|:6|", "EXEC ends the watching")
    #expect(client.ask("WATCH {x}a", "WATCH {x}b", "SET {x}b 1", "MULTI", "EXEC") == "+OK|+OK|+OK|+OK|*-1|")
    #expect(
      client.ask("WATCH {x}a", "SET {x}a 7", "UNWATCH", "MULTI", "GET {x}a", "EXEC")
        == "+OK|+OK|+OK|+OK|+QUEUED|*1|$1|7|")
    #expect(
      client.ask("WATCH {x}a", "WATCH {y}a", "UNWATCH")
        == "+OK|-CROSSSLOT Keys in request don't hash to the same slot|+OK|")
    #expect(client.ask("WATCH {x}a", "MULTI", "GET {y}a", "EXEC").hasSuffix("same slot|"))
    #expect(watches == 0)
  }

  private var watches: Int {
    cluster.nodes.reduce(0) { sum, node in
      sum + node.door.watches.count + node.loops.reduce(0) { $0 + $1.engine.peerWatches.count }
    }
  }

  @Test("leaves no watch behind, whatever becomes of its connection")
  func leavesNothing() {
    let client = stranger
    _ = client.ask("WATCH {x}a")
    #expect(watches == 2)
    client.close(.byPeer)
    cluster.settle()
    #expect(watches == 0)
    let other = stranger
    _ = other.ask("WATCH {x}a", "MULTI", "DISCARD")
    #expect(watches == 0)
    _ = other.ask("WATCH {x}a", "RESET")
    #expect(watches == 0)
    _ = other.ask("WATCH {x}a")
    for node in cluster.nodes { node.loops[0].engine.forgetPeer(MemberNumber(cluster.stranger(to: "{x}"))) }
    #expect(watches == 0)
    #expect(other.ask("MULTI", "PING", "EXEC") == "+OK|+QUEUED|*-1|")
  }

  @Test("does not run when the slot of what was watched has moved")
  func moved() {
    let (client, near) = (stranger, native)
    let slot = cluster.slot(of: "{x}")
    #expect(client.ask("WATCH {x}a") == "+OK|")
    #expect(near.ask("WATCH {x}a") == "+OK|")
    let owner = cluster.owner(of: "{x}")
    cluster.move(slot, to: (owner + 2) % 3)
    #expect(client.ask("MULTI", "GET {x}a", "EXEC") == "+OK|+QUEUED|*-1|")
    #expect(near.ask("MULTI", "GET {x}a", "EXEC") == "+OK|+QUEUED|*-1|")
    #expect(near.ask("MULTI", "SET {x}a 1", "EXEC", "GET {x}a") == "+OK|+QUEUED|*1|+OK|$1|1|")
  }
}
