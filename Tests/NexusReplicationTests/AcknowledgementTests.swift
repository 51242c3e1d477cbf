import NexusModel
import NexusReplication
import NexusTestSupport
import Testing

@Suite("A write that waits for copies") struct AcknowledgementTests {
  typealias Resolution = Acknowledgements.Resolution

  /// Sends effects on these slots to each of these peers, and answers the parts to wait for.
  private func send(
    _ slots: [UInt16], to peers: [UInt16], turn: UInt64, _ core: inout Acknowledgements
  ) -> [Acknowledgements.Part] {
    peers.map { peer in
      let numbers = slots.withUnsafeBufferPointer { core.append($0, to: peer) }
      core.endFrame(to: peer, turn: turn, byteCount: 10, now: turn)
      return Acknowledgements.Part(peer: peer, numbers)
    }
  }

  @Test("is answered when so many have confirmed it, and not before")
  func quorum() {
    var core = Acknowledgements()
    var resolved: [Resolution] = []
    let parts = send([5, 6], to: [1, 2], turn: 1, &core)
    core.wait(7, needed: 1, parts, deadline: 100, into: &resolved)
    #expect(core.confirm(2, through: 1, into: &resolved) == nil)
    #expect(resolved.isEmpty)
    _ = core.confirm(2, through: 2, into: &resolved)
    #expect(resolved == [Resolution(wait: 7, outcome: .confirmed, confirmations: 1)])
    resolved = []
    _ = core.confirm(1, through: 2, into: &resolved)
    #expect(resolved.isEmpty && !core.hasWaits)
  }

  @Test("fails at once when too few are left that could confirm it")
  func impossible() {
    var core = Acknowledgements()
    var resolved: [Resolution] = []
    let parts = send([5], to: [1, 2], turn: 1, &core)
    core.wait(1, needed: 2, parts, deadline: 100, into: &resolved)
    core.wait(2, needed: 1, parts, deadline: 100, into: &resolved)
    #expect(core.lose(1, into: &resolved) == SlotSet([Slot(index: 5)]))
    #expect(resolved == [Resolution(wait: 1, outcome: .impossible, confirmations: 0)])
    // A confirmation that comes over a later connection says nothing of what was lost with the one before.
    let later = send([6], to: [1], turn: 2, &core)
    _ = core.confirm(1, through: later[0].last, into: &resolved)
    #expect(resolved.count == 1)
    _ = core.lose(2, into: &resolved)
    #expect(resolved.last == Resolution(wait: 2, outcome: .impossible, confirmations: 0))
  }

  @Test("fails where a copy refuses it; what else was in the frame is confirmed")
  func refused() {
    var core = Acknowledgements()
    var resolved: [Resolution] = []
    let first = send([5], to: [1], turn: 1, &core)
    let second = send([6], to: [1], turn: 1, &core)
    core.wait(1, needed: 1, first, deadline: 100, into: &resolved)
    core.wait(2, needed: 1, second, deadline: 100, into: &resolved)
    #expect(core.confirm(1, through: 2, refused: [1], into: &resolved) == SlotSet([Slot(index: 5)]))
    #expect(
      resolved == [
        Resolution(wait: 1, outcome: .impossible, confirmations: 0),
        Resolution(wait: 2, outcome: .confirmed, confirmations: 1),
      ])
    #expect(core.gapNumber(of: 1) != nil)
  }

  @Test("ends at its deadline with what it has")
  func deadline() {
    var core = Acknowledgements()
    var resolved: [Resolution] = []
    let parts = send([5], to: [1, 2], turn: 1, &core)
    core.wait(1, needed: 2, parts, deadline: 100, into: &resolved)
    _ = core.confirm(1, through: 1, into: &resolved)
    core.expire(now: 99, into: &resolved)
    #expect(resolved.isEmpty)
    core.expire(now: 100, into: &resolved)
    #expect(resolved == [Resolution(wait: 1, outcome: .timedOut, confirmations: 1)])
    #expect(core.lag(of: 2, now: 101) == .init(effects: 1, bytes: 10, milliseconds: 100))
  }

  @Test("nobody has more than was confirmed, and a gap counts until it is settled")
  func having() {
    var core = Acknowledgements()
    var resolved: [Resolution] = []
    _ = send([1], to: [1, 2], turn: 1, &core)
    _ = send([2], to: [1], turn: 2, &core)
    core.miss(2, turn: 2)
    #expect(core.count(of: [1, 2], having: 1...1) == 0)
    _ = core.confirm(1, through: 1, into: &resolved)
    _ = core.confirm(2, through: 1, into: &resolved)
    #expect(core.count(of: [1, 2], having: 1...1) == 2)
    #expect(core.count(of: [1, 2], having: 1...2) == 0)
    _ = core.confirm(1, through: 2, into: &resolved)
    #expect(core.count(of: [1, 2], having: 1...2) == 1)
    let number = core.gapNumber(of: 2)!
    core.miss(2, turn: 3)
    core.settle(2, through: number)
    #expect(core.count(of: [1, 2], having: 1...2) == 1, "what was missed since is not settled")
    core.settle(2, through: core.gapNumber(of: 2)!)
    #expect(core.count(of: [1, 2], having: 1...3) == 2)
  }

  @Test("whatever happens, every wait ends once and as the fates of its effects say")
  func randomHistories() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    for history in 0..<300 {
      var run = AcknowledgementHistory(seed: seed &+ UInt64(history))
      for _ in 0..<120 { run.step() }
      if let fault = run.fault {
        Issue.record("seed \(seed), history \(history): \(fault)")
        return
      }
    }
  }
}

/// A random history, and beside the core a model that remembers the fate of every single effect.
private struct AcknowledgementHistory {
  private enum Fate { case underWay, confirmed, refused, lost }
  private struct Effect {
    var turn: UInt64
    var slot: UInt16
    var fate = Fate.underWay
  }
  private struct Wait {
    var id: UInt64
    var needed: Int
    var deadline: UInt64
    var parts: [Acknowledgements.Part]
  }

  private var dice: Dice
  private var core = Acknowledgements()
  private var effects: [[Effect]] = [[], [], [], []]
  private var missed: [Set<UInt64>] = [[], [], [], []]
  private var waits: [Wait] = []
  private var turn: UInt64 = 0
  private var now: UInt64 = 0
  private var lastWait: UInt64 = 0
  private(set) var fault: String?

  init(seed: UInt64) { dice = Dice(seed: seed) }

  mutating func step() {
    guard fault == nil else { return }
    now += UInt64(dice.below(3))
    var resolved: [Acknowledgements.Resolution] = []
    switch dice.below(10) {
    case 0...3: send(&resolved)
    case 4...6: confirm(&resolved)
    case 7: lose(&resolved)
    case 8: settle()
    default: core.expire(now: now, into: &resolved)
    }
    check(resolved)
    checkHaving()
  }

  private mutating func send(_ resolved: inout [Acknowledgements.Resolution]) {
    turn += 1
    var sets: [(parts: [Acknowledgements.Part], peers: Int)] = []
    let peers = dice.some([0, 1, 2, 3], percent: 60)
    var touched: Set<Int> = []
    for _ in 0..<dice.within(1...3) {
      let chosen = dice.some(peers, percent: 80)
      let slots = (0..<dice.within(1...4)).map { _ in UInt16(dice.below(Slot.count)) }
      var parts: [Acknowledgements.Part] = []
      for peer in chosen {
        if dice.chance(10), !touched.contains(peer) {
          core.miss(UInt16(peer), turn: turn)
          missed[peer].insert(turn)
          continue
        }
        touched.insert(peer)
        let numbers = slots.withUnsafeBufferPointer { core.append($0, to: UInt16(peer)) }
        effects[peer] += slots.map { Effect(turn: turn, slot: $0) }
        parts.append(.init(peer: UInt16(peer), numbers))
      }
      sets.append((parts, chosen.count))
    }
    for peer in touched { core.endFrame(to: UInt16(peer), turn: turn, byteCount: 1, now: now) }
    for set in sets where dice.chance(70) {
      lastWait += 1
      let wait = Wait(
        id: lastWait, needed: dice.within(0...set.peers), deadline: now + UInt64(dice.below(40)), parts: set.parts)
      waits.append(wait)
      core.wait(wait.id, needed: wait.needed, wait.parts, deadline: wait.deadline, into: &resolved)
    }
  }

  private mutating func confirm(_ resolved: inout [Acknowledgements.Resolution]) {
    let peer = dice.below(4)
    let open = effects[peer].indices.filter { effects[peer][$0].fate == .underWay }
    guard let first = open.first, let last = open.last else { return }
    let through = dice.within(first...last)
    var refused: [UInt64] = []
    var slots = SlotSet()
    for index in first...through {
      if dice.chance(10) {
        effects[peer][index].fate = .refused
        refused.append(UInt64(index + 1))
        slots.insert(Slot(index: effects[peer][index].slot))
      } else {
        effects[peer][index].fate = .confirmed
      }
    }
    let told = core.confirm(UInt16(peer), through: UInt64(through + 1), refused: refused, into: &resolved)
    if (told ?? SlotSet()) != slots { fault = "refused slots \(String(describing: told)) instead of \(slots)" }
  }

  private mutating func lose(_ resolved: inout [Acknowledgements.Resolution]) {
    let peer = dice.below(4)
    var slots = SlotSet()
    for index in effects[peer].indices where effects[peer][index].fate == .underWay {
      effects[peer][index].fate = .lost
      slots.insert(Slot(index: effects[peer][index].slot))
    }
    if core.lose(UInt16(peer), into: &resolved) != slots { fault = "lost slots are not those under way" }
  }

  private mutating func settle() {
    let peer = dice.below(4)
    guard let number = core.gapNumber(of: UInt16(peer)) else { return }
    if dice.chance(30) {
      // Too late: something else was missed meanwhile.
      turn += 1
      core.miss(UInt16(peer), turn: turn)
      missed[peer].insert(turn)
      return core.settle(UInt16(peer), through: number)
    }
    core.settle(UInt16(peer), through: number)
    missed[peer] = []
    for index in effects[peer].indices where [.refused, .lost].contains(effects[peer][index].fate) {
      // Brought by other means. Whoever waited for it has been told long ago.
      effects[peer][index].turn = 0
    }
  }

  // MARK: Judging

  private mutating func check(_ resolved: [Acknowledgements.Resolution]) {
    for resolution in resolved {
      guard let index = waits.firstIndex(where: { $0.id == resolution.wait }) else {
        fault = "wait \(resolution.wait) ends twice, or never began"
        return
      }
      let wait = waits.remove(at: index)
      let fates = wait.parts.map(fate)
      let confirmed = fates.count { $0 == .confirmed }
      let possible = confirmed + fates.count { $0 == .underWay }
      let holds =
        switch resolution.outcome {
        case .confirmed: confirmed >= wait.needed
        case .impossible: possible < wait.needed
        case .timedOut: now >= wait.deadline && confirmed < wait.needed && possible >= wait.needed
        }
      if !holds { fault = "\(resolution) of \(wait), whose parts are \(fates)" }
    }
    for wait in waits {
      let fates = wait.parts.map(fate)
      let confirmed = fates.count { $0 == .confirmed }
      if confirmed >= wait.needed || confirmed + fates.count(where: { $0 == .underWay }) < wait.needed {
        fault = "wait \(wait) should have ended: \(fates)"
      }
    }
  }

  private func fate(_ part: Acknowledgements.Part) -> Fate {
    let fates = (part.first...part.last).map { effects[Int(part.peer)][Int($0) - 1].fate }
    if fates.contains(.refused) { return .refused }
    if fates.contains(.lost) { return .lost }
    return fates.contains(.underWay) ? .underWay : .confirmed
  }

  /// The core may say that a peer lacks something where it does not, never the other way round.
  private mutating func checkHaving() {
    guard turn > 0 else { return }
    let (a, b) = (UInt64(dice.within(1...Int(turn))), UInt64(dice.within(1...Int(turn))))
    let turns = min(a, b)...max(a, b)
    for peer in 0..<4 {
      let lacks = effects[peer].contains { effect in
        effect.fate == .underWay
          ? effect.turn <= turns.upperBound : effect.fate != .confirmed && turns.contains(effect.turn)
      }
      let has = core.count(of: [UInt16(peer)], having: turns) == 1
      if has, lacks || missed[peer].contains(where: turns.contains) {
        fault = "peer \(peer) is said to have turns \(turns)"
      }
      if !has, !lacks, core.gapNumber(of: UInt16(peer)) == nil { fault = "peer \(peer) has turns \(turns)" }
    }
  }
}
