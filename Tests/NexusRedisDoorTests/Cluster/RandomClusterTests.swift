import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A cluster and a node by itself")
struct RandomClusterTests {
  private static let keys = ["a", "b", "c", "d", "{x}a", "{x}b", "{x}c"]

  /// A command that means the same in both, with small values so that commands meet each other's.
  private func command(_ dice: inout Dice, _ isStill: Bool) -> [String] {
    func key() -> String { dice.pick(Self.keys) }
    func tagged() -> String { dice.pick(["{x}a", "{x}b", "{x}c"]) }
    switch dice.below(26) {
    case 0...4: return ["GET", key()]
    case 5...8: return ["SET", key(), "\(dice.below(100))"]
    case 9: return ["INCR", key()]
    case 10: return ["APPEND", key(), "1"]
    case 11: return ["DEL", key(), key(), key()]
    case 12: return ["MGET", key(), key(), key(), "none"]
    case 13: return ["MSET", key(), "\(dice.below(9))", key(), "\(dice.below(9))"]
    case 14: return ["EXISTS", key(), key(), key()]
    case 15: return ["SETRANGE", key(), "\(dice.below(20))", "x"]
    case 16: return ["RENAME", tagged(), tagged()]
    case 17: return ["MSETNX", tagged(), "1", tagged(), "2"]
    case 18: return ["ECHO", "e"]
    case 19: return ["SELECT", "\(dice.below(2))"]
    case 20: return ["HELLO", "\(dice.within(2...3))", "SETNAME", "n"]
    case 21: return ["STRLEN", key()]
    case 22: return ["SET", key(), "v", "GET", "EX", "100"]
    // Members count at different moments: a slot that moves between them is counted twice, or not at all.
    case 23: return isStill ? ["DBSIZE"] : ["ECHO", "x"]
    case 24: return ["GETDEL", key()]
    default: return ["COPY", tagged(), tagged(), "REPLACE"]
    }
  }

  private func transaction(_ dice: inout Dice) -> [[String]] {
    let key = dice.pick(["{x}a", "{x}b", "{x}c"])
    return [
      ["WATCH", key], ["MULTI"], ["INCR", key], ["GET", "{x}a"], ["SET", "{x}b", "5"],
      [dice.chance(80) ? "EXEC" : "DISCARD"],
    ]
  }

  /// Replies without what differs by nature: the id of the connection in HELLO's.
  private func comparable(_ reply: String) -> String {
    var lines = reply.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
    for index in lines.indices where lines[index] == "id" && index + 1 < lines.count { lines[index + 1] = ":id" }
    return lines.joined(separator: "|")
  }

  @Test("answer random pipelines alike, while replies overtake each other and slots move", arguments: 0..<8)
  func alike(_ round: Int) {
    let seed = Dice.seed() &+ UInt64(round)
    var dice = Dice(seed: seed)
    let cluster = FakeCluster(dice.within(2...4), loops: dice.within(1...2), seed: seed)
    let single = FakeNode()
    let client = cluster.connect(to: dice.below(cluster.nodes.count))
    let reference = single.connect()
    let isStill = round % 2 == 0
    for _ in 0..<150 {
      var bytes: [UInt8] = []
      var sent: [[String]] = []
      for _ in 0..<dice.within(1...40) {
        // A slot that moves takes its watches' meaning away: then EXEC answers null where a node by itself does not.
        sent += isStill && dice.chance(6) ? transaction(&dice) : [command(&dice, isStill)]
      }
      for words in sent { bytes += request(words.map { Array($0.utf8) }) }
      let cut = dice.below(bytes.count)
      client.push(Array(bytes[..<cut]))
      for _ in 0..<dice.below(6) { cluster.step() }
      if !isStill, dice.chance(40) {
        cluster.move(
          cluster.slot(of: dice.pick(Self.keys)), to: dice.below(cluster.nodes.count), telling: dice.chance(50))
      }
      client.push(Array(bytes[cut...]))
      cluster.settle()
      reference.push(bytes)
      let (mine, wanted) = (comparable(client.take()), comparable(reference.take()))
      guard mine == wanted else {
        Issue.record("seed \(seed): \(sent)\n  cluster \(mine)\n  single  \(wanted)")
        return
      }
    }
  }
}
