import NexusTestSupport
import Testing

@testable import NexusSketch

@Suite("A cuckoo filter")
struct FilterTests {
  /// Plans whose tables are small and crowded with equals, and one that is like those in use.
  private static let plans: [CuckooFilterPlan] = [
    .of(1, rate: 0.25, expansion: 1), .of(10, rate: 0.25), .of(40, rate: 0.25, slots: 2, expansion: 1),
    .of(40, rate: 0.1, slots: 3, displacements: 5), .of(100, rate: 0.2, slots: 8, expansion: 3),
    .of(300, rate: 0.01), .of(2000, rate: 0.001),
  ]

  @Test("finds every item that was added as often as not removed, whatever came between", arguments: plans)
  func noFalseNegatives(_ plan: CuckooFilterPlan) {
    let seed = Dice.seed()
    var dice = Dice(seed: seed)
    let filter = Filter(plan, seed: seed)
    // As often as it is there.
    var present: [Int] = []
    var (added, removed) = (0, 0)
    let universe = plan.capacity * 12 + 50
    for step in 0..<8000 {
      // It fills, empties and fills again.
      if dice.chance((step / 2000) % 2 == 0 ? 70 : 30) {
        let item = dice.below(universe)
        guard filter.add(item) else { continue }
        present.append(item)
        added += 1
      } else if !present.isEmpty {
        let index = dice.below(present.count)
        present.swapAt(index, present.count - 1)
        #expect(filter.remove(present.removeLast()), "step \(step), NEXUS_SEED=\(seed)")
        removed += 1
      }
      guard step % 500 == 0 else { continue }
      for (item, times) in Dictionary(present.map { ($0, 1) }, uniquingKeysWith: +) {
        #expect(filter.count(of: item) >= times, "step \(step), NEXUS_SEED=\(seed)")
      }
    }
    #expect(filter.itemCount == added - removed && filter.deletedCount == removed)
    for item in present.shuffled(using: &dice) { #expect(filter.remove(item), "NEXUS_SEED=\(seed)") }
    #expect(filter.itemCount == 0)
    #expect((0..<universe).allSatisfy { !filter.contains($0) })
  }

  @Test("holds what it was made for before it grows or is full", arguments: [4, 5, 8, 64])
  func capacity(_ slots: Int) {
    let seed = Dice.seed()
    for capacity in [1, 2, 3, 7, 30, 100, 1000, 10_000] {
      let filter = Filter(.of(capacity, rate: 0.01, slots: slots, expansion: 0), seed: seed)
      let added = (0..<capacity).reduce(0) { $0 + (filter.add($1) ? 1 : 0) }
      // One small table in some thousands has no room for an item less.
      #expect(added >= capacity - (capacity < 100 ? 2 : 0), "\(capacity) of \(slots), NEXUS_SEED=\(seed)")
      #expect(!filter.add(-1), "a filter that may not grow is full then")
      #expect(filter.remove(0) && filter.add(-1))
    }
  }

  @Test("is as it was before where an addition finds no room")
  func full() {
    let filter = Filter(.of(200, rate: 0.01, expansion: 0), seed: 3)
    for item in 0..<200 { _ = filter.add(item) }
    let before = filter.bytes
    for item in 1000..<1100 { #expect(!filter.add(item)) }
    #expect(filter.bytes == before)
    // The same where places are left and only pushing others away does not reach them.
    let crowded = Filter(.of(2000, rate: 0.25, slots: 2, displacements: 1, expansion: 0), seed: 3)
    var refused = 0
    for item in 0..<2000 {
      let before = crowded.bytes
      if crowded.add(item) { continue }
      refused += 1
      #expect(crowded.bytes == before)
    }
    #expect(refused > 0 && crowded.itemCount == 2000 - refused)
  }

  @Test("holds an item more than once, and does not grow without end for it")
  func equals() {
    let filter = Filter(.of(2000, rate: 0.01))
    let times = (0..<100).reduce(0) { count, _ in count + (filter.add(7) ? 1 : 0) }
    #expect(times == 8 && filter.count(of: 7) == 8, "two buckets of four places")
    #expect(filter.layerCount == 1)
    for _ in 0..<8 { #expect(filter.remove(7)) }
    #expect(!filter.remove(7) && !filter.contains(7))
    let small = Filter(.of(10, rate: 0.01))
    for _ in 0..<10_000 { _ = small.add(7) }
    #expect(small.bytes.count < 16 << 10)
  }

  @Test("grows to what its plan allows, and says then that it is full")
  func growing() {
    let filter = Filter(.of(10, rate: 0.01, expansion: 1))
    let added = (0..<2000).prefix { filter.add($0) }
    #expect(filter.layerCount == 33)
    #expect(320...330 ~= added.count, "\(added.count)")
    #expect(added.allSatisfy { filter.contains($0) })
    #expect(filter.capacity == 330)
  }

  @Test("takes items of any length")
  func items() {
    let filter = Filter(.of(500, rate: 0.0001))
    for length in 0..<300 { #expect(filter.add([UInt8](repeating: 1, count: length))) }
    for length in 0..<300 { #expect(filter.contains([UInt8](repeating: 1, count: length))) }
    #expect(filter.value.contains(UnsafeRawBufferPointer(start: nil, count: 0)))
    #expect(!filter.contains([UInt8](repeating: 2, count: 10)))
  }

  @Test("is refused with what it cannot be made for")
  func refusals() {
    func refusal(_ body: () throws -> CuckooFilterPlan) -> CuckooFilterError? {
      do {
        _ = try body()
        return nil
      } catch { return error as? CuckooFilterError }
    }
    #expect(refusal { try CuckooFilterPlan(capacity: 0) } == .capacity)
    #expect(refusal { try CuckooFilterPlan(capacity: 1 << 32) } == .capacity)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, falsePositiveRate: 0) } == .falsePositiveRate)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, falsePositiveRate: 0.3) } == .falsePositiveRate)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, falsePositiveRate: .nan) } == .falsePositiveRate)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, bucketSlots: 1) } == .bucketSlots)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, displacements: 0) } == .displacements)
    #expect(refusal { try CuckooFilterPlan(capacity: 1, expansion: -1) } == .expansion)
    #expect(refusal { try CuckooFilterPlan(capacity: Int(UInt32.max) - 1, falsePositiveRate: 1e-7) } == nil)
  }
}
