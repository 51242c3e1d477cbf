import NexusSimulation
import NexusTestSupport
import Testing

/// Copies among loss, cuts, deaths, pauses, wrong clocks, evictions and expiry: in the end all are equal, nothing that
/// was acknowledged is missing while somebody still had it, and nothing that was deleted is back.
@Suite struct ReplicaWorldTests {
  /// The same histories in every run, unless others are asked for.
  private static let firstSeed = Environment["NEXUS_SEED"].flatMap { UInt64($0) } ?? 1
  private static let count = Environment["NEXUSCACHE_HISTORIES"].flatMap { UInt64($0) } ?? 480
  private static let chunks: UInt64 = min(count, 8)

  @Test("histories that come to rest with what was promised", arguments: 0..<chunks)
  func histories(_ chunk: UInt64) {
    var acknowledged = 0
    for offset in stride(from: chunk, to: Self.count, by: Int(Self.chunks)) {
      let seed = Self.firstSeed &+ offset
      let world = ReplicaWorld(seed: seed, .variation(of: seed))
      world.play()
      acknowledged += world.acknowledged
      #expect(world.problems.isEmpty, "NEXUS_SEED=\(seed): \(world.problems.joined(separator: "\n"))")
    }
    #expect(acknowledged > 0)
  }

  @Test("a seed replays its history")
  func replay() {
    func trace(_ seed: UInt64) -> UInt64 {
      let world = ReplicaWorld(seed: seed, .variation(of: seed))
      world.play()
      return world.world.trace
    }
    #expect(trace(11) == trace(11))
    #expect(trace(11) != trace(12))
  }

  @Test("planted bugs are caught", arguments: ReplicaBug.allCases)
  func plantedBugs(_ bug: ReplicaBug) {
    let first = Self.firstSeed
    let catching = (0..<80 as Range<UInt64>).first { offset in
      let seed = first &+ offset
      let world = ReplicaWorld(seed: seed, .variation(of: seed), bug: bug)
      world.play()
      return !world.problems.isEmpty
    }
    #expect(catching != nil, "no seed of \(first)..<\(first + 80) shows \(bug)")
  }
}
