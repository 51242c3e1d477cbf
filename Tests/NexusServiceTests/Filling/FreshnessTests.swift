import NexusModel
import NexusService
import Testing

@Suite struct FreshnessTests {
  private func rules() -> FreshnessRules {
    var rules = FreshnessRules()
    rules.freshFor = 1000
    rules.staleWhileRevalidate = 500
    rules.staleIfError = 2000
    return rules
  }

  @Test func aValueIsFreshThenRefreshedThenLoadedBeforeItAnswers() {
    let rules = rules()
    let verdicts = [9_999, 10_000, 10_499, 10_500, 11_999].map {
      rules.judge(freshUntil: 10_000, now: $0, loadMilliseconds: 5, chance: 0)
    }
    #expect(verdicts == [.fresh, .refreshing, .refreshing, .stale, .stale])
    #expect(rules.judge(freshUntil: 0, now: 1 << 50, loadMilliseconds: 5, chance: 0) == .fresh)
  }

  @Test func theTermIsKeptForTheLongerWindow() {
    let rules = rules()
    let own = rules.term(lifetime: nil, staleWindow: nil, jitter: 0, now: 5000, chance: 0)
    #expect(own.freshUntil == 6000 && own.expiresAt == 8000)
    let given = rules.term(lifetime: 100, staleWindow: 50, jitter: 0.5, now: 5000, chance: .max)
    #expect(given.freshUntil == 5100 && given.expiresAt == 5150)
    // Never shorter than a millisecond: an origin's max-age=0 is good for those that wait for it.
    #expect(rules.term(lifetime: 0, staleWindow: nil, jitter: 0, now: 5000, chance: 0).freshUntil == 5001)
    #expect(FreshnessRules().term(lifetime: nil, staleWindow: nil, jitter: 0, now: 5000, chance: 0).expiresAt == 0)
  }

  @Test func jitterOnlyShortens() {
    let rules = rules()
    var random = SplitMix64(seed: 11)
    for _ in 0..<1000 {
      let end = rules.term(lifetime: nil, staleWindow: 0, jitter: 0.2, now: 0, chance: random.next()).freshUntil
      #expect((800...1000).contains(end))
    }
  }

  /// With beta 1 and loads of 100 ms, a read 100 ms before the end refreshes with a chance of 1/e.
  @Test func earlyRefreshesComeAsOftenAsTheirLawSays() {
    var rules = rules()
    rules.earlyRefresh = 1
    var random = SplitMix64(seed: 3)
    var early = 0
    for _ in 0..<100_000 {
      let verdict = rules.judge(freshUntil: 1000, now: 900, loadMilliseconds: 100, chance: random.next())
      if verdict == .refreshing { early += 1 }
    }
    #expect((0.36...0.376).contains(Double(early) / 100_000))
  }
}

@Suite struct AbsentKeysTests {
  @Test func absenceIsRememberedForItsTime() {
    var keys = AbsentKeys()
    keys.insert(7, until: 100, now: 0)
    #expect(keys.contains(7, now: 99))
    #expect(!keys.contains(7, now: 100))
    keys.insert(8, until: 300, now: 200)
    #expect(keys.count == 1)
    keys.remove(8)
    #expect(!keys.contains(8, now: 200))
  }

  @Test func aKeyMarkedAnewKeepsItsNewEnd() {
    var keys = AbsentKeys()
    keys.insert(7, until: 100, now: 0)
    keys.insert(7, until: 200, now: 50)
    keys.insert(9, until: 400, now: 150)
    #expect(keys.contains(7, now: 150))
  }

  @Test func pastTheLimitTheOldestGo() {
    var keys = AbsentKeys(limit: 1000)
    for hash in 0..<UInt64(5000) { keys.insert(hash, until: 1_000_000, now: 0) }
    #expect(keys.count == 1000)
    #expect(keys.contains(4999, now: 0) && keys.contains(4000, now: 0) && !keys.contains(3999, now: 0))
  }

  @Test func everyOneOfManyIsRemembered() {
    var keys = AbsentKeys()
    var random = SplitMix64(seed: 5)
    let hashes = (0..<100_000).map { _ in random.next() }
    for hash in hashes { keys.insert(hash, until: 10, now: 0) }
    #expect(hashes.allSatisfy { keys.contains($0, now: 5) })
  }
}
