import Foundation
import Glibc
import NexusModel
import NexusTestSupport
import Synchronization
import Testing

/// What copies are for, with real processes and counted: the stories run each campaign once, `make chaos` often.
extension ClusterOfProcesses {
  /// What became of the writes of some kills.
  struct Losses {
    var acknowledged = 0
    var lost = 0
    var evicted = 0
    var rates: [Int] = []
    var refused: [String: Int] = [:]
  }

  /// Whichever node is killed at whatever moment while clients of all nodes write: acknowledged writes that are
  /// nowhere afterwards.
  func killUnderWrites(times: Int, rate: Int, _ dice: inout Dice) throws -> Losses {
    var losses = Losses()
    for round in 0..<times {
      for node in nodes { _ = try? node.client().ask("FLUSHALL") }
      let load = FastWrites("kill:\(round)", rate: rate, nodes.map(\.door))
      usleep(UInt32(500_000 + dice.below(1_500_000)))
      let victim = self[dice.below(nodes.count)]
      victim.kill()
      usleep(UInt32(500_000 + dice.below(1_500_000)))
      try restart(victim)
      try waitUntilWhole(seconds: 60)
      let account = load.stop()
      try waitUntilEqual()
      losses.acknowledged += account.count
      losses.rates.append(account.perSecond)
      losses.refused.merge(account.refused) { $0 + $1 }
      for node in nodes { losses.evicted += try node.info("stats").number("evicted_keys") ?? 0 }
      let missing = try load.missing(account, at: self[dice.below(nodes.count)])
      losses.lost += missing.count
      print(
        "kill \(round + 1): \(victim.id), \(account.count) acknowledged, \(account.perSecond)/s, lost \(missing.count)")
      if !missing.isEmpty { print("  \(missing.prefix(5))") }
    }
    return losses
  }

  /// Seconds without an answer to reads of a killed member's keys through another member, for each kill.
  func gapsInReads(times: Int, _ dice: inout Dice) throws -> [Double] {
    var gaps: [Double] = []
    for round in 0..<times {
      let victim = self[dice.below(nodes.count)]
      let others = nodes.filter { $0 !== victim }
      let keys = try victim.ownKeys("gap:\(round):", 20)
      let writer = try others[0].client()
      for key in keys { expect(try writer.ask("SET", key, "v") == .ok) }
      try waitUntilEqual()
      let gap = Guarded(0.0)
      let isOver = Atomic<Bool>(false)
      let door = others[dice.below(others.count)].door
      let reader = Background {
        guard let client = try? door() else { return gap.withLock { $0 = .infinity } }
        var last = MonotonicClock.seconds()
        var number = 0
        while !isOver.load(ordering: .relaxed) {
          number += 1
          let reply = try? client.ask("GET", keys[number % keys.count])
          let now = MonotonicClock.seconds()
          guard reply == .text("v") else {
            usleep(2_000)
            continue
          }
          gap.withLock { [last] in $0 = max($0, now - last) }
          last = now
        }
        gap.withLock { [last] in $0 = max($0, MonotonicClock.seconds() - last) }
      }
      usleep(UInt32(300_000 + dice.below(300_000)))
      victim.kill()
      usleep(3_000_000)
      isOver.store(true, ordering: .relaxed)
      reader.join()
      gaps.append(gap.withLock { $0 })
      print("reads after the death of \(victim.id): \(Int(gaps.last! * 1000)) ms without an answer")
      try restart(victim)
      try waitUntilWhole(seconds: 60)
    }
    return gaps
  }

  struct Restarts {
    var operations = 0
    var failed = 0
    var reads = 0
    var misses = 0
    var seconds: [Double] = []
  }

  /// Each node in turn ends by SIGTERM and starts again, and the next one waits until it says that it is ready; clients
  /// of the others go on counting and reading.
  func restartInTurn(keys count: Int) throws -> Restarts {
    var result = Restarts()
    let keys = (0..<count).map { "warm:\($0)" }
    let writer = try self[0].client()
    for start in stride(from: 0, to: count, by: 500) {
      let part = keys[start..<min(start + 500, count)]
      let replies = try writer.pipeline(part.map { ["SET", $0, $0].map { Array($0.utf8) } })
      expect(replies.allSatisfy { $0 == .ok }, "\(replies.first { $0 != .ok } ?? .ok)")
    }
    for node in nodes {
      let others = nodes.filter { $0 !== node }
      let id = node.id
      let load = CountingLoad(clients: 2, doors: others.map(\.door), shared: ["shared:\(id)"]) { client in
        (0..<40).map { "own:\(id):\(client):\($0)" }
      }
      let reads = Guarded((count: 0, misses: 0))
      let isOver = Atomic<Bool>(false)
      let doors = others.map(\.door)
      let readers = doors.map { door in
        Background {
          guard let client = try? door() else { return reads.withLock { $0.misses += 1 } }
          var number = 0
          while !isOver.load(ordering: .relaxed) {
            number += 1
            let key = keys[number * 7919 % keys.count]
            let isHit = (try? client.ask("GET", key)) == .text(key)
            reads.withLock { $0 = ($0.count + 1, $0.misses + (isHit ? 0 : 1)) }
          }
        }
      }
      expect(load.goesOn(for: 200))
      let began = MonotonicClock.seconds()
      node.leave()
      try restart(node)
      expect(
        eventually(seconds: 60) { (try? node.http("GET", "/health/ready").status) == 200 }, "\(node.id) is not ready")
      result.seconds.append(MonotonicClock.seconds() - began)
      expect(load.goesOn(for: 200))
      isOver.store(true, ordering: .relaxed)
      for reader in readers { reader.join() }
      let tally = load.stop()
      print("restart of \(node.id): \(tally.operations) operations, \(tally.failures.count) failed: \(tally.reasons)")
      result.operations += tally.operations
      result.failed += tally.failures.count + tally.wrong.count
      let (read, missed) = reads.withLock { $0 }
      result.reads += read
      result.misses += missed
      let differences = try tally.differences(from: running)
      expect(differences.isEmpty, "\(differences.count) differ: \(differences.prefix(5))")
    }
    return result
  }

  // MARK: Waiting

  /// Everything that repair had to do is done: every node is ready, with nothing noted or under way, for a while.
  func waitUntilEqual(seconds: Double = 60) throws {
    try waitUntilWhole(seconds: seconds)
    let isEqual = eventually(seconds: seconds) {
      running.allSatisfy { (try? $0.http("GET", "/health/ready").status) == 200 }
    }
    expect(isEqual, "not every node is ready")
  }
}

extension ClusterOfProcesses.Node {
  func info(_ section: String) throws -> InfoReply { InfoReply(try client().ask("INFO", section).string ?? "") }

  /// A sample of its metrics page, without labels; nil where there is none.
  func metric(_ name: String) throws -> Double? {
    let line = try http("GET", "/metrics").text.split(separator: "\n").first { $0.hasPrefix(name + " ") }
    return line.flatMap { Double($0.split(separator: " ")[1]) }
  }
}

extension RESPClient {
  /// What the node itself has of the key: a value, `deleted`, or nil.
  func copy(_ key: String) throws -> String? {
    let reply = try ask("DEBUG", "COPY", key)
    guard let elements = reply.elements, elements.count >= 2 else { return nil }
    return elements.count == 3 ? elements[2].string : elements[0].string
  }
}
