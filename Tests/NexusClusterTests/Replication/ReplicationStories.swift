import NexusModel
import NexusService
import NexusStore
import NexusTestSupport
import NexusWire
import Testing

@testable import NexusCluster

@Suite("Writes reach the members that have copies")
struct ReplicationStories {
  @Test("a value, its changes, its expiry and its end are the same on all of them")
  func everyChange() {
    let cluster = SmallCluster(3, copies: 3)
    let client = cluster.connect(0)
    for owner in 0..<3 {
      let key = cluster.key(of: owner)
      #expect(client.ask("SET \(key) one", "APPEND \(key) two") == "+OK|:6|")
      #expect(cluster.stored(key) == ["onetwo", "onetwo", "onetwo"])
      #expect(client.ask("PEXPIRE \(key) 100", "SETRANGE \(key) 3 TWO", "SETBIT \(key) 7 1") == ":1|:6|:1|")
      #expect(cluster.stored(key) == ["oneTWO", "oneTWO", "oneTWO"])
      #expect(Set(cluster.digests(of: key)).count == 1)
      cluster.advance(milliseconds: 200)
      #expect(client.ask("GET \(key)") == "$-1|")
      #expect(client.ask("SET \(key) again", "DEL \(key)") == "+OK|:1|")
      #expect(cluster.stored(key) == ["deleted", "deleted", "deleted"])
      #expect(Set(cluster.digests(of: key)).count == 1)
    }
  }

  @Test("tags are among what copies have, and a purge by tag removes the copies too")
  func tags() {
    let cluster = SmallCluster(3, copies: 3)
    let client = cluster.connect(0)
    let keys = (0..<3).map { cluster.key(of: $0) }
    for key in keys { #expect(client.ask("SET \(key) v", "FILL.TAG \(key) news") == "+OK|:1|") }
    for key in keys { #expect(Set(cluster.digests(of: key)).count == 1) }
    #expect(cluster.connect(1).ask("FILL.PURGETAG sport", "FILL.PURGETAG news") == ":0|:3|")
    for key in keys { #expect(cluster.stored(key) == ["deleted", "deleted", "deleted"]) }
  }

  @Test("only they get it")
  func members() {
    let cluster = SmallCluster(4, copies: 2)
    let key = cluster.key(of: 1)
    #expect(cluster.connect(3).ask("SET \(key) v") == "+OK|")
    #expect(cluster.stored(key) == ["-", "v", "v", "-"])
  }

  @Test("transactions, divided commands and other databases too; counting and scanning see each key once")
  func allKinds() {
    let cluster = SmallCluster(3, copies: 2)
    let client = cluster.connect(0)
    let keys = (0..<3).map { cluster.key(of: $0) }
    #expect(client.ask("MSET \(keys[0]) a \(keys[1]) b \(keys[2]) c", "DBSIZE") == "+OK|:3|")
    #expect(client.ask("MULTI", "SET {\(keys[1])}x 1", "INCR {\(keys[1])}x", "EXEC").hasSuffix("*2|+OK|:2|"))
    #expect(cluster.stored("{\(keys[1])}x") == ["-", "2", "2"])
    #expect(client.ask("SELECT 5", "SET \(keys[0]) five", "DBSIZE", "SELECT 0", "DBSIZE") == "+OK|+OK|:1|+OK|:4|")
    #expect(cluster.stored(keys[0], 5) == ["five", "five", "-"])
    #expect(cluster.stored(keys[0]) == ["a", "a", "-"])
    #expect(client.ask("KEYS *").split(separator: "|").first == "*4")
    var cursor = "0"
    var found: [Substring] = []
    repeat {
      let reply = client.ask("SCAN \(cursor) COUNT 2").split(separator: "|")
      cursor = String(reply[2])
      found += reply.dropFirst(4).enumerated().filter { $0.offset % 2 == 1 }.map(\.element)
    } while cursor != "0"
    #expect(found.count == 4 && Set(found).count == 4)
    #expect(client.ask("DEL \(keys[0]) \(keys[1]) \(keys[2])", "DBSIZE") == ":3|:1|")
  }

  @Test("a flush empties all copies, and keeps what is written after it, however wrong the clocks are")
  func flush() {
    let cluster = SmallCluster(3, copies: 3)
    cluster.members[1].loop.skewMilliseconds = 30_000
    cluster.members[2].loop.skewMilliseconds = -30_000
    let client = cluster.connect(0)
    let keys = (0..<3).map { cluster.key(of: $0) }
    for key in keys { #expect(client.ask("SET \(key) old") == "+OK|") }
    #expect(client.ask("FLUSHALL", "DBSIZE") == "+OK|:0|")
    for key in keys { #expect(cluster.stored(key) == ["-", "-", "-"]) }
    for key in keys { #expect(client.ask("SET \(key) new") == "+OK|") }
    for key in keys { #expect(cluster.stored(key) == ["new", "new", "new"]) }
    #expect(
      cluster.connect(2).ask("SELECT 3", "SET a 1", "FLUSHDB", "GET a", "SELECT 0", "DBSIZE")
        == "+OK|+OK|+OK|$-1|+OK|:3|")
    #expect(client.ask("FLUSHALL NOW") == "-ERR syntax error|")
  }

  @Test("values that are larger than a frame travel in parts, and many small ones in several frames")
  func sizes() {
    let cluster = SmallCluster(2, copies: 2)
    let client = cluster.connect(0)
    let (large, small) = (cluster.key(of: 0, "large"), cluster.key(of: 0, "small"))
    let text = String(repeating: "x", count: 700_000)
    #expect(client.ask("SET \(large) \(text)", "SET \(small) s") == "+OK|+OK|")
    #expect(cluster.stored(large) == [text, text])
    let middling = String(repeating: "y", count: 3000)
    let lines = (0..<300).map { "SET {\(small)}\($0) \(middling)\r\n" }.joined()
    #expect(client.ask(lines).split(separator: "|").filter { $0 == "+OK" }.count == 300)
    for index in 0..<300 { #expect(cluster.stored("{\(small)}\(index)") == [middling, middling]) }
    let sent = cluster.members[0].replicas.report(cluster.members[0].node.cluster!.picture)
    #expect(sent.sent == 302 && sent.refusedThere == 0)
  }

  @Test("a clock that is too far ahead is not followed")
  func clockBound() throws {
    let cluster = SmallCluster(2, copies: 2)
    try cluster.members[1].node.settings.change([(id: .clockBound, text: "1m")])
    cluster.members[0].loop.skewMilliseconds = 120_000
    let key = cluster.key(of: 0)
    #expect(cluster.connect(0).ask("SET \(key) future") == "+OK|")
    #expect(cluster.stored(key) == ["future", "-"])
    #expect(cluster.members[0].control.marked[1]?.contains(Slot(index: UInt16(SmallCluster.slot(of: key)))) == true)
    let report = cluster.members[1].replicas.report(cluster.members[1].node.cluster!.picture)
    #expect(report.tooFarAhead == 1 && report.refusedHere == 1)
    // What this member writes does not follow that clock either.
    let own = cluster.key(of: 1)
    #expect(cluster.connect(1).ask("SET \(own) now") == "+OK|")
    #expect(cluster.stored(own) == ["now", "now"])
  }

  @Test("whatever is done to whichever member, all copies end equal")
  func random() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    let cluster = SmallCluster(4, copies: 3)
    let clients = (0..<4).map { cluster.connect($0) }
    let keys = (0..<40).map { "r\($0)" }
    for _ in 0..<1500 {
      let key = dice.pick(keys)
      let command = dice.pick([
        "SET \(key) \(dice.below(1000))", "DEL \(key)", "INCR \(key)", "APPEND \(key) 7", "EXPIRE \(key) 1000",
        "PERSIST \(key)", "SETRANGE \(key) 4 9", "GETDEL \(key)", "MSET \(key) 1 \(dice.pick(keys)) 2",
        "SET \(key) v PX 50", "UNLINK \(key) \(dice.pick(keys))",
      ])
      clients[dice.below(4)].send(command)
      if dice.chance(40) { _ = cluster.turn() }
      if dice.chance(5) { cluster.advance(milliseconds: 10) }
    }
    cluster.settle()
    cluster.expireDue(keys)
    for key in keys {
      let owner = SmallCluster.slot(of: key) % 4
      let stored = cluster.stored(key)
      for place in 1..<3 {
        #expect(stored[(owner + place) % 4] == stored[owner], "\(key), seed \(seed)")
      }
      #expect(stored[(owner + 3) % 4] == "-", "\(key), seed \(seed)")
    }
    for member in cluster.members { #expect(member.control.hinted.isEmpty && member.control.marked.isEmpty) }
  }
}

@Suite("A write that waits for its copies, with real ones")
struct AcknowledgedStories {
  @Test("is answered while one of three stands still, and refused where all were asked for")
  func quorum() {
    let cluster = SmallCluster(3, copies: 3)
    cluster.setAcknowledgement(.quorum)
    let client = cluster.connect(0)
    let (own, distant) = (cluster.key(of: 0), cluster.key(of: 1))
    #expect(client.send("SET \(own) 1") == "", "nobody has confirmed it yet")
    cluster.settle()
    #expect(client.take() == "+OK|")
    cluster.network.stopped = [SmallCluster.port(2)]
    #expect(client.ask("SET \(own) 2", "SET \(distant) 2", "GET \(own)") == "+OK|+OK|$1|2|")
    cluster.setAcknowledgement(.all)
    #expect(client.ask("SET \(own) 3") == "")
    cluster.advance(milliseconds: 2100)
    let reply = client.take()
    #expect(
      reply == "-NOREPLICAS the write is done on its owner, and confirmed by 2 of 3 copies where 3 were asked for: it "
        + "may or may not survive the loss of a member|")
    #expect(client.ask("GET \(own)") == "$1|3|")
    // Once it is known to be dead nothing is tried.
    cluster.publish(dead: [2])
    #expect(client.ask("SET \(own) 4", "GET \(own)") == "-NOREPLICAS Not enough good replicas to write.|$1|3|")
    cluster.setAcknowledgement(.quorum)
    #expect(client.ask("SET \(own) 4") == "+OK|")
    cluster.publish(dead: [1, 2])
    #expect(client.ask("SET \(own) 5") == "-NOREPLICAS Not enough good replicas to write.|")
  }

  @Test("fails at once when the connection breaks under it")
  func brokenUnderIt() {
    let cluster = SmallCluster(2, copies: 2)
    cluster.setAcknowledgement(.all)
    let key = cluster.key(of: 0)
    let client = cluster.connect(0)
    #expect(client.send("SET \(key) 1") == "")
    #expect(cluster.members[0].peer.turnEnding() == false)
    cluster.network.stopped = [SmallCluster.port(1)]
    cluster.network.breakConnections(of: SmallCluster.port(1))
    cluster.settle()
    #expect(client.take().hasPrefix("-NOREPLICAS the write is done on its owner, and confirmed by 1 of 2 copies"))
    let slot = Slot(index: UInt16(SmallCluster.slot(of: key)))
    #expect(cluster.members[0].control.marked[1]?.contains(slot) == true)
  }

  @Test("WAIT counts copies of what was written here and on other members")
  func wait() {
    let cluster = SmallCluster(3, copies: 3)
    let client = cluster.connect(0)
    #expect(client.ask("WAIT 0 0") == ":2|")
    let (own, distant) = (cluster.key(of: 0), cluster.key(of: 1))
    #expect(client.ask("SET \(own) 1", "WAIT 2 100") == "+OK|:2|")
    #expect(client.ask("SET \(distant) 1", "WAIT 2 100") == "+OK|:2|")
    cluster.network.stopped = [SmallCluster.port(2)]
    #expect(client.ask("SET \(own) 2", "SET \(distant) 2", "WAIT 1 1000") == "+OK|+OK|:1|")
    #expect(client.ask("WAIT 2 300") == "")
    cluster.advance(milliseconds: 400)
    #expect(client.take() == ":1|")
    #expect(client.ask("WAIT 2 300") == "")
    cluster.network.stopped = []
    cluster.settle()
    #expect(client.take() == ":2|")
    // A write whose copies are not known any more does not count until something else has brought it.
    cluster.network.stopped = [SmallCluster.port(2)]
    #expect(client.ask("SET \(own) 3") == "+OK|")
    cluster.network.breakConnections(of: SmallCluster.port(2))
    cluster.network.stopped = []
    cluster.advance(milliseconds: 100)
    #expect(client.ask("WAIT 2 100") == "")
    cluster.advance(milliseconds: 200)
    #expect(client.take() == ":1|")
    let owner = cluster.members[0]
    owner.replicator.settle(owner.number(2), through: owner.control.numbers[owner.number(2)]!)
    #expect(client.ask("WAIT 2 100") == ":2|")
  }
}

@Suite("What cannot be brought to a member")
struct ArrearStories {
  @Test("is noted by its keys, while the others get it")
  func hints() {
    let cluster = SmallCluster(3, copies: 3)
    let (key, other) = (cluster.key(of: 0, "a"), cluster.key(of: 0, "b"))
    cluster.network.gone = [SmallCluster.port(2)]
    cluster.network.breakConnections(of: SmallCluster.port(2))
    cluster.settle()
    let client = cluster.connect(0)
    #expect(client.ask("SET \(key) 1", "SET \(other) 1", "DEL \(other)") == "+OK|+OK|:1|")
    let owner = cluster.members[0]
    #expect(owner.control.hinted[owner.number(2)] == [key, other, other])
    #expect(cluster.stored(key) == ["1", "1", "-"])
    let report = owner.replicas.report(owner.node.cluster!.picture)
    #expect(report.hinted == 3 && report.sent == 3)
    // It comes back: what is written from then on reaches it.
    cluster.network.gone = []
    cluster.advance(milliseconds: 1000)
    #expect(client.ask("SET \(key) 2") == "+OK|")
    cluster.settle()
    #expect(cluster.stored(key) == ["2", "2", "2"])
  }

  @Test("is noted, too, when it reads so slowly that its queue is full; memory does not grow with it")
  func overflow() throws {
    let cluster = SmallCluster(2, copies: 2)
    try cluster.members[0].node.settings.change([(id: .replicaQueue, text: "1mb")])
    cluster.network.stopped = [SmallCluster.port(1)]
    let client = cluster.connect(0)
    let key = cluster.key(of: 0)
    let value = String(repeating: "x", count: 10_000)
    for index in 0..<300 { #expect(client.ask("SET {\(key)}\(index) \(value)") == "+OK|") }
    let owner = cluster.members[0]
    let hinted = owner.control.hinted[1]?.count ?? 0
    #expect(hinted > 150 && hinted < 250, "\(hinted)")
    let lag = owner.replicator.acknowledgements.lag(of: 1, now: owner.peer.now)
    #expect(lag.bytes < 1 << 20 + 200_000 && lag.effects == 300 - hinted)
    cluster.network.stopped = []
    cluster.settle()
    #expect(cluster.stored("{\(key)}0") == [value, value])
    #expect(cluster.stored("{\(key)}299") == [value, "-"])
    #expect(client.ask("SET {\(key)}299 y") == "+OK|")
    #expect(cluster.stored("{\(key)}299") == ["y", "y"])
  }

  @Test("what was evicted meanwhile is noted as evicted")
  func evicted() throws {
    let cluster = SmallCluster(2, copies: 2)
    let (key, other) = (cluster.key(of: 0, "a"), cluster.key(of: 0, "b"))
    let owner = cluster.members[0]
    var settings = owner.node.store.settings(of: 0)!
    settings.limitBytes = 2000
    owner.node.store.configure(0, settings, as: 9)
    let client = cluster.connect(0)
    let value = String(repeating: "v", count: 1200)
    #expect(client.ask("SET \(key) \(value)") == "+OK|")
    cluster.network.gone = [SmallCluster.port(1)]
    cluster.network.breakConnections(of: SmallCluster.port(1))
    cluster.settle()
    #expect(client.ask("SET \(other) \(value)") == "+OK|")
    #expect(cluster.stored(key) == ["-", value])
    #expect(owner.control.evicted[1] == [key] && owner.control.hinted[1]?.sorted() == [key, other])
  }

  @Test("a member without a place for the slot refuses, and the sender hears of it")
  func notAMember() {
    let cluster = SmallCluster(3, copies: 2)
    let key = cluster.key(of: 0)
    // It learns of another placement: the copies of this slot are member 2's and 0's.
    let places = (0..<Slot.count).flatMap { slot in
      [0, 2].map { cluster.members[1].number((slot + $0) % 3) }
    }
    let map = cluster.members[1].sets.map(
      places, copies: 2, myself: 0, live: [0, 1, 2], configuredCopies: 2)
    cluster.members[1].replicator.update(map)
    #expect(cluster.connect(0).ask("SET \(key) v") == "+OK|")
    #expect(cluster.stored(key) == ["v", "-", "-"])
    #expect(cluster.members[0].control.marked[1]?.count == 1)
  }
}

@Suite("Reads from copies")
struct CopyReadStories {
  @Test("READONLY reads what is here, once the copy is known to be good")
  func readOnly() {
    let cluster = SmallCluster(3, copies: 3)
    let key = cluster.key(of: 1)
    #expect(cluster.connect(1).ask("SET \(key) one") == "+OK|")
    let client = cluster.connect(0)
    // No message leaves: what is answered comes from here.
    cluster.network.stopped = [SmallCluster.port(1)]
    #expect(client.send("READONLY", "GET \(key)") == "+OK|")
    cluster.network.stopped = []
    cluster.settle()
    #expect(client.take() == "$3|one|")
    cluster.trustCopies()
    cluster.network.stopped = [SmallCluster.port(1)]
    #expect(client.send("GET \(key)", "STRLEN \(key)", "EXISTS \(key) \(cluster.key(of: 2))") == "$3|one|:3|:1|")
    #expect(client.send("READWRITE", "GET \(key)") == "+OK|")
  }

  @Test("a namespace may want them for everybody")
  func any() {
    let cluster = SmallCluster(3, copies: 3)
    cluster.trustCopies()
    for member in cluster.members {
      var settings = member.node.store.settings(of: 0)!
      settings.reads = .any
      member.node.store.configure(0, settings, as: 9)
    }
    let key = cluster.key(of: 1)
    let client = cluster.connect(0)
    #expect(client.send("SET \(key) one", "GET \(key)") == "", "a read does not pass the writes before it")
    cluster.settle()
    #expect(client.take() == "+OK|$3|one|")
    cluster.network.stopped = [SmallCluster.port(1)]
    #expect(client.send("GET \(key)") == "$3|one|")
  }

  @Test("an owner that stands still is passed over after 150 ms, one whose connection breaks at once")
  func failover() {
    let cluster = SmallCluster(4, copies: 3)
    cluster.trustCopies()
    let key = cluster.key(of: 1)
    let client = cluster.connect(0)
    #expect(client.ask("SET \(key) one") == "+OK|")
    #expect(cluster.stored(key) == ["-", "one", "one", "one"])
    cluster.network.stopped = [SmallCluster.port(1)]
    #expect(client.ask("GET \(key)") == "")
    cluster.advance(milliseconds: 140)
    #expect(client.take() == "")
    cluster.advance(milliseconds: 30)
    #expect(client.take() == "$3|one|")
    // For a while nobody waits for it any more.
    #expect(client.ask("GET \(key)") == "$3|one|")
    cluster.network.stopped = []
    cluster.settle()
    #expect(client.ask("SET \(key) two", "GET \(key)") == "+OK|$3|two|")
    cluster.network.gone = [SmallCluster.port(1)]
    cluster.network.breakConnections(of: SmallCluster.port(1))
    #expect(client.ask("GET \(key)") == "$3|two|")
    // A write waits for its slot, and reads of other clients do not wait behind it.
    #expect(client.ask("SET \(key) three") == "")
    #expect(cluster.connect(0).ask("GET \(key)") == "$3|two|")
    #expect(cluster.connect(2).ask("GET \(key)") == "$3|two|", "a member that has a copy itself")
  }

  @Test("copies that are not known to be good are not read: the read waits for its slot")
  func notGood() {
    let cluster = SmallCluster(3, copies: 3)
    let key = cluster.key(of: 1)
    let client = cluster.connect(0)
    #expect(client.ask("SET \(key) one") == "+OK|")
    cluster.network.gone = [SmallCluster.port(1)]
    cluster.network.breakConnections(of: SmallCluster.port(1))
    #expect(client.ask("GET \(key)") == "")
    cluster.publish(dead: [1])
    cluster.settle()
    #expect(client.take() == "$3|one|", "its first replica executes the slot now")
  }
}
