import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

/// What stands before an origin and knows its keys.
@Suite struct KeyGuardTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/scores.db" }

  private func configuration(_ keys: String = "SELECT key FROM scores") throws -> OriginConfiguration {
    try OriginConfiguration("sqlite:\(path)?query=SELECT value FROM scores WHERE key = ?&keys=\(keys)&keys-every=2s")
  }

  private func database(_ sql: String) throws { try SQLiteDatabase(path: path, .creates).execute(sql) }

  @Test("It knows every key, and of 100,000 that there are not it lets a few hundred through at most")
  func absentKeys() throws {
    try DemoScores.create(at: path)
    let keyGuard = try #require(try Origins.keyGuard(configuration()))
    // One that looks like another while the filter is filled takes no place of its own.
    #expect((5000...5003).contains(keyGuard.count))
    for (name, _) in DemoScores.known { #expect(keyGuard.mayHave(Array(name.utf8))) }
    for number in 1...DemoScores.playerCount { #expect(keyGuard.mayHave(Array("player-\(number)".utf8))) }
    // The rate is set to 0.1%: 100, and 300 is twenty standard deviations away.
    let passed = (1...100_000).count { keyGuard.mayHave(Array("nobody-\($0)".utf8)) }
    #expect(passed < 300, "\(passed)")
  }

  @Test("What is younger than the listing is known once it was loaded, and after the next listing")
  func youngKeys() throws {
    try database("CREATE TABLE scores(key PRIMARY KEY, value); INSERT INTO scores VALUES('Tom', 1), (42, 2), (NULL, 3)")
    let first = try #require(try Origins.keyGuard(configuration()))
    #expect(first.mayHave(Array("42".utf8)) && first.count == 2)
    #expect(!first.mayHave(Array("Jack".utf8)))
    first.learn(Array("Jack".utf8))
    #expect(first.mayHave(Array("Jack".utf8)))
    try database("INSERT INTO scores VALUES('Sam', 4)")
    let second = try #require(try Origins.keyGuard(configuration(), replacing: first))
    #expect(second.mayHave(Array("Sam".utf8)) && !second.mayHave(Array("Jack".utf8)))
    // What is learned while a listing runs is in the next guard.
    second.learn(Array("Eve".utf8))
    let third = CuckooGuard()
    third.takeOver(from: second)
    #expect(third.mayHave(Array("Eve".utf8)))
  }

  @Test(
    "A listing that cannot be is refused",
    arguments: [
      ("SELECT key, value FROM scores", "a SELECT without parameters that gives one column"),
      ("SELECT key FROM scores WHERE key = ?", "a SELECT without parameters that gives one column"),
      ("DELETE FROM scores", "a SELECT without parameters that gives one column"),
      ("SELECT key FROM players", "no such table: players"), ("SELECT 1; SELECT 2", "keys has to be one statement"),
    ])
  func refusals(_ keys: String, _ why: String) throws {
    try DemoScores.create(at: path)
    do throws(OriginConfigurationError) {
      _ = try Origins.keyGuard(try! configuration(keys))
      Issue.record("it was taken")
    } catch { #expect(error.description.contains(why), "\(error)") }
  }

  @Test("An origin without a listing has no guard")
  func none() throws {
    #expect(try Origins.keyGuard(OriginConfiguration("static:Tom=630")) == nil)
    #expect(try Origins.keyGuard(OriginConfiguration("sqlite:\(path)?query=SELECT 1")) == nil)
    #expect(throws: OriginConfigurationError.self) { try OriginConfiguration("redis://127.0.0.1?keys=SCAN") }
  }
}
