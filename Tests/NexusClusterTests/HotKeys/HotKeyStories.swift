import Foundation
import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusCluster

@Suite("Hot keys of other members are copied")
struct HotKeyStories {
  /// Three members; key `key` is executed by the first, and hot at the second.
  private final class Place {
    let cluster: SmallCluster
    let key: String
    let client: SmallClient
    let owner: SmallClient

    init(copies: Int = 1, _ value: String? = "v", _ prepare: (SmallCluster) -> Void = { _ in }) {
      cluster = SmallCluster(3, copies: copies)
      prepare(cluster)
      key = cluster.key(of: 0)
      client = cluster.connect(1)
      owner = cluster.connect(0)
      if let value { owner.ask("SET \(key) \(value)") }
    }

    var statistics: UnsafeMutablePointer<LoopStatistics> { cluster.members[1].node.statistics }
    var hits: UInt64 { statistics.pointee.hotHits.value }
    var forwarded: UInt64 { statistics.pointee.operationsForwarded.value }

    func get() -> String { client.ask("GET \(key)") }

    /// Until a copy answers. False: none ever does.
    @discardableResult func heat(_ command: String? = nil) -> Bool {
      let command = command ?? "GET \(key)"
      for _ in 0..<100 {
        let before = hits
        for _ in 0..<100 { client.ask(command) }
        if hits > before { return true }
      }
      return false
    }
  }

  @Test("the copy answers, and the owner is not asked")
  func copied() {
    let place = Place()
    #expect(place.get() == "$1|v|")
    #expect(place.hits == 0)
    #expect(place.heat())
    let (hits, forwarded) = (place.hits, place.forwarded)
    for _ in 0..<50 { #expect(place.get() == "$1|v|") }
    #expect(place.hits == hits + 50)
    #expect(place.forwarded == forwarded)
    #expect(place.statistics.pointee.hotCopies.value == 1)
  }

  @Test("a key that is seldom read is not, nor one of this member's own")
  func notHot() {
    let place = Place()
    let own = place.cluster.key(of: 1)
    for _ in 0..<5000 { place.client.ask("GET \(own)") }
    // Each a different one.
    for number in 0..<3000 { place.client.ask("GET \(place.key)\(number)") }
    #expect(place.statistics.pointee.hotFetches.value == 0)
  }

  @Test("every kind of change ends the copy, whoever makes it", arguments: [0, 1, 2])
  func changes(_ writer: Int) {
    let place = Place("10")
    #expect(place.heat())
    let client = place.cluster.connect(writer)
    let key = place.key
    for (command, after) in [
      ("SET \(key) 20", "$2|20|"), ("INCR \(key)", "$2|21|"), ("APPEND \(key) 0", "$3|210|"), ("DEL \(key)", "$-1|"),
      ("SETRANGE \(key) 2 x", "$3|\0\0x|"), ("GETDEL \(key)", "$-1|"), ("MSET \(key) 1 {\(key)}b 2", "$1|1|"),
      ("RENAME \(key) {\(key)}c", "$-1|"), ("SET \(key) 5", "$1|5|"), ("FLUSHALL", "$-1|"), ("SET \(key) 6", "$1|6|"),
    ] {
      // After a change it may be left alone for a while.
      place.cluster.advance(milliseconds: 1000)
      #expect(place.heat(), "before \(command)")
      client.ask(command)
      #expect(place.get() == after, "\(command)")
      // Some of the answers above came from a new copy.
      for _ in 0..<20 { #expect(place.get() == after, "\(command)") }
    }
  }

  @Test("what a client has written it reads, in one breath too")
  func ownWrites() {
    let place = Place()
    #expect(place.heat())
    for number in 0..<200 {
      #expect(
        place.client.ask("GET \(place.key)", "SET \(place.key) \(number)", "GET \(place.key)").hasSuffix(
          "|+OK|$\(String(number).count)|\(number)|"))
    }
  }

  @Test("an owner that says nothing any more is believed for a second, not longer")
  func silence() {
    let place = Place()
    #expect(place.heat())
    place.cluster.network.stopped = [SmallCluster.port(0)]
    let hits = place.hits
    #expect(place.get() == "$1|v|")
    #expect(place.hits == hits + 1)
    // The owner has changed it, and cannot say so.
    place.owner.send("SET \(place.key) new")
    place.cluster.advance(milliseconds: 1000)
    #expect(place.get() == "")
    #expect(place.hits == hits + 1)
  }

  @Test("all copies go with the connection to their owner")
  func broken() {
    let place = Place()
    #expect(place.heat())
    place.cluster.network.breakConnections(of: SmallCluster.port(0))
    let hits = place.hits
    place.client.send("GET \(place.key)")
    #expect(place.hits == hits)
    place.cluster.advance(milliseconds: 200)
    #expect(place.client.take() == "$1|v|")
  }

  @Test("no copy outlives its entry")
  func expiry() {
    let place = Place()
    place.owner.ask("PEXPIRE \(place.key) 400")
    #expect(place.heat())
    place.cluster.advance(milliseconds: 390)
    #expect(place.get() == "$1|v|")
    place.cluster.advance(milliseconds: 20)
    #expect(place.get() == "$-1|")
    for _ in 0..<300 { #expect(place.get() == "$-1|") }
  }

  @Test("a slot that moves takes its copies along, and its former owner says so")
  func moves() {
    let place = Place(copies: 3)
    #expect(place.heat())
    let hits = place.hits
    place.cluster.publish(dead: [0])
    #expect(place.get() == "$1|v|")
    #expect(place.hits == hits)
  }

  @Test("that a key is absent is known as well, until it is there")
  func absent() {
    let place = Place(nil)
    #expect(place.heat())
    let hits = place.hits
    #expect(place.get() == "$-1|")
    #expect(place.hits == hits + 1)
    place.owner.ask("SET \(place.key) now")
    #expect(place.get() == "$3|now|")
  }

  @Test("MGET takes what is copied from here and the rest from the owners")
  func several() {
    let place = Place()
    let others = [place.cluster.key(of: 1, "x"), place.cluster.key(of: 2, "y")]
    place.owner.ask("MSET \(others[0]) one \(others[1]) two")
    #expect(place.heat())
    let (hits, forwarded) = (place.hits, place.forwarded)
    #expect(place.client.ask("MGET \(place.key) \(place.key)") == "*2|$1|v|$1|v|")
    #expect(place.hits == hits + 2)
    #expect(place.forwarded == forwarded)
    #expect(
      place.client.ask("MGET \(others[1]) \(place.key) \(others[0]) \(place.key)") == "*4|$3|two|$1|v|$3|one|$1|v|")
    #expect(place.hits == hits + 4)
    #expect(place.forwarded == forwarded + 1)
  }

  @Test("HOTKEYS says what is hot, whose it is, and whether it is copied; INFO counts")
  func shown() {
    let place = Place()
    #expect(place.client.ask("HOTKEYS") == "*0|")
    let own = place.cluster.key(of: 1, "own")
    for _ in 0..<3000 { place.client.ask("SET \(own) 1") }
    #expect(place.heat())
    // Shown up to half a second later.
    place.cluster.advance(milliseconds: 600)
    for _ in 0..<300 { place.client.ask("GET \(place.key)") }
    let lines = place.client.ask("HOTKEYS COUNT 2").components(separatedBy: "*16|")
    #expect(lines.count == 3, "\(lines)")
    let (first, second) = (
      lines.first { $0.contains("|\(own)|") } ?? "", lines.first { $0.contains("|\(place.key)|") } ?? ""
    )
    #expect(first.contains("|$9|namespace|$7|default|") && first.contains("|$5|owner|$2|m1|"), "\(first)")
    #expect(first.hasSuffix("|$6|copies|:0|") || first.hasSuffix("|$6|copies|:0"), "\(first)")
    #expect(second.contains("|$17|writes-per-second|:0|$5|owner|$2|m0|$6|copies|:1|"), "\(second)")
    let info = place.client.ask("INFO stats")
    #expect(info.contains("hot_copies:1|") && !info.contains("hot_copy_hits:0|"), "\(info)")
    #expect(place.client.ask("HOTKEYS COUNT 0").hasPrefix("-ERR COUNT 0 is not a number of keys"))
    #expect(place.client.ask("HOTKEYS MOST 3") == "-ERR syntax error|")
  }

  @Test("a copy that nobody reads any more goes")
  func cools() {
    let place = Place()
    #expect(place.heat())
    #expect(place.statistics.pointee.hotBytes.value > 0)
    place.cluster.advance(milliseconds: 15_000)
    #expect(place.statistics.pointee.hotCopies.value == 0)
    #expect(place.statistics.pointee.hotBytes.value == 0)
  }

  @Test("a key that is written all the time is left with its owner")
  func contended() {
    let place = Place()
    #expect(place.heat())
    let before = place.statistics.pointee.hotFetches.value
    for number in 0..<1000 {
      place.owner.ask("SET \(place.key) \(number)")
      #expect(place.get().hasSuffix("|\(number)|"))
      place.cluster.advance(milliseconds: 10)
    }
    // Ten seconds, and at most one question in each once that is known.
    #expect(place.statistics.pointee.hotFetches.value - before < 25)
  }

  @Test("where the node or the namespace says so, nothing is copied")
  func off() throws {
    let node = Place { cluster in
      try! cluster.members[1].node.settings.change([(.hotCacheSize, "off")], as: 9)
    }
    #expect(!node.heat())
    let namespace = Place { cluster in
      var settings = cluster.members[1].node.store.settings(of: 0)!
      settings.keepsHotCopies = false
      cluster.members[1].node.store.configure(0, settings, as: 9)
    }
    #expect(!namespace.heat())
  }
}
