import Testing

@testable import NexusBench

@Suite struct ExactLRUTests {
  @Test func theLeastRecentlyUsedLeavesFirst() {
    var cache = ExactLRU(capacity: 2, objectCount: 4)
    let hits = [0, 1, 0, 2, 0, 1, 3, 1].map { cache.access(UInt32($0)) }
    #expect(hits == [false, false, true, false, true, false, false, true])
  }

  @Test func bytesCountWhereSizesAreGiven() {
    var cache = ExactLRU(capacity: 10, objectCount: 4, sizes: [4, 4, 6, 11])
    // Key 3 is larger than the cache: it is not kept, and nothing leaves for it. Key 2 then needs the place of
    // key 1, the older one.
    let hits = [0, 1, 3, 3, 0, 2, 0, 1].map { cache.access(UInt32($0)) }
    #expect(hits == [false, false, false, false, true, false, true, false])
  }

  @Test(arguments: [1, 2]) func agreesWithAListThatMovesWhatIsUsedToItsFront(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let zipf = Zipf(count: 300, theta: 0.7)
    let trace = Trace(keys: (0..<20_000).map { _ in UInt32(zipf.sample(&random)) })
    var list: [UInt32] = []
    var misses = 0
    for key in trace.keys {
      if let index = list.firstIndex(of: key) {
        list.remove(at: index)
      } else {
        misses += 1
        if list.count == 40 { list.removeLast() }
      }
      list.insert(key, at: 0)
    }
    #expect(ExactLRU.misses(of: trace, capacity: 40, countingBytes: false) == misses, "seed \(seed)")
  }
}
