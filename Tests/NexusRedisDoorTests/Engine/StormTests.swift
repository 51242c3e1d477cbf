import NexusTestSupport
import Testing

@testable import NexusRedisDoor

@Suite("A storm of random commands")
struct StormTests {
  /// What would end or stop the process, or wait for a clock.
  static let leftOut: Set<String> = ["shutdown", "debug"]

  static let words = [
    "a", "b", "c", "0", "1", "-1", "10", "3.5", "", "*", "x y", "get", "set", "NX", "EX", "100", "MATCH", "COUNT", "ID",
    "TYPE", "normal", "9223372036854775807", "-9223372036854775808", "on", "off", "skip", "default", "LIMIT", "u8",
    "#1", "AND", "\u{0}\r\n", "nan", "inf", "[a-", "\\", "no", "yes", "WRITE", "STORE", "REPLACE", "DB", "GETKEYS",
    "help",
  ]

  @Test("over two loops ends nothing but connections, and leaves nothing behind")
  func storm() {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let node = FakeNode(loops: 2)
    let table = node.door.commands
    let names = (0..<table.count).map { table.command(at: $0).name }
      .filter { !Self.leftOut.contains(String($0.prefix { $0 != "|" })) }
    var clients = (0..<4).map { node.connect(loop: $0 % 2) }
    for step in 0..<6000 {
      let slot = dice.below(clients.count)
      if clients[slot].isClosed || dice.chance(1) {
        clients[slot].close(.byPeer)
        clients[slot] = node.connect(loop: slot % 2)
      }
      var words = dice.pick(names).split(separator: "|").map(String.init)
      for _ in 0..<dice.pick([0, 1, 1, 2, 2, 3, 4, 6]) { words.append(dice.pick(Self.words)) }
      if dice.chance(10) { words = ["exec"] }
      clients[slot].push(request(words))
      if dice.chance(30) { node.settle() }
      // Pauses end, and what they held back is answered.
      if step % 200 == 0 { node.advance(milliseconds: 100_000) }
      _ = clients[slot].take()
    }
    node.settle()
    for client in clients { client.close(.byPeer) }
    #expect(node.door.watches.count == 0, "seed \(seed)")
    #expect(node.door.monitorCount.load(ordering: .relaxed) == 0, "seed \(seed)")
    for kind in ChannelKind.allCases { #expect(node.door.channels.count(kind) == 0, "seed \(seed)") }
    #expect(node.loops.allSatisfy { $0.engine.sessions.isEmpty && $0.engine.monitors.isEmpty }, "seed \(seed)")
  }
}
