import NexusModel
import Testing

@testable import NexusStore

@Suite struct ExpiryTests {
  /// Turns of a loop without clients, until the wall clock shows `end`. Every look at the monotonic clock takes 20 us.
  func rest(_ plain: inout Plain, until end: UnixMilliseconds) {
    var nanoseconds = UInt64(plain.now) * 1_000_000
    while plain.now < end {
      let wanted = plain.store.maintain(loop: 0, as: plain.worker, now: plain.now) {
        nanoseconds += 20_000
        return nanoseconds
      }
      plain.now += Int64(min(wanted, 200))
      nanoseconds = max(nanoseconds, UInt64(plain.now) * 1_000_000)
    }
  }

  @Test func whatNobodyReadsIsGoneAndReturnedAfterTwoSeconds() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var random = Seeded(state: seed)
    var plain = try Plain()
    let before = plain.store.memory.usedBytes - plain.store.memory.freeChunkBytes
    var staying: Set<[UInt8]> = []
    for number in 0..<60_000 {
      let name = bytes("key:\(number)")
      let namespace = NamespaceNumber(number % 3)
      // Some too large for a page.
      let value = [UInt8](repeating: 1, count: number % 1000 == 0 ? 40_000 : number % 50)
      switch Int.random(in: 0..<10, using: &random) {
      case 0:
        plain.set(name, value, namespace)
        if namespace == 0 { staying.insert(name) }
      case 1:
        plain.set(name, value, namespace, .at(plain.now + 1_000_000))
        if namespace == 0 { staying.insert(name) }
      default: plain.set(name, value, namespace, .at(plain.now + Int64.random(in: 1...1500, using: &random)))
      }
    }
    rest(&plain, until: plain.now + 3500)
    #expect(Set(plain.keys(0)) == staying)
    #expect(plain.store.count(in: 0) == staying.count)
    for namespace: NamespaceNumber in 0..<3 {
      // What is counted is there, not only what is seen.
      #expect(plain.keys(namespace).count == plain.store.count(in: namespace))
      for name in plain.keys(namespace) { plain.delete(name, namespace) }
      #expect(plain.store.count(in: namespace) == 0)
    }
    rest(&plain, until: plain.now + 2000)
    #expect(plain.store.memory.usedBytes - plain.store.memory.freeChunkBytes <= before + (64 << 10))
  }

  @Test func whoWatchesIsToldOfEachKeyThatExpired() throws {
    nonisolated(unsafe) var told: Set<String> = []
    var plain = try Plain()
    plain.store.onWatchedChange = { _, name in told.insert(String(decoding: name, as: UTF8.self)) }
    for number in 0..<500 {
      let name = bytes("{tag}\(number)")
      plain.set(name, [1, 2, 3], 0, number % 2 == 0 ? .at(plain.now + 100) : .none)
    }
    plain.with(bytes("{tag}")) { plain.store.watch($0) }
    rest(&plain, until: plain.now + 2000)
    #expect(told == Set(stride(from: 0, to: 500, by: 2).map { "{tag}\($0)" }))
  }

  @Test func aPaceSpendsItsShareInLongWhilesOrShortOnes() {
    for turn: UInt64 in [100_000, 1_000_000, 5_000_000, 20_000_000] {
      var pace = Pace()
      var time: UInt64 = 1 << 40
      var spent: UInt64 = 0
      let start = time
      while time < start + 2_000_000_000 {
        let budget = pace.budget(at: time)
        #expect(budget <= Pace.whileNanosecondsMax)
        // Whoever begins a last piece of work ends it: a little more than allowed.
        if budget > 0 {
          pace.spent(budget + 5_000, until: time + budget + 5_000)
          spent += budget + 5_000
        }
        time += max(turn, budget + 5_000)
      }
      let share = Double(spent) / Double(time - start)
      #expect(share < 0.19, "turns of \(turn) ns")
      #expect(share > (turn > 5_000_000 ? 0.045 : 0.17), "turns of \(turn) ns")
    }
  }
}
