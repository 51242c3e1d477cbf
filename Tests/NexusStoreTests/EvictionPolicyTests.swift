import NexusModel
import Testing

@testable import NexusStore

@Suite struct EvictionPolicyTests {
  // MARK: lru

  @Test func lruEqualsAReferenceExactly() {
    var generator = SplitMix(state: 11)
    var cache = FakeCache(.lru, objects: 200, limit: 40)
    var reference: [Int] = []
    for _ in 0..<20_000 {
      let number = min(Int.random(in: 0..<200, using: &generator), Int.random(in: 0..<200, using: &generator))
      let isHit = reference.contains(number)
      reference.removeAll { $0 == number }
      reference.insert(number, at: 0)
      if reference.count > 40 { reference.removeLast() }
      guard cache.request(number) == isHit else {
        Issue.record("request for \(number)")
        break
      }
    }
    #expect((0..<200).allSatisfy { cache.holds($0) == reference.contains($0) })
    cache.release()
  }

  // MARK: s3fifo

  @Test func whatIsUsedOnceLeavesBeforeWhatIsUsedTwiceMore() {
    var cache = FakeCache(.s3fifo, objects: 1_000, limit: 100)
    for number in 0..<100 { cache.request(number) }
    for number in 0..<20 {
      cache.request(number)
      cache.request(number)
    }
    for number in 100..<170 { cache.request(number) }
    #expect((0..<20).allSatisfy { cache.holds($0) })
    cache.release()
  }

  @Test func aLongScanDoesNotFlushTheMainQueue() {
    var cache = FakeCache(.s3fifo, objects: 20_000, limit: 100)
    for _ in 0..<4 { for number in 0..<80 { cache.request(number) } }
    for number in 1_000..<1_200 { cache.request(number) }
    #expect((0..<80).filter { cache.holds($0) }.count > 70)
    cache.release()
  }

  @Test func aGhostThatReturnsStays() {
    var cache = FakeCache(.s3fifo, objects: 5_000, limit: 200)
    for number in 0..<400 { cache.request(number) }
    let ghost = (300..<400).first { !cache.holds($0) }
    guard let ghost else {
      Issue.record("nothing was evicted")
      return
    }
    cache.request(ghost)
    for number in 1_000..<1_100 { cache.request(number) }
    #expect(cache.holds(ghost))
    cache.release()
  }

  @Test func aSearchForAVictimIsBounded() {
    for name in [EvictionPolicyName.s3fifo, .sizeAware] {
      var cache = FakeCache(name, objects: 10_000, limit: 10_000)
      for number in 0..<10_000 { cache.request(number) }
      for handle in 1...10_000 { cache.items.setFrequency(UInt32(handle), 3) }
      #expect(cache.policy.nextVictim(cache.items) != 0)
      #expect((1...10_000).filter { cache.items.frequency(UInt32($0)) != 3 }.count <= workLimit)
      cache.release()
    }
  }

  @Test func overheadBesideTheEntriesIsSmall() {
    for name in EvictionPolicyName.allCases where name != .none {
      var cache = FakeCache(name, objects: 300_000, limit: 50_000)
      for number in 0..<50_000 { cache.request(number, expiresAt: 9) }
      let before = cache.policy.heapBytes
      #expect(before <= 8 << 10, "\(name) before the first eviction")
      for number in 50_000..<300_000 { cache.request(number, expiresAt: 9) }
      #expect(cache.policy.heapBytes <= 50_000 + 32 << 10, "\(name): \(cache.policy.heapBytes) bytes")
      cache.release()
    }
  }

  // MARK: size-aware

  @Test func theLargeOneLeavesBeforeSmallOnesOfItsAge() {
    var cache = FakeCache(.sizeAware, objects: 1_000, limit: 100_000)
    for number in 0..<50 { cache.request(number, bytes: number == 25 ? 50_000 : 100) }
    #expect(cache.evictOne() == 25)
    cache.release()
  }

  @Test func whatProvedUsefulOutlivesWhatDidNot() {
    var cache = FakeCache(.sizeAware, objects: 10_000, limit: 100_000)
    for number in 0..<100 { cache.request(number, bytes: 1_000) }
    for number in 0..<10 { cache.request(number, bytes: 1_000) }
    for number in 100..<200 { cache.request(number, bytes: 1_000) }
    #expect((0..<10).allSatisfy { cache.holds($0) })
    #expect(!(10..<100).contains { cache.holds($0) })
    cache.release()
  }

  @Test func sizesOfAllMagnitudesHaveAPlace() {
    var cache = FakeCache(.sizeAware, objects: 64, limit: .max / 4)
    for shift in 0..<40 { cache.request(shift, bytes: 1 << shift) }
    #expect(cache.evictOne() ?? 0 >= 29)
    var evicted = 1
    while cache.evictOne() != nil { evicted += 1 }
    #expect(evicted == 40)
    cache.release()
  }

  // MARK: ttl, random, none

  @Test func whatHasNoExpiryStays() {
    var cache = FakeCache(.ttl, objects: 100, limit: 100)
    for number in 0..<100 { cache.request(number, expiresAt: number % 10 == 0 ? Int64(1_000 - number) : 0) }
    #expect((0..<10).compactMap { _ in cache.evictOne() } == [90, 80, 70, 60, 50, 40, 30, 20, 10, 0])
    #expect(cache.evictOne() == nil)
    #expect(cache.policy.count == 90)
    cache.release()
  }

  @Test func anEntryThatGainsAnExpiryMayLeave() {
    var cache = FakeCache(.ttl, objects: 3, limit: 3)
    cache.request(0)
    cache.request(1)
    cache.items.records[1].expiresAt = 77
    cache.policy.moved(1, to: 1, from: 1, to: 1, cache.items)
    #expect(cache.evictOne() == 0)
    #expect(cache.evictOne() == nil)
    cache.release()
  }

  @Test func anyoneMayLeaveAtRandom() {
    var cache = FakeCache(.random, objects: 11_000, limit: 1_000)
    for number in 0..<1_000 { cache.request(number) }
    for number in 1_000..<2_000 { cache.request(number) }
    // After as many evictions as entries, 1/e of the first ones are left if each victim is drawn from all.
    let left = (0..<1_000).filter { cache.holds($0) }.count
    #expect((300..<440).contains(left), "\(left) left of 1000")
    for number in 2_000..<11_000 { cache.request(number) }
    #expect((0..<1_000).filter { cache.holds($0) }.count < 5)
    cache.release()
  }

  @Test func nobodyLeavesUnderNone() {
    var cache = FakeCache(.none, objects: 10, limit: 5)
    for number in 0..<10 { cache.request(number) }
    #expect((0..<5).allSatisfy { cache.holds($0) })
    #expect(cache.policy.count == 5)
    cache.release()
  }
}
