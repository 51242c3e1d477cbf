import Glibc
import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

/// A real database file.
@Suite struct SQLiteOriginTests {
  private let directory = TemporaryDirectory()
  private var path: String { directory.path + "/scores.db" }
  private let query = "SELECT value FROM scores WHERE key = ?"

  private func database(_ sql: String) throws { try SQLiteDatabase(path: path, .creates).execute(sql) }

  private func origin(_ options: String = "", query: String? = nil) throws -> any Origin {
    try Origins.make(OriginConfiguration("sqlite:\(path)?query=\(query ?? self.query)\(options)"))
  }

  private func refusal(_ text: String) -> String {
    do throws(OriginConfigurationError) {
      try Origins.make(OriginConfiguration(text)).stop()
      return "it was taken"
    } catch {
      return error.description
    }
  }

  @Test func theDemonstrationsDatabaseHasItsScoresAndKeepsThem() async throws {
    try DemoScores.create(at: path)
    let origin = try Origins.make(DemoScores.configuration(path: path))
    #expect(await origin.load("Tom") == .value("630"))
    #expect(await origin.load("Jack") == .value("589"))
    #expect(await origin.load("Sam") == .value("567"))
    #expect(await origin.load("player-5000").text == "\(DemoScores.score(ofPlayer: 5000))")
    #expect(await origin.load("player-5001") == .absent(.unspecified))
    #expect(await origin.load("tom").isAbsent)
    try database("UPDATE scores SET value = 1 WHERE key = 'Tom'")
    try DemoScores.create(at: path)
    #expect(await origin.load("Tom") == .value("1"))
    #expect(origin.figures.attempts == 7 && origin.figures.loadFailures == 0)
    origin.stop()
    #expect(throws: OriginConfigurationError.self) { try DemoScores.create(at: directory.path + "/no/such/place") }
  }

  @Test func valuesOfAnyTypeComeAsBytes() async throws {
    try database(
      """
      CREATE TABLE scores(key TEXT PRIMARY KEY, value);
      INSERT INTO scores VALUES('text', 'häß'), ('integer', -42), ('real', 1.5), ('blob', x'00ff00'), ('null', NULL),
        ('empty', ''), ('nothing', x''), ('nul', CAST(x'610062' AS TEXT));
      """)
    let origin = try origin()
    #expect(await origin.load("text").text == "häß")
    #expect(await origin.load("integer").text == "-42")
    #expect(await origin.load("real").text == "1.5")
    #expect(await origin.load("blob") == .value(OriginValue([0, 255, 0])))
    #expect(await origin.load("null").isAbsent)
    #expect(await origin.load("empty") == .value(""))
    #expect(await origin.load("nothing") == .value(""))
    #expect(await origin.load("nul") == .value("a\0b"))
    #expect(await origin.load("other").isAbsent)
    origin.stop()
  }

  @Test func keysFindTheirRowsWhateverTheColumnsType() async throws {
    try database("CREATE TABLE scores(key INTEGER PRIMARY KEY, value); INSERT INTO scores VALUES(42, 'number')")
    let numbers = try origin()
    #expect(await numbers.load("42").text == "number")
    #expect(await numbers.load("42; DROP TABLE scores").isAbsent)
    numbers.stop()
    try database("CREATE TABLE blobs(key BLOB PRIMARY KEY, value); INSERT INTO blobs VALUES(x'546F6D', 'blob')")
    let blobs = try origin("&key-type=blob", query: "SELECT value FROM blobs WHERE key = ?")
    #expect(await blobs.load("Tom").text == "blob")
    blobs.stop()
  }

  @Test func noKeyChangesAStatement() async throws {
    try DemoScores.create(at: path)
    let origin = try origin(
      "&write=INSERT INTO scores VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET value = ?2"
        + "&delete=DELETE FROM scores WHERE key = ?")
    for key in hostileKeys { #expect(await origin.load(key).isAbsent, "\(key)") }
    for (index, key) in hostileKeys.enumerated() {
      let write = OriginWrite(key: key, value: Array("\(index)".utf8), deadlineMilliseconds: 20_000)
      #expect(await origin.store(write).succeeded)
    }
    for (index, key) in hostileKeys.enumerated() { #expect(await origin.load(key).text == "\(index)", "\(key)") }
    #expect(await origin.load("Tom").text == "630")
    for key in hostileKeys {
      #expect(await origin.store(OriginWrite(key: key, value: nil, deadlineMilliseconds: 20_000)).succeeded)
      #expect(await origin.load(key).isAbsent)
    }
    origin.stop()
    let count = try Origins.make(
      OriginConfiguration("sqlite:\(path)?query=SELECT count(*) FROM scores WHERE key <> ?"))
    #expect(await count.load("").text == "\(DemoScores.playerCount + DemoScores.known.count)")
    count.stop()
  }

  @Test func aStatementThatCannotWorkIsRefusedAtTheStart() throws {
    try DemoScores.create(at: path)
    let sqlite = "sqlite:\(path)?query="
    for (text, sentence) in [
      (
        sqlite + "SELECT value FROM scores",
        "query takes one parameter, the key; this one has 0: SELECT value FROM scores"
      ),
      (sqlite + "SELECT value FROM scores WHERE key = ? AND value = ?", "this one has 2"),
      (sqlite + "SELECT key, value FROM scores WHERE key = ?", "one column, the value; this one gives 2"),
      (sqlite + "SELECT value FROM scores WHERE key = ?; DROP TABLE scores", "query is to be one statement"),
      (sqlite, "query is to be one statement"),
      (sqlite + "DELETE FROM scores WHERE key = ? RETURNING value", "query is to read only"),
      (sqlite + "SELECT value FROM score WHERE key = ?", "no such table: score"),
      (sqlite + "SELEKT ?", "syntax error"),
      (
        sqlite + query + "&write=INSERT INTO scores VALUES('a', ?)&delete=DELETE FROM scores WHERE key = ?",
        "write takes two parameters, the key and the value, or three with the milliseconds to live; this one has 1"
      ),
      (
        sqlite + query + "&write=INSERT INTO scores VALUES(?, ?)&delete=DELETE FROM scores",
        "delete takes one parameter, the key; this one has 0"
      ),
      (
        sqlite + query + "&write=SELECT ?, ?&delete=DELETE FROM scores WHERE key = ?",
        "this writes nothing: SELECT ?, ?"
      ),
      ("sqlite:\(path).missing?query=\(query)", "cannot be opened: unable to open database file"),
      ("sqlite:\(directory.path)?query=\(query)", "cannot be opened"),
    ] {
      let refusal = refusal(text)
      #expect(refusal.contains(sentence), "\(text): \(refusal)")
    }
    let file = fopen(directory.path + "/garbage.db", "w")
    fputs(String(repeating: "this is no database ", count: 100), file)
    fclose(file)
    #expect(refusal("sqlite:\(directory.path)/garbage.db?query=\(query)").contains("file is not a database"))
  }

  @Test func aQueryThatNeverEndsIsInterruptedAndTheConnectionGoesOn() async throws {
    try DemoScores.create(at: path)
    let origin = try origin(
      "&connections=1&retries=0&breaker-failures=0",
      query: "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "
        + "SELECT count(*) FROM n WHERE ? = 'forever'")
    for _ in 0..<3 { #expect(await origin.load("forever", milliseconds: 30).cause?.isTimeout == true) }
    #expect(await eventually { origin.figures.running == 0 })
    origin.stop()
  }

  @Test func aLockedFileIsWaitedForUntilTheDeadline() async throws {
    try DemoScores.create(at: path)
    let origin = try origin("&retries=0")
    let locker = try SQLiteDatabase(path: path, .writes)
    try locker.execute("BEGIN EXCLUSIVE")
    #expect(await origin.load("Tom", milliseconds: 30).cause?.isTimeout == true)
    async let late = origin.load("Tom")
    try locker.execute("COMMIT")
    #expect(await late.text == "630")
    origin.stop()
  }

  @Test func aValueOverTheLimitIsAFailure() async throws {
    try database(
      "CREATE TABLE scores(key, value); INSERT INTO scores VALUES('at', zeroblob(100)), ('over', zeroblob(101))")
    let origin = try origin("&value-limit=100")
    #expect(await origin.load("at") == .value(OriginValue([UInt8](repeating: 0, count: 100))))
    #expect(await origin.load("over").cause == .tooLarge(limitBytes: 100))
    origin.stop()
  }

  @Test func aFileThatIsDamagedMeanwhileAnswersWithGarbageAndIsOpenedAnew() async throws {
    try DemoScores.create(at: path)
    let origin = try origin("&idle=1ms&retries=0&breaker-failures=0")
    #expect(await origin.load("Tom").text == "630")
    let good = path + ".good"
    #expect(rename(path, good) == 0)
    let file = fopen(path, "w")
    fputs(String(repeating: "no database ", count: 100), file)
    fclose(file)
    #expect(await eventually { await origin.load("Tom").cause?.isGarbage == true })
    #expect(rename(good, path) == 0)
    #expect(await origin.load("Tom").text == "630")
    origin.stop()
  }

  @Test func aTableThatChangedMeanwhileIsSaidSo() async throws {
    try database("CREATE TABLE scores(value); INSERT INTO scores VALUES('Tom')")
    let origin = try origin("&retries=0", query: "SELECT * FROM scores WHERE value = ?")
    #expect(await origin.load("Tom").text == "Tom")
    try database("ALTER TABLE scores ADD COLUMN more")
    #expect(await origin.load("Tom").cause?.isWrongType == true)
    try database("DROP TABLE scores")
    #expect(await origin.load("Tom").cause?.isRejection == true)
    origin.stop()
  }

  @Test func writesCarryTheTimeToLiveWhereTheStatementAsksForIt() async throws {
    try database("CREATE TABLE scores(key TEXT PRIMARY KEY, value, ttl)")
    let writes = "&write=INSERT OR REPLACE INTO scores VALUES(?, ?, ?)&delete=DELETE FROM scores WHERE key = ?"
    let origin = try origin(writes, query: "SELECT value || ' for ' || ifnull(ttl, 'ever') FROM scores WHERE key = ?")
    #expect(origin.canStore)
    #expect(await origin.store("a", "1", timeToLiveMilliseconds: 5000).succeeded)
    #expect(await origin.load("a").text == "1 for 5000")
    #expect(await origin.store("a", "2").succeeded)
    #expect(await origin.load("a").text == "2 for ever")
    #expect(await origin.store("a", nil).succeeded)
    #expect(await origin.load("a").isAbsent)
    origin.stop()
  }

  @Test func anOriginWithoutStatementsToWriteOpensItsFileForReadingOnly() async throws {
    try DemoScores.create(at: path)
    let origin = try origin()
    #expect(!origin.canStore)
    #expect(await origin.store("a", "1").cause == .cannotStore("it is configured to be read only"))
    origin.stop()
  }

  @Test func manyWritesAreOneTransactionAndOneBadOneSpoilsNoOther() async throws {
    try database("CREATE TABLE scores(key TEXT PRIMARY KEY, value CHECK (value <> 'bad'))")
    let origin = try #require(
      try origin("&write=INSERT OR REPLACE INTO scores VALUES(?, ?)&delete=DELETE FROM scores WHERE key = ?")
        as? any BatchOrigin)
    func store(_ writes: [(String, String?)]) async -> [Bool] {
      await withCheckedContinuation { continuation in
        origin.store(
          writes.map { OriginWrite(key: Array($0.utf8), value: $1.map { Array($0.utf8) }, deadlineMilliseconds: 0) },
          within: 20_000
        ) { continuation.resume(returning: $0.map(\.succeeded)) }
      }
    }
    #expect(await store([("a", "1"), ("b", "2"), ("c", nil)]) == [true, true, true])
    #expect(await store([("a", "3"), ("b", "bad"), ("c", "4"), ("a2", nil)]) == [true, false, true, true])
    #expect(await origin.load("a").text == "3")
    #expect(await origin.load("b").text == "2")
    #expect(await origin.load("c").text == "4")
    origin.stop()
  }
}
