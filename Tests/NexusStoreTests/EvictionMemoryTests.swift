import NexusModel
import Testing

@testable import NexusStore

/// What the policies remember of entries that left, and what they learn from it.
@Suite struct EvictionMemoryTests {
  func hash(_ number: Int) -> UInt64 {
    var generator = SplitMix(state: UInt64(number))
    return generator.next()
  }

  // MARK: Ghosts

  @Test func aGhostIsFoundOnceWithItsTag() {
    var ghosts = GhostTable(tagBits: 2)
    ghosts.fit(entries: 8_000)
    for number in 0..<1_000 { ghosts.put(hash(number), tag: UInt8(number & 3)) }
    let wrong = (0..<1_000).filter { ghosts.take(hash($0)) != UInt8($0 & 3) }.count
    #expect(wrong < 30, "of two hashes with one fingerprint in a word the younger is found")
    #expect((0..<1_000).filter { ghosts.take(hash($0)) != nil }.count < 30)
    ghosts.release()
  }

  @Test func theYoungestGhostsAreKept() {
    var ghosts = GhostTable()
    ghosts.fit(entries: 8_000)
    #expect(ghosts.capacity == 5_328)
    #expect(ghosts.heapBytes == 7_104)
    for number in 0..<50_000 { ghosts.put(hash(number)) }
    #expect((49_000..<50_000).filter { ghosts.take(hash($0)) != nil }.count > 980)
    #expect((0..<10_000).filter { ghosts.take(hash($0)) != nil }.count < 120)
    ghosts.release()
  }

  @Test func strangersAreSeldomTakenForGhosts() {
    var ghosts = GhostTable()
    ghosts.fit(entries: 8_000)
    for number in 0..<50_000 { ghosts.put(hash(number)) }
    let taken = (1_000_000..<1_100_000).filter { ghosts.take(hash($0)) != nil }.count
    #expect(taken < 800, "\(taken) of 100000")
    ghosts.release()
  }

  @Test func ghostsWithoutRoomRememberNothing() {
    var ghosts = GhostTable()
    ghosts.put(1)
    #expect(ghosts.take(1) == nil)
    #expect(ghosts.heapBytes == 0)
  }

  @Test func theTableFollowsTheLane() {
    var ghosts = GhostTable()
    ghosts.fit(entries: 1_000)
    ghosts.put(7)
    ghosts.fit(entries: 1_100)
    #expect(ghosts.take(7) == 0, "a small change keeps what is remembered")
    ghosts.fit(entries: 100_000)
    #expect(ghosts.heapBytes == 88_888)
    ghosts.fit(entries: 10)
    #expect(ghosts.heapBytes == 8)
    ghosts.release()
  }

  // MARK: The tuner

  /// Everything is used three times within 40% of the cache, then never again: the longer it may wait in the small
  /// queue the better.
  func shortLives(_ cache: inout FakeCache, from start: Int, count: Int) {
    let gap = cache.limit / 5
    for step in start..<(start + count) {
      cache.request(step)
      if step >= start + gap { cache.request(step - gap) }
      if step >= start + 2 * gap { cache.request(step - 2 * gap) }
    }
  }

  /// A hot set nearly as large as the cache, among strangers: the sooner these leave the better.
  func hotSetAndScan(_ cache: inout FakeCache, from start: Int, count: Int) {
    var generator = SplitMix(state: 5)
    for step in 0..<count {
      cache.request(Int.random(in: 0..<(cache.limit * 9 / 10), using: &generator))
      cache.request(start + step)
    }
  }

  @Test func theSmallQueueGrowsAndShrinksWithTheLoad() {
    for limit in [200, 2_000] {
      var cache = FakeCache(.s3fifo, objects: 300 * limit, limit: limit)
      #expect(cache.policy.touchMask == .max)
      shortLives(&cache, from: limit, count: 40 * limit)
      #expect(cache.policy.smallShare >= 256, "short lives at \(limit)")
      #expect(cache.policy.hasNews)
      cache.policy.hasNews = false
      hotSetAndScan(&cache, from: 50 * limit, count: 80 * limit)
      #expect(cache.policy.smallShare <= 102, "hot set and scan at \(limit)")
      #expect(cache.policy.hasNews)
      cache.release()
    }
  }

  @Test func onlyASampleIsTold() {
    var cache = FakeCache(.s3fifo, objects: 100_000, limit: 50_000)
    for number in 0..<60_000 { cache.request(number) }
    let told = (0..<100_000).filter { hash($0) & cache.policy.touchMask == 0 }.count
    #expect((200..<800).contains(told), "\(told) of 100000")
    cache.release()
  }

  @Test func aLaneThatDoesNotTuneTakesTheShareItIsGiven() {
    var policy = LanePolicy(.s3fifo, tunes: false, seed: 1)
    let items = FakeItems(count: 100)
    for handle in 1...100 { policy.inserted(UInt32(handle), hash: UInt64(handle), bytes: 1, items) }
    #expect(policy.nextVictim(items) != 0)
    #expect(policy.touchMask == .max)
    #expect(!policy.hasNews)
    policy.smallShare = 461
    #expect(policy.smallShare == 461)
    policy.release()
    items.release()
  }

  @Test func theShadowsFollowALaneThatGrows() {
    var cache = FakeCache(.s3fifo, objects: 200_000, limit: 100)
    for number in 0..<500 { cache.request(number) }
    let mask = cache.policy.touchMask
    #expect(mask == 0, "a small cache is watched in full")
    cache.limit = 20_000
    for number in 500..<100_000 { cache.request(number) }
    #expect(cache.policy.touchMask != mask)
    #expect(cache.policy.touchMask != .max)
    cache.release()
  }
}
