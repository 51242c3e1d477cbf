import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

@Suite struct CacheControlTests {
  private func freshness(
    _ fields: String..., age: String? = nil, expires: String? = nil, date: String? = nil, now: Int = 784_111_777
  ) -> OriginFreshness {
    CacheControl(fields: fields).freshness(age: age, expires: expires, date: date, now: now)
  }

  private func lives(_ seconds: Int, revalidate: Int? = nil, error: Int? = nil) -> OriginFreshness {
    OriginFreshness(
      timeToLiveMilliseconds: seconds * 1000, staleWhileRevalidateMilliseconds: revalidate.map { $0 * 1000 },
      staleIfErrorMilliseconds: error.map { $0 * 1000 })
  }

  @Test func withoutAWordTheNamespaceDecides() {
    #expect(freshness() == .unspecified)
    #expect(freshness("") == .unspecified)
    #expect(freshness("public, immutable, no-transform, unheard-of=7") == .unspecified)
  }

  @Test func agesAreThoseOfACacheThatManyShare() {
    #expect(freshness("max-age=60") == lives(60))
    #expect(freshness("max-age=60, s-maxage=5") == lives(5))
    #expect(freshness("MAX-AGE=60") == lives(60))
    #expect(freshness("max-age=\"60\"") == lives(60))
    #expect(freshness("max-age=60", "s-maxage=7") == lives(7))
    #expect(freshness("max-age=0") == lives(0))
  }

  @Test func theTimeOnTheWayIsTakenOff() {
    #expect(freshness("max-age=60", age: "20") == lives(40))
    #expect(freshness("max-age=60", age: "61") == lives(0))
    #expect(freshness("max-age=60", age: "yesterday") == lives(60))
    #expect(
      freshness("max-age=60, stale-while-revalidate=30, stale-if-error=5", age: "70")
        == lives(0, revalidate: 20, error: 0))
  }

  @Test func staleAnswersHaveWindowsOfTheirOwn() {
    #expect(freshness("max-age=1, stale-while-revalidate=30") == lives(1, revalidate: 30))
    #expect(freshness("stale-if-error=30") == OriginFreshness(staleIfErrorMilliseconds: 30_000))
    #expect(freshness("max-age=1, stale-if-error=30, must-revalidate") == lives(1, revalidate: 0, error: 0))
    #expect(freshness("max-age=1, proxy-revalidate") == lives(1, revalidate: 0, error: 0))
  }

  @Test func whatMayNotBeKeptIsNotKept() {
    #expect(freshness("no-store").neverStore)
    #expect(freshness("private, max-age=60").neverStore)
    #expect(!freshness("private=\"Set-Cookie, X-User\", max-age=60").neverStore)
    #expect(freshness("private=\"a\\\"b, no-store\", max-age=60") == lives(60))
  }

  @Test func whatMustBeAskedAboutEachTimeLivesForNoTime() {
    #expect(freshness("no-cache") == lives(0, revalidate: 0, error: 0))
    #expect(freshness("no-cache, max-age=60, stale-if-error=60") == lives(0, revalidate: 0, error: 0))
    #expect(freshness("no-cache=\"Set-Cookie\", max-age=60") == lives(60))
  }

  @Test func anAgeThatCannotBeReadIsNoneAndOfSeveralTheShortestCounts() {
    for text in ["max-age", "max-age=", "max-age=-1", "max-age=1.5", "max-age=soon", "max-age=\"", "max-age= 60"] {
      #expect(freshness(text) == lives(0), "\(text)")
    }
    #expect(freshness("max-age=60, max-age=5, max-age=90") == lives(5))
    #expect(freshness("max-age=99999999999999999999999999") == lives(1 << 31))
  }

  @Test func anExpiryDateCountsWhereNoAgeIsGiven() {
    let date = "Sun, 06 Nov 1994 08:49:37 GMT"
    #expect(freshness(expires: "Sun, 06 Nov 1994 08:50:37 GMT") == lives(60))
    #expect(freshness(expires: "Sun, 06 Nov 1994 08:50:37 GMT", date: date, now: 0) == lives(60))
    #expect(freshness(expires: "Sun, 06 Nov 1994 08:50:37 GMT", date: "now") == lives(60))
    #expect(freshness("max-age=5", expires: "Sun, 06 Nov 1994 08:50:37 GMT") == lives(5))
    for past in ["0", "-1", "", "Sun, 06 Nov 1994 08:49:36 GMT"] {
      #expect(freshness(expires: past) == lives(0), "\(past)")
    }
  }

  @Test func datesAreReadInTheirThreeForms() {
    let now = 1_700_000_000
    for text in ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
      #expect(HTTPDate.seconds(text, now: now) == 784_111_777, "\(text)")
    }
    #expect(HTTPDate.seconds("Thu, 01 Jan 1970 00:00:00 GMT", now: now) == 0)
    #expect(HTTPDate.seconds("Tue, 29 Feb 2000 12:00:00 GMT", now: now) == 951_825_600)
    #expect(HTTPDate.seconds("Fri, 31 Dec 9999 23:59:59 GMT", now: now) == 253_402_300_799)
    #expect(HTTPDate.seconds("Sunday, 06-Nov-30 08:49:37 GMT", now: now) == 1_920_185_377)
    for text in [
      "", "tomorrow", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Abc 1994 08:49:37 GMT",
      "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Nov 1994 08:49:37:00 GMT",
      "Sun, 06 Nov -1 08:49:37 GMT", "Sun, 06 Nov 99999 08:49:37 GMT",
    ] { #expect(HTTPDate.seconds(text, now: now) == nil, "\(text)") }
  }

  @Test func nothingThatAServerMaySendStopsTheReading() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    let pieces = ["max-age", "=", "\"", ",", " ", "\\", "60", "no-store", "private", "\t", "é", "=\"", "\0", "-", ";"]
    for _ in 0..<5000 {
      let field = (0..<dice.below(12)).map { _ in dice.pick(pieces) }.joined()
      let freshness = freshness(field, age: dice.pick([nil, "5", field]), expires: dice.pick([nil, field]))
      #expect((freshness.timeToLiveMilliseconds ?? 0) >= 0)
    }
  }
}
