import NexusModel
import NexusService
import NexusTestSupport
import Testing

/// Nodes join, leave, pause and die while clients read and write; every answer is judged.
@Suite struct HandoverTests {
  /// The same worlds in every run, unless others are asked for.
  private static let firstSeed = Environment["NEXUS_SEED"].flatMap { UInt64($0) } ?? 1
  private static let count = Environment["NEXUSCACHE_SIMULATION_SEEDS"].flatMap { Int($0) } ?? 6

  private static func seeds() -> [UInt64] {
    let first = firstSeed
    return (0..<UInt64(count)).map { first &+ $0 }
  }

  private func judge(_ world: HandoverWorld, _ seed: UInt64) {
    let problems = world.book.problems
    #expect(problems.isEmpty, "NEXUS_SEED=\(seed): \(problems.joined(separator: "\n"))")
  }

  @Test(arguments: seeds())
  func joinsAndLeavesLoseNothingAndFailNothing(_ seed: UInt64) {
    let world = HandoverStories.calm(seed)
    judge(world, seed)
    #expect(world.book.failures == 0, "NEXUS_SEED=\(seed)")
    #expect(world.book.finished > 500, "NEXUS_SEED=\(seed)")
  }

  @Test(arguments: seeds())
  func crashesTakeOnlyWhatTheDeadAloneHeld(_ seed: UInt64) { judge(HandoverStories.crashes(seed), seed) }

  @Test(arguments: seeds())
  func aClusterThatWasTornOrFrozenComesToRest(_ seed: UInt64) { judge(HandoverStories.torn(seed), seed) }

  /// The checks would find these bugs: some seed of the sample shows each of them.
  @Test(arguments: [PlantedBug.answersBeforeStopping, .lateCopyWins, .comparesNoViews])
  func plantedBugsAreCaught(_ bug: PlantedBug) {
    let first = Self.firstSeed
    let catching = (0..<20).first { seed in
      !HandoverStories.calm(first &+ seed, bug: bug).book.problems.isEmpty
        || !HandoverStories.crashes(first &+ seed, bug: bug).book.problems.isEmpty
    }
    #expect(catching != nil, "no seed of \(first)..<\(first + 20) shows it")
  }
}

enum HandoverStories {
  static let verbs: [(weight: Int, Request.Verb)] = [(4, .increment), (2, .get), (1, .set), (1, .delete)]

  /// Nobody dies; messages between ownerships are lost now and then.
  static func calm(_ seed: UInt64, bug: PlantedBug? = nil) -> HandoverWorld {
    let world = HandoverWorld(seed: seed, bug: bug)
    world.lossPercent = world.dice.pick([0, 0, 3])
    let first = world.dice.within(1...3)
    for index in 0..<first { world.start(index, knowing: Array(0..<index)) }
    world.run(for: 1000)
    world.begin(40, verbs)
    world.run(for: 300)
    for _ in 0..<world.dice.within(2...5) {
      let members = world.nodes.indices.filter { world.nodes[$0].isUp && world.nodes[$0].seen[$0]?.isLeaving == false }
      // A node that knows of no other one leaves at once.
      let free = members.filter { world.nodes[$0].seen.values.count { $0.state == .alive && !$0.isLeaving } > 1 }
      if members.count > 1, !free.isEmpty, world.dice.chance(40) {
        world.leave(world.dice.pick(free))
      } else {
        world.start(world.nodes.count, knowing: [world.dice.pick(members)])
      }
      world.run(for: world.dice.pick([10, 100, 400, 2000]))
    }
    return rest(world)
  }

  /// Processes die and come back with nothing.
  static func crashes(_ seed: UInt64, bug: PlantedBug? = nil) -> HandoverWorld {
    let world = HandoverWorld(seed: seed, bug: bug)
    world.lossPercent = world.dice.pick([0, 0, 3])
    let first = world.dice.within(3...5)
    for index in 0..<first { world.start(index, knowing: Array(0..<index)) }
    world.run(for: 1000)
    world.begin(40, verbs)
    world.run(for: 300)
    for _ in 0..<world.dice.within(2...6) {
      let members = world.nodes.indices.filter { world.nodes[$0].isUp && world.nodes[$0].seen[$0]?.isLeaving == false }
      let gone = world.nodes.indices.filter { !world.nodes[$0].isUp && world.nodes[$0].unmoved == nil }
      switch world.dice.below(10) {
      case 0..<4 where members.count > 2: world.crash(world.dice.pick(members))
      case 4...5 where !gone.isEmpty:
        let index = world.dice.pick(gone)
        let highest = members.compactMap { world.nodes[$0].seen[index]?.incarnation }.max() ?? 0
        world.start(index, knowing: members, incarnation: highest + 1)
      case 6 where members.count > 2: world.leave(world.dice.pick(members))
      default: world.start(world.nodes.count, knowing: [world.dice.pick(members)])
      }
      world.run(for: world.dice.pick([10, 100, 400, 2000, 4000]))
    }
    world.run(for: 8000)
    return rest(world)
  }

  /// Nodes are frozen, and the network falls into halves that both go on.
  static func torn(_ seed: UInt64) -> HandoverWorld {
    let world = HandoverWorld(seed: seed)
    world.checksTokens = false
    let count = world.dice.within(3...5)
    for index in 0..<count { world.start(index, knowing: Array(0..<index)) }
    world.run(for: 1000)
    world.begin(30, [(4, .increment), (2, .get), (1, .set)], judges: false)
    world.run(for: 500)
    for _ in 0..<world.dice.within(1...3) {
      if world.dice.chance(50) {
        let half = Set((0..<count).filter { _ in world.dice.chance(50) })
        world.tear(half, milliseconds: world.dice.pick([500, 2500, 5000]))
      } else {
        world.pause(world.dice.below(count), milliseconds: world.dice.pick([300, 900, 1300, 3000, 5000]))
      }
      if world.dice.chance(30) {
        world.start(world.nodes.count, knowing: [world.dice.below(count)])
      }
      world.run(for: world.dice.pick([100, 1000, 6000]))
    }
    world.run(for: 8000)
    let held = Set(world.nodes.flatMap { node in node.store.values.flatMap { $0.keys } })
    let finished = rest(world)
    for key in held where !world.nodes.contains(where: { $0.store.values.contains { $0[key] != nil } }) {
      world.problem("\(key) was held by a live node and is nowhere")
    }
    return finished
  }

  static func rest(_ world: HandoverWorld) -> HandoverWorld {
    world.lossPercent = 0
    world.run(for: 6000)
    for client in world.book.clients { client.isStopped = true }
    world.run(for: 6000)
    world.checkRest()
    return world
  }
}
