import Glibc
import NexusModel
import NexusTestSupport
import Testing

/// Torn networks of nodes that have copies of one another's slots.
extension ClusterOfProcesses {
  /// One of three is cut off, keys are deleted on one side, and the network is mended: keys that came back, wherever.
  func deleteOnOneSide(times: Int, _ network: PrivateNetwork, _ dice: inout Dice) throws -> Int {
    var back = 0
    for round in 0..<times {
      let keys = (0..<300).map { "torn:\(round):\($0)" }
      let writer = try self[dice.below(3)].client()
      for reply in try writer.pipeline(keys.map { ["SET", $0, "old"].map { Array($0.utf8) } }) {
        expect(reply == .ok, "\(reply)")
      }
      expect(try eventually { try writer.ask("WAIT", "2", "5000").number == 2 }, "not everything has its copies")
      let alone = dice.below(3)
      let halves = [[alone], (0..<3).filter { $0 != alone }]
      network.cut(halves[0], halves[1])
      for half in halves { try waitUntilWhole(half.map { self[$0] }, seconds: 60) }
      let side = halves[dice.below(2)]
      let deleter = try self[side[0]].client()
      let deleted = keys.enumerated().filter { $0.offset % 2 == 0 }.map(\.element)
      for key in deleted { expect(try deleter.ask("DEL", key).number == 1, "DEL \(key) on the side of \(side)") }
      network.heal()
      try waitUntilWhole(seconds: 60)
      try waitUntilEqual()
      for node in nodes {
        let client = try node.client()
        for (number, key) in keys.enumerated() {
          let copy = try client.copy(key)
          if number % 2 == 1 {
            expect(copy == "old", "\(key) at \(node.id): \(copy ?? "nothing")")
            continue
          }
          let reply = try client.ask("EXISTS", key)
          if copy == "old" || reply.number != 0 {
            back += 1
            print("\(key) is back at \(node.id): it was deleted on the side of \(side)")
          }
        }
      }
    }
    return back
  }

  struct Healing {
    var seconds = 0.0
    /// Between two nodes that agree, both ways.
    var idleBytesPerSecond = 0.0
  }

  /// Of so many keys some are changed in one part of a torn cluster: how long after the mending all copies are equal.
  func healDiverged(
    keys: Int, diverged: Int, cutSeconds: Double, idleSeconds: Double, _ network: PrivateNetwork
  ) throws -> Healing {
    func write(_ numbers: Range<Int>, _ value: String, at node: Node) throws {
      let client = try node.client(timeoutSeconds: 120)
      for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: 1000) {
        let part = start..<min(start + 1000, numbers.upperBound)
        try client.send(part.reduce(into: "") { $0 += "SET heal:\($1) \(value)\r\n" })
        for _ in part { expect(try client.read() == .ok, "a write was refused") }
      }
    }
    func copies(of sample: [Int], _ value: String, at node: Node) throws -> Bool {
      let client = try node.client()
      return try sample.allSatisfy { try client.copy("heal:\($0)") == value }
    }
    try write(0..<keys, "before", at: self[0])
    try waitUntilEqual(seconds: 120)
    let cut = MonotonicClock.seconds()
    network.cut([2], [0, 1])
    try waitUntilWhole([self[0], self[1]], seconds: 60)
    try waitUntilWhole([self[2]], seconds: 60)
    try write(0..<diverged, "after", at: self[0])
    while MonotonicClock.seconds() < cut + cutSeconds { usleep(100_000) }
    network.heal()
    let start = MonotonicClock.seconds()
    let sample = stride(from: 0, to: diverged, by: max(1, diverged / 500)).map { $0 }
    let isEqual = try eventually(seconds: 120) { try copies(of: sample, "after", at: self[2]) }
    expect(isEqual, "what was written while it was cut off does not reach n3")
    try waitUntilEqual()
    var healing = Healing(seconds: MonotonicClock.seconds() - start)
    for node in nodes { expect(try copies(of: sample, "after", at: node), "\(node.id) has other values") }
    guard idleSeconds > 0 else { return healing }
    usleep(3_000_000)
    let before = network.streamBytes(between: 0, and: 1)
    usleep(UInt32(idleSeconds * 1_000_000))
    healing.idleBytesPerSecond = Double(network.streamBytes(between: 0, and: 1) - before) / idleSeconds
    return healing
  }

  /// Writes go on while one member hears nothing of another, or stands still for longer than anybody waits for it:
  /// acknowledged writes of which a copy is missing somewhere afterwards.
  func writeThrough(_ trouble: () throws -> Void, seconds: Double, end: () throws -> Void) throws -> (Int, missing: Int)
  {
    let load = FastWrites("trouble", rate: 4_000, [nodes[0].door])
    usleep(300_000)
    try trouble()
    usleep(UInt32(seconds * 1_000_000))
    try end()
    try waitUntilWhole(seconds: 60)
    let account = load.stop()
    try waitUntilEqual()
    var missing = 0
    for node in nodes {
      let client = try node.client(timeoutSeconds: 60)
      let isThere = try eventually(seconds: 30) {
        missing = 0
        for (number, own) in account.acknowledged.enumerated() {
          for index in own where index % 7 == 0 {
            if try client.copy(load.key(number, index)) != "\(index)" { missing += 1 }
          }
        }
        return missing == 0
      }
      if !isThere { return (account.count, missing) }
    }
    return (account.count, 0)
  }
}

extension PrivateNetwork {
  /// Of TCP, heads included, both ways.
  func streamBytes(between one: Int, and other: Int) -> Int {
    cable(from: one, to: other).streamBytes + cable(from: other, to: one).streamBytes
  }
}
