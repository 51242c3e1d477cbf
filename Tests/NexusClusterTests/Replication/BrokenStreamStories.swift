import NexusModel
import NexusStore
import Testing

@testable import NexusCluster

@Suite("Streams that break")
struct BrokenStreamStories {
  @Test("what lies in a stream that was given up is not taken after the next one has begun")
  func fence() {
    let cluster = SmallCluster(2, copies: 2)
    let key = cluster.key(of: 0)
    let (client, owner) = (cluster.connect(0), cluster.members[0])
    #expect(client.send("SET \(key) old") == "+OK|")
    #expect(owner.peer.turnEnding() == false)
    cluster.network.tear(from: SmallCluster.port(0), to: SmallCluster.port(1))
    cluster.settle()
    #expect(owner.control.marked[1]?.count == 1)
    owner.replicator.publishLags()
    #expect(owner.replicator.lags.withLock { $0[1] } != nil, "the old stream is not fenced off yet")
    // Nobody writes, and yet a new stream begins.
    cluster.advance(milliseconds: 1000)
    #expect(owner.replicator.lags.withLock { $0[1] } == nil)
    #expect(client.ask("DEL \(key)") == ":1|")
    #expect(cluster.stored(key) == ["deleted", "deleted"])
    for member in cluster.members {
      let slot = UInt16(SmallCluster.slot(of: key))
      let upTo = Stamp(milliseconds: member.loop.now + 1000)
      member.node.store.collectTombstones(slot, upTo: upTo, raisingFloor: false, as: 8)
    }
    cluster.network.deliverLate()
    cluster.settle()
    #expect(cluster.stored(key) == ["-", "-"])
    #expect(client.ask("SET \(key) new") == "+OK|")
    #expect(cluster.stored(key) == ["new", "new"])
  }

  @Test("a later process of a member ends the streams of the one before it, whatever loop they were of")
  func laterProcess() {
    let fences = StreamFences()
    let (member, other) = (SmallCluster.id(1), SmallCluster.id(2))
    let (first, second) = (StreamFences.first(startedAt: 1000), StreamFences.first(startedAt: 1001))
    let old = (0..<3).map { fences.begin(first + 5, of: member, loop: $0) }
    let others = fences.begin(first + 1, of: other, loop: 0)
    let uncounted = fences.begin(0, of: member, loop: 2)
    #expect(old.allSatisfy { !$0.isPassed })
    let next = fences.begin(first + 6, of: member, loop: 0)
    #expect(old.map(\.isPassed) == [true, false, false] && !next.isPassed)
    let late = fences.begin(first + 5, of: member, loop: 0)
    #expect(late.isPassed, "it was opened before")
    let new = fences.begin(second + 1, of: member, loop: 1)
    #expect(old.allSatisfy(\.isPassed) && next.isPassed && !new.isPassed && !others.isPassed && !uncounted.isPassed)
  }
}

@Suite("News that nobody expected from there")
struct UnexpectedNewsStories {
  @Test("what comes from a member that does not execute the slot is told to who compares copies")
  func former() {
    let cluster = SmallCluster(3, copies: 3)
    let key = cluster.key(of: 0)
    let slot = Slot(index: UInt16(SmallCluster.slot(of: key)))
    #expect(cluster.connect(0).ask("SET \(key) 1") == "+OK|")
    #expect(cluster.members.allSatisfy { $0.control.merged.isEmpty })
    // Member 1 executes the slot for itself already; the others have not heard of it.
    let taker = cluster.members[1]
    taker.node.routes.set(slot, .here)
    #expect(cluster.connect(0).ask("SET \(key) 2") == "+OK|")
    #expect(taker.control.merged[taker.number(0)]?.contains(slot) == true)
    #expect(cluster.members[2].control.merged.isEmpty)
    #expect(cluster.connect(1).ask("SET \(key) 3") == "+OK|")
    let third = cluster.members[2]
    #expect(third.control.merged[third.number(1)]?.contains(slot) == true)
  }
}
