import NexusSimulation
import Testing

/// Members that are full evict with every write, each by its own choice. Their copies differ then, on purpose.
@Suite struct MemoryCeilingTests {
  private func full(_ seed: UInt64, change: (inout ReplicaWorldSettings) -> Void = { _ in }) -> ReplicaWorld.Pressure {
    var settings = ReplicaWorldSettings()
    settings.members = 3 + Int(seed % 3)
    (settings.keyCount, settings.entriesMost) = (60, 25)
    (settings.clients, settings.pause) = (6, 5...40)
    settings.deletePercent = 5
    change(&settings)
    return ReplicaWorld(seed: seed, settings).press()
  }

  @Test("repair does not fill what memory pressure empties")
  func atRest() {
    for seed in 1...6 as ClosedRange<UInt64> {
      let pressure = full(seed)
      #expect(pressure.evictions > 500, "seed \(seed)")
      #expect(pressure.repairedBytes == 0, "seed \(seed)")
    }
  }

  @Test("members that took no notice of it would go on filling")
  func control() {
    let pressure = full(1) { $0.pressureMilliseconds = 0 }
    #expect(pressure.evictions > 500)
    #expect(pressure.repairedBytes > 1000)
  }
}
