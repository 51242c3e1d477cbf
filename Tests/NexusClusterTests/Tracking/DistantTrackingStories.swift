import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusCluster

@Suite("CLIENT TRACKING across members")
struct DistantTrackingStories {
  private let cluster = SmallCluster(3, copies: 1)

  private func tracker(_ member: Int, _ options: String = "") -> SmallClient {
    let client = cluster.connect(member)
    client.ask("HELLO 3")
    #expect(client.ask("CLIENT TRACKING ON \(options)") == "+OK|")
    return client
  }

  private func push(_ keys: String...) -> String {
    keys.map { ">2|$10|invalidate|*1|$\($0.utf8.count)|\($0)|" }.joined()
  }

  @Test("tells of the next change of what another member owns, once, whoever makes it", arguments: [0, 1, 2])
  func once(_ writer: Int) {
    let client = tracker(1)
    let other = cluster.connect(writer)
    let key = cluster.key(of: 0)
    for command in ["SET \(key) 1", "INCR \(key)", "PEXPIRE \(key) 100000", "GETDEL \(key)", "SETEX \(key) 9 x"] {
      other.ask("SET \(key) 1")
      client.ask("GET \(key)")
      other.ask(command)
      #expect(client.take() == push(key), "\(command)")
      other.ask("APPEND \(key) 1", "DEL \(key)")
      #expect(client.take() == "", "\(command)")
    }
  }

  @Test("its own change is told behind the reply, and expiry is told")
  func ownAndExpiry() {
    let client = tracker(1)
    let key = cluster.key(of: 0)
    #expect(client.ask("SET \(key) a PX 50", "GET \(key)") == "+OK|$1|a|")
    cluster.advance(milliseconds: 60)
    cluster.expireDue([key])
    cluster.settle()
    #expect(client.take() == push(key))
    #expect(client.ask("GET \(key)") == "_|")
    #expect(client.ask("SET \(key) b") == "+OK|" + push(key))
  }

  @Test("of keys of several members, and of what a transaction has read elsewhere")
  func several() {
    let client = tracker(1)
    let keys = (0..<3).map { cluster.key(of: $0) }
    let writer = cluster.connect(2)
    #expect(client.ask("MGET \(keys.joined(separator: " "))") == "*3|_|_|_|")
    for key in keys {
      writer.ask("SET \(key) new")
      #expect(client.take() == push(key))
    }
    for key in keys {
      #expect(client.ask("MULTI", "GET \(key)", "EXEC").hasSuffix("*1|$3|new|"))
      writer.ask("DEL \(key)")
      #expect(client.take() == push(key))
    }
  }

  @Test("two clients of one member are both told, and only those that have read")
  func two() {
    let (one, two, idle) = (tracker(1), tracker(1), tracker(1))
    let key = cluster.key(of: 2)
    one.ask("GET \(key)")
    two.ask("GET \(key)")
    cluster.connect(0).ask("SET \(key) v")
    #expect(one.take() == push(key))
    #expect(two.take() == push(key))
    #expect(idle.take() == "")
  }

  @Test("OPTIN and OPTOUT hold for what is read elsewhere")
  func choices() {
    let (inward, outward) = (tracker(1, "OPTIN"), tracker(1, "OPTOUT"))
    let (key, writer) = (cluster.key(of: 0), cluster.connect(0))
    inward.ask("GET \(key)")
    outward.ask("CLIENT CACHING NO", "GET \(key)")
    writer.ask("SET \(key) 1")
    #expect(inward.take() + outward.take() == "")
    inward.ask("CLIENT CACHING YES", "GET \(key)")
    outward.ask("GET \(key)")
    writer.ask("SET \(key) 2")
    #expect(inward.take() == push(key))
    #expect(outward.take() == push(key))
  }

  @Test("when the connection to a member is lost, and when everything is flushed, all that was read is given up")
  func lost() {
    let client = tracker(1)
    let key = cluster.key(of: 0)
    client.ask("GET \(key)")
    cluster.network.breakConnections(of: SmallCluster.port(0))
    cluster.settle()
    #expect(client.take() == ">2|$10|invalidate|_|")
    cluster.advance(milliseconds: 200)
    client.ask("GET \(key)")
    cluster.connect(2).ask("FLUSHALL")
    let told = client.take()
    #expect(!told.isEmpty && told.replacing(">2|$10|invalidate|_|", with: "") == "")
  }

  @Test("BCAST is refused, with what to do instead")
  func broadcast() {
    let client = cluster.connect(1)
    client.ask("HELLO 3")
    let reply = client.ask("CLIENT TRACKING ON BCAST")
    #expect(reply.hasPrefix("-ERR CLIENT TRACKING with BCAST") && reply.contains("without BCAST"))
  }

  @Test("no client keeps what has changed, whatever is under way between whom", arguments: 1...40)
  func neverStale(_ seed: UInt64) {
    var dice = Dice(seed: seed)
    let keys = (0..<6).map { cluster.key(of: $0 % 3, "n\($0)-") }
    var caches = (0..<6).map { Caching(tracker($0 % 3)) }
    var version = 0
    for _ in 0..<60 {
      for _ in 0..<dice.within(1...6) {
        let (index, key) = (dice.below(caches.count), dice.pick(keys))
        switch dice.below(10) {
        case 0..<5: caches[index].read(key)
        case 5: caches[index].readAll(keys)
        case 6 where dice.chance(10): cluster.network.breakConnections(of: SmallCluster.port(dice.below(3)))
        default:
          version += 1
          caches[index].write("SET \(key) v\(version)")
        }
        for _ in 0..<dice.below(3) { _ = cluster.turn() }
      }
      cluster.advance(milliseconds: dice.chance(30) ? 100 : 10)
      // What was given away is answered by now, or has failed.
      if dice.chance(20) { cluster.advance(milliseconds: 2500) }
      for index in caches.indices { caches[index].take() }
      guard caches.allSatisfy(\.isQuiet) else { continue }
      for (index, cache) in caches.enumerated() {
        for (key, value) in cache.known {
          let stored = cluster.stored(key)[keys.firstIndex(of: key)! % 3]
          #expect(value == stored, "client \(index) keeps \(value) of \(key), seed \(seed)")
        }
      }
    }
  }
}

/// A client that keeps what it reads, as libraries do.
private struct Caching {
  private enum Asked {
    case read([String])
    case other
  }

  private let client: SmallClient
  private var asked: [Asked] = []
  private var text = ""
  private(set) var known: [String: String] = [:]

  init(_ client: SmallClient) { self.client = client }

  var isQuiet: Bool { asked.isEmpty }

  mutating func read(_ key: String) {
    asked.append(.read([key]))
    text += client.send("GET \(key)")
  }
  mutating func readAll(_ keys: [String]) {
    asked.append(.read(keys))
    text += client.send("MGET \(keys.joined(separator: " "))")
  }
  mutating func write(_ line: String) {
    asked.append(.other)
    text += client.send(line)
  }

  /// Everything that has come, in its order.
  mutating func take() {
    text += client.take()
    var words = text.split(separator: "|", omittingEmptySubsequences: false).dropLast()[...]
    text = ""
    while let word = words.popFirst() {
      if word.hasPrefix(">") {
        _ = words.popFirst()
        _ = words.popFirst()
        if words.popFirst() == "_" {
          known = [:]
        } else {
          _ = words.popFirst()
          if let key = words.popFirst() { known[String(key)] = nil }
        }
        continue
      }
      let what = asked.removeFirst()
      guard case .read(let keys) = what, !word.hasPrefix("-") else { continue }
      for key in keys {
        guard let kind = word.hasPrefix("*") ? words.popFirst() : word else { break }
        known[key] = kind == "_" ? "-" : words.popFirst().map(String.init)
      }
    }
  }
}
