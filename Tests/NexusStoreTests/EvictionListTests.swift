import NexusModel
import Testing

@testable import NexusStore

/// The lists hold exactly what is resident, whatever happens in whatever order.
@Suite struct EvictionListTests {
  struct Run {
    var generator: SplitMix
    var policy: LanePolicy
    let items = FakeItems(count: 400)
    var resident: [UInt32] = []
    var absent: [UInt32] = Array(1...400)

    init(_ name: EvictionPolicyName, seed: UInt64) {
      generator = SplitMix(state: seed)
      policy = LanePolicy(name, tunes: true, seed: seed)
    }

    mutating func pick(_ list: WritableKeyPath<Run, [UInt32]>) -> UInt32 {
      let index = Int.random(in: 0..<self[keyPath: list].count, using: &generator)
      self[keyPath: list].swapAt(index, self[keyPath: list].count - 1)
      return self[keyPath: list].removeLast()
    }

    mutating func fresh() -> FakeItems.Record {
      FakeItems.Record(
        bytes: 1 << Int.random(in: 0..<24, using: &generator) | Int.random(in: 1...40, using: &generator),
        expiresAt: Bool.random(using: &generator) ? Int64.random(in: 1...1000, using: &generator) : 0,
        isResident: true)
    }

    mutating func insert() {
      guard !absent.isEmpty else { return }
      let handle = pick(\.absent)
      items.records[Int(handle)] = fresh()
      policy.inserted(handle, hash: items.hash(handle), bytes: items.bytes(handle), items)
      resident.append(handle)
    }

    mutating func touch() {
      guard let handle = resident.randomElement(using: &generator) else { return }
      items.setFrequency(handle, min(3, items.frequency(handle) + 1))
      policy.accessed(handle, hash: items.hash(handle), bytes: items.bytes(handle), items)
    }

    mutating func remove() {
      guard !resident.isEmpty else { return }
      let handle = pick(\.resident)
      policy.removed(handle, bytes: items.bytes(handle), items)
      items.records[Int(handle)].isResident = false
      absent.append(handle)
    }

    mutating func move() {
      guard !resident.isEmpty, !absent.isEmpty else { return }
      let old = pick(\.resident)
      let bytes = items.bytes(old)
      let inPlace = Bool.random(using: &generator)
      let new = inPlace ? old : pick(\.absent)
      let former = items.records[Int(old)]
      var record = fresh()
      record.frequency = former.frequency
      record.queue = former.queue
      record.next = former.next
      record.prev = former.prev
      if inPlace { record.expiresAt = former.expiresAt } else { (record.next, record.prev) = (0, 0) }
      items.records[Int(new)] = record
      policy.moved(old, to: new, from: bytes, to: record.bytes, items)
      if !inPlace {
        items.records[Int(old)].isResident = false
        absent.append(old)
      }
      resident.append(new)
    }

    mutating func evict() {
      let victim = policy.nextVictim(items)
      guard victim != 0 else { return }
      #expect(items.records[Int(victim)].isResident)
      if Int.random(in: 0..<8, using: &generator) == 0 {
        policy.spared(victim, items)
        return
      }
      policy.evicted(victim, hash: items.hash(victim), bytes: items.bytes(victim), items)
      items.records[Int(victim)].isResident = false
      resident.removeAll { $0 == victim }
      absent.append(victim)
    }

    mutating func step() {
      switch Int.random(in: 0..<100, using: &generator) {
      case 0..<35: insert()
      case 35..<60: touch()
      case 60..<68: remove()
      case 68..<78: move()
      case 78..<99: evict()
      default:
        if Int.random(in: 0..<10, using: &generator) == 0 {
          policy.become(EvictionPolicyName.allCases.randomElement(using: &generator)!, items)
        }
      }
    }

    /// Every resident entry is evicted once, and nothing else.
    mutating func drain() {
      policy.become(.lru, items)
      var left = Set(resident)
      while case let victim = policy.nextVictim(items), victim != 0 {
        #expect(left.remove(victim) != nil)
        policy.evicted(victim, hash: 0, bytes: items.bytes(victim), items)
      }
      #expect(left.isEmpty)
      #expect(policy.count == 0)
    }
  }

  @Test(arguments: EvictionPolicyName.allCases)
  func listsHoldWhatIsResidentUnderRandomOperations(_ name: EvictionPolicyName) {
    var system = SystemRandomNumberGenerator()
    for seed in [1, 2, 3, system.next()] as [UInt64] {
      var run = Run(name, seed: seed)
      for _ in 0..<5_000 {
        run.step()
        guard run.policy.count == run.resident.count else {
          Issue.record("\(name), seed \(seed): \(run.policy.count) in the lists, \(run.resident.count) resident")
          return
        }
      }
      run.drain()
      run.policy.release()
      run.items.release()
      print("eviction lists: \(name) with seed \(seed)")
    }
  }

  @Test func aFlushForgetsEverythingWithoutLookingAtAnEntry() {
    for name in EvictionPolicyName.allCases {
      var cache = FakeCache(name, objects: 100, limit: 50)
      for number in 0..<80 { cache.request(number, expiresAt: 5) }
      cache.policy.forgetAll()
      #expect(cache.policy.count == 0)
      #expect(cache.policy.name == name)
      #expect(cache.policy.nextVictim(cache.items) == 0)
      cache.release()
    }
  }

  @Test func aChangeOfPolicyKeepsTheOrderOfWorth() {
    var cache = FakeCache(.lru, objects: 10, limit: 10)
    for number in 0..<10 { cache.request(number) }
    cache.request(0)
    cache.policy.become(.none, cache.items)
    cache.policy.become(.lru, cache.items)
    #expect((0..<10).compactMap { _ in cache.evictOne() } == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
    cache.release()
  }
}
