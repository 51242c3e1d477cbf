import NexusModel
import NexusStore
import Testing

@testable import NexusCluster

@Suite("Reads of a quorum")
struct QuorumReadStories {
  private func cluster(_ count: Int = 3) -> SmallCluster {
    let cluster = SmallCluster(count, copies: 3)
    cluster.trustCopies()
    for member in cluster.members {
      var settings = member.node.store.settings(of: 0)!
      settings.reads = .quorum
      member.node.store.configure(0, settings, as: 9)
    }
    return cluster
  }

  /// Answers what the members' loops have asked their control for; the keys.
  @discardableResult
  private func answer(_ cluster: SmallCluster, _ failure: String? = nil) -> [[String]] {
    let questions = cluster.members.map { $0.control.takeQuestions() }
    for question in questions.joined() { question.done(failure) }
    cluster.settle()
    return questions.map { $0.flatMap(\.keys).sorted() }
  }

  @Test("wait until more than half of the copies have been compared, by who executes the slot")
  func waits() {
    let cluster = cluster()
    let (own, distant) = (cluster.key(of: 0), cluster.key(of: 1))
    let client = cluster.connect(0)
    #expect(client.ask("SET \(own) 1", "SET \(distant) 2") == "+OK|+OK|", "writes do not")
    for (command, reply) in [
      ("GET", "$1|1|"), ("EXISTS", ":1|"), ("TTL", ":-1|"), ("STRLEN", ":1|"), ("TYPE", "+string|"),
    ] {
      #expect(client.ask("\(command) \(own)") == "", "\(command)")
      #expect(answer(cluster) == [[own], [], []])
      #expect(client.take() == reply, "\(command)")
    }
    #expect(client.ask("GET \(distant)") == "")
    #expect(answer(cluster) == [[], [distant], []])
    #expect(client.take() == "$1|2|")
    #expect(cluster.members.allSatisfy { $0.peer.questions.count == 0 && $0.peer.parked.isEmpty })
  }

  @Test("of several keys ask the owner of each, once for all of its keys")
  func severalKeys() {
    let cluster = cluster()
    let keys = (0..<3).map { cluster.key(of: $0) }
    let client = cluster.connect(0)
    #expect(client.ask("MSET \(keys[0]) a \(keys[1]) b \(keys[2]) c") == "+OK|")
    #expect(client.ask("MGET \(keys[2]) \(keys[0]) \(keys[1])", "EXISTS \(keys[0]) \(keys[1]) nothing") == "")
    // The second waits behind the first where they meet.
    for _ in 0..<3 { answer(cluster) }
    #expect(client.take() == "*3|$1|c|$1|a|$1|b|:2|")
    #expect(client.ask("MGET {\(keys[0])}1 {\(keys[0])}2") == "")
    #expect(answer(cluster) == [["{\(keys[0])}1", "{\(keys[0])}2"], [], []])
    #expect(client.take() == "*2|$-1|$-1|")
  }

  @Test("stay in order with their client's writes")
  func order() {
    let cluster = cluster()
    for key in [cluster.key(of: 0), cluster.key(of: 1)] {
      let client = cluster.connect(0)
      #expect(client.ask("SET \(key) 1") == "+OK|")
      #expect(client.ask("GET \(key)", "SET \(key) 2", "INCR \(key)", "GET \(key)") == "")
      answer(cluster)
      answer(cluster)
      #expect(client.take() == "$1|1|+OK|:3|$1|3|")
    }
  }

  @Test("fail with a clear error where too few copies can be compared, and read nothing")
  func tooFew() {
    let cluster = cluster()
    let client = cluster.connect(0)
    for key in [cluster.key(of: 0), cluster.key(of: 1)] {
      #expect(client.ask("SET \(key) 1", "GET \(key)") == "+OK|")
      answer(cluster, "only 1 of 3 copies could be compared")
      #expect(client.take() == "-NOREPLICAS only 1 of 3 copies could be compared|")
    }
    #expect(client.ask("MGET \(cluster.key(of: 0)) \(cluster.key(of: 1))") == "")
    answer(cluster, "only 1 of 3 copies could be compared")
    #expect(client.take().contains("only 1 of 3 copies could be compared"))
  }

  @Test("never come from a copy, whoever asks and whoever does not answer")
  func noCopies() {
    let cluster = cluster()
    let key = cluster.key(of: 1)
    let client = cluster.connect(0)
    #expect(client.ask("SET \(key) 1", "READONLY") == "+OK|+OK|")
    cluster.network.stopped = [SmallCluster.port(1)]
    #expect(client.ask("GET \(key)") == "")
    cluster.advance(milliseconds: 400)
    #expect(client.take() == "" && answer(cluster) == [[], [], []])
    cluster.network.stopped = []
    cluster.settle()
    #expect(answer(cluster) == [[], [key], []])
    #expect(client.take() == "$1|1|")
  }
}
