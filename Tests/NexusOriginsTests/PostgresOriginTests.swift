import Glibc
import NexusModel
import NexusService
import NexusTestSupport
import Testing

@testable import NexusOrigins

/// One server for all stories that do not stop it.
private enum Shared {
  static let server: PostgresServer? = {
    let server = try? PostgresServer(["-c", "max_connections=50"])
    // Gracefully, before whatever is left of the tests' processes is killed.
    atexit { Shared.server?.remove() }
    return server
  }()
}

/// A real PostgreSQL server; each story has a table of its own.
@Suite(.enabled(if: PostgresServer.isInstalled, "scripts/setup test installs PostgreSQL"))
struct PostgresOriginTests {
  private let server: PostgresServer
  private let client: PostgresClient

  init() async throws {
    server = try #require(try await onThread { Shared.server }, "PostgreSQL does not start")
    client = try Self.client(server)
  }

  private static func client(_ server: PostgresServer) throws -> PostgresClient {
    try PostgresClient(
      [("host", "127.0.0.1"), ("port", "\(server.port)"), ("user", "nexus"), ("dbname", "postgres")],
      PostgresCanceller(), nil, until: .max)
  }

  private func database(_ sql: String) throws { try client.execute(sql, until: .max) }

  private func number(_ sql: String) throws -> String {
    let statement = try client.prepare("", sql, until: .max)
    let row = try client.firstRow(of: statement, [], isBinary: false, limitBytes: 1000, until: .max)
    if case .value(let bytes) = row { return String(decoding: bytes, as: UTF8.self) }
    return "\(row)"
  }

  private func origin(_ query: String, _ options: String = "") throws -> any Origin {
    try Origins.make(OriginConfiguration("\(server.url)?query=\(query)&backoff=0\(options)"))
  }

  private func refusal(_ options: String) -> String {
    do throws(OriginConfigurationError) {
      try Origins.make(OriginConfiguration("\(server.url)?\(options)")).stop()
      return "it was taken"
    } catch {
      return error.description
    }
  }

  @Test func valuesOfAnyTypeComeAsBytes() async throws {
    try database(
      """
      CREATE TABLE kinds(key text PRIMARY KEY, t text, b bytea, i int8, n numeric, j jsonb, f bool);
      INSERT INTO kinds VALUES('a', 'häß', '\\x00ff0a', -42, 1.50, '{"x": 1}', true);
      INSERT INTO kinds(key) VALUES('none');
      INSERT INTO kinds(key, t, b) VALUES('empty', '', '');
      """)
    for (column, expected) in [
      ("t", Array("häß".utf8)), ("b", [0, 255, 10]), ("i", Array("-42".utf8)), ("n", Array("1.50".utf8)),
      ("j", Array("{\"x\": 1}".utf8)), ("f", Array("t".utf8)),
    ] {
      let origin = try origin("SELECT \(column) FROM kinds WHERE key = $1")
      #expect(await origin.load("a") == .value(OriginValue(expected)), "\(column)")
      for key in ["none", "other"] { #expect(await origin.load(key).isAbsent, "\(column)") }
      if column == "t" || column == "b" { #expect(await origin.load("empty") == .value("")) }
      #expect(origin.figures.loadFailures == 0)
      origin.stop()
    }
  }

  @Test func keysFindTheirRowsWhateverTheColumnsType() async throws {
    try database(
      """
      CREATE TABLE numbered(key int PRIMARY KEY, value text); INSERT INTO numbered VALUES(42, 'number');
      CREATE TABLE named(key bytea PRIMARY KEY, value text); INSERT INTO named VALUES('\\x00ff', 'bytes');
      CREATE TABLE varied(key varchar(9) PRIMARY KEY, value text); INSERT INTO varied VALUES('Tom', 'varchar');
      CREATE TABLE unique_ids(key uuid PRIMARY KEY, value text);
      INSERT INTO unique_ids VALUES('c0ffee00-0000-4000-8000-000000000001', 'uuid');
      """)
    for (table, key, value) in [
      ("numbered", Array("42".utf8), "number"), ("named", [0, 255], "bytes"), ("varied", Array("Tom".utf8), "varchar"),
      ("unique_ids", Array("C0FFEE00-0000-4000-8000-000000000001".utf8), "uuid"),
    ] {
      let origin = try origin("SELECT value FROM \(table) WHERE key = $1")
      #expect(await origin.load(key).text == value, "\(table)")
      origin.stop()
    }
    // The server says that this is no number. That is about this key, and no sign of ill health.
    let numbers = try origin("SELECT value FROM numbered WHERE key = $1")
    for key in ["42; DROP TABLE numbered", "x", "", "99999999999999999999"] {
      #expect(await numbers.load(key).cause?.isRejection == true, "\(key)")
    }
    #expect(await numbers.load("42").text == "number")
    #expect(numbers.figures.attempts == 5)
    numbers.stop()
  }

  @Test func noKeyChangesAStatement() async throws {
    try database("CREATE TABLE hostile(key bytea PRIMARY KEY, value bytea); INSERT INTO hostile VALUES('Tom', '630')")
    let origin = try origin(
      "SELECT value FROM hostile WHERE key = $1",
      "&write=INSERT INTO hostile VALUES($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2"
        + "&delete=DELETE FROM hostile WHERE key = $1")
    for key in hostileKeys { #expect(await origin.load(key).isAbsent, "\(key)") }
    for (index, key) in hostileKeys.enumerated() {
      let write = OriginWrite(key: key, value: Array("\(index)".utf8), deadlineMilliseconds: 20_000)
      #expect(await origin.store(write).succeeded, "\(key)")
    }
    for (index, key) in hostileKeys.enumerated() { #expect(await origin.load(key).text == "\(index)", "\(key)") }
    #expect(await origin.load("Tom").text == "630")
    #expect(try number("SELECT count(*) FROM hostile") == "\(hostileKeys.count + 1)")
    origin.stop()
  }

  @Test func aTextColumnHasNoRowForAKeyThatItCannotHold() async throws {
    try database("CREATE TABLE texts(key text PRIMARY KEY, value text); INSERT INTO texts VALUES('Tom', '630')")
    let origin = try origin(
      "SELECT value FROM texts WHERE key = $1",
      "&write=INSERT INTO texts VALUES($1, $2) ON CONFLICT (key) DO UPDATE SET value = $2"
        + "&delete=DELETE FROM texts WHERE key = $1")
    for key in hostileKeys { #expect(await origin.load(key).isAbsent, "\(key)") }
    for (key, value) in [([UInt8(0)], Array("1".utf8)), (Array("a".utf8), [UInt8(0xFF)])] {
      let write = OriginWrite(key: key, value: value, deadlineMilliseconds: 20_000)
      #expect(await origin.store(write).cause?.isRejection == true)
    }
    #expect(try number("SELECT count(*) FROM texts") == "1")
    origin.stop()
  }

  @Test func aStatementThatCannotWorkIsRefusedAtTheStart() throws {
    try database("CREATE TABLE refused(key text PRIMARY KEY, value text)")
    let query = "query=SELECT value FROM refused WHERE key = $1"
    for (options, sentence) in [
      ("query=SELECT value FROM refused", "query takes one parameter, the key; this one has 0"),
      ("query=SELECT value FROM refused WHERE key = $1 AND value = $2", "this one has 2"),
      ("query=SELECT value FROM refused WHERE key = $2", "could not determine data type of parameter $1"),
      ("query=SELECT key, value FROM refused WHERE key = $1", "one column, the value; this one gives 2"),
      ("query=SELECT value FROM refused WHERE key = $1; DROP TABLE refused", "cannot insert multiple commands"),
      ("query=DELETE FROM refused WHERE key = $1", "one column, the value; this one gives 0"),
      ("query=SELECT value FROM refuse WHERE key = $1", "relation \"refuse\" does not exist"),
      ("query=SELEKT $1", "syntax error"),
      ("query=-- $1", "query takes one parameter, the key; this one has 0"),
      (
        "\(query)&write=INSERT INTO refused VALUES('a', $1)&delete=DELETE FROM refused WHERE key = $1",
        "write takes two parameters, the key and the value, or three with the milliseconds to live; this one has 1"
      ),
      (
        "\(query)&write=INSERT INTO refused VALUES($1, $2)&delete=DELETE FROM refused",
        "delete takes one parameter, the key; this one has 0"
      ),
    ] {
      let refusal = refusal(options)
      #expect(refusal.contains(sentence), "\(options): \(refusal)")
      #expect(refusal.hasPrefix("the origin postgres://nexus@127.0.0.1:\(server.port)/postgres: "), "\(refusal)")
    }
    #expect(try number("SELECT count(*) FROM refused") == "0")
  }

  @Test func anOriginThatOnlyReadsCannotWrite() async throws {
    try database(
      """
      CREATE TABLE guarded(key text PRIMARY KEY, value text);
      CREATE FUNCTION sneaky(text) RETURNS text LANGUAGE sql
        AS $$ INSERT INTO guarded VALUES($1, 'x') RETURNING value $$;
      """)
    let origin = try origin("SELECT sneaky($1)")
    guard case .rejected(let words) = await origin.load("Tom").cause else {
      Issue.record("it wrote")
      return
    }
    #expect(words.contains("read-only transaction (SQLSTATE 25006)"), "\(words)")
    #expect(try number("SELECT count(*) FROM guarded") == "0")
    origin.stop()
  }

  @Test func aQueryThatHangsIsCancelledAtTheDeadline() async throws {
    let origin = try origin("SELECT pg_sleep(3600)::text || $1", "&retries=0&breaker-failures=0&timeout=1h")
    let sleepers =
      "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(3600)::text%' "
      + "AND state = 'active' AND pid <> pg_backend_pid()"
    for _ in 0..<2 { #expect(await origin.load("a", milliseconds: 200).cause?.isTimeout == true) }
    #expect(try await eventually { try number(sleepers) == "0" })
    async let late = origin.load("b")
    #expect(try await eventually { try number(sleepers) == "1" })
    origin.stop()
    #expect(await late.cause == .stopping)
    #expect(try await eventually { try number(sleepers) == "0" })
  }

  @Test func aConnectionThatTheServerEndsIsMadeAnew() async throws {
    try database("CREATE TABLE ended(key text PRIMARY KEY, value text); INSERT INTO ended VALUES('Tom', '630')")
    let origin = try origin("SELECT value FROM ended WHERE key = $1", "&connections=1&retries=1")
    for _ in 0..<3 {
      #expect(await origin.load("Tom").text == "630")
      _ = try number(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query LIKE '%FROM ended WHERE%' "
          + "AND pid <> pg_backend_pid()")
    }
    #expect(origin.figures.loadFailures == 0)
    // A table that has changed makes a prepared statement worthless.
    try database("ALTER TABLE ended ALTER COLUMN value TYPE int USING value::int")
    #expect(await origin.load("Tom").text == "630")
    try database("DROP TABLE ended")
    #expect(await origin.load("Tom").cause?.isRejection == true)
    origin.stop()
  }

  @Test func aValueOverTheLimitIsAFailure() async throws {
    try database(
      "CREATE TABLE large(key text PRIMARY KEY, value text); INSERT INTO large VALUES('at', repeat('x', 1000)), "
        + "('over', repeat('x', 1001)), ('far', repeat('x', 50000000))")
    let origin = try origin("SELECT value FROM large WHERE key = $1", "&value-limit=1000&connections=1")
    for _ in 0..<2 {
      #expect(await origin.load("at").text?.count == 1000)
      #expect(await origin.load("over").cause == .tooLarge(limitBytes: 1000))
      #expect(await origin.load("far").cause == .tooLarge(limitBytes: 1000))
    }
    origin.stop()
  }

  @Test func writesCarryTheTimeToLiveAndManyAreOneTransaction() async throws {
    try database("CREATE TABLE written(key text PRIMARY KEY, value text CHECK (value <> 'bad'), ttl int8)")
    let origin = try #require(
      try origin(
        "SELECT value || ' for ' || coalesce(ttl::text, 'ever') FROM written WHERE key = $1",
        "&write=INSERT INTO written VALUES($1, $2, $3) ON CONFLICT (key) DO UPDATE SET value = $2, ttl = $3"
          + "&delete=DELETE FROM written WHERE key = $1") as? any BatchOrigin)
    #expect(await origin.store("a", "1", timeToLiveMilliseconds: 5000).succeeded)
    #expect(await origin.load("a").text == "1 for 5000")
    #expect(await origin.store("a", "2").succeeded)
    #expect(await origin.load("a").text == "2 for ever")
    #expect(await origin.store("a", "bad").cause?.isRejection == true)
    #expect(await origin.store("a", nil).succeeded)
    #expect(await origin.load("a").isAbsent)
    func store(_ writes: [(String, String?)]) async -> [Bool] {
      await withCheckedContinuation { continuation in
        origin.store(
          writes.map { OriginWrite(key: Array($0.utf8), value: $1.map { Array($0.utf8) }, deadlineMilliseconds: 0) },
          within: 20_000
        ) { continuation.resume(returning: $0.map(\.succeeded)) }
      }
    }
    #expect(await store([("a", "1"), ("b", "2"), ("c", nil)]) == [true, true, true])
    #expect(await store([("a", "3"), ("b", "bad"), ("c", "4"), ("d", nil)]) == [true, false, true, true])
    #expect(await origin.load("a").text == "3 for ever")
    #expect(await origin.load("b").text == "2 for ever")
    #expect(try number("SELECT count(*) FROM written") == "3")
    origin.stop()
  }

  @Test func aServerThatGoesAndComesIsAskedAgain() async throws {
    let server = try await onThread { try PostgresServer() }
    try Self.client(server).execute(
      "CREATE TABLE scores(key text PRIMARY KEY, value text); INSERT INTO scores VALUES('Tom', '630')", until: .max)
    try await onThread { server.stop() }
    let text = "\(server.url)?retries=0&breaker-failures=0&query=SELECT value FROM scores WHERE key = "
    let log = RecordingLog()
    // It cannot be reached, so that nothing can be said of the statements yet.
    let right = try Origins.make(OriginConfiguration(text + "$1"), log: log)
    let wrong = try Origins.make(OriginConfiguration(text + "$1 AND value = $2"), log: log)
    #expect(log.lines.count == 2 && log.lines.allSatisfy { $0.contains("cannot be reached") }, "\(log.lines)")
    #expect(await right.load("Tom").cause?.isUnreachable == true)
    try await onThread { try server.start() }
    #expect(await right.load("Tom").text == "630")
    for _ in 0..<2 {
      guard case .rejected(let words) = await wrong.load("Tom").cause else {
        Issue.record("a wrong statement was not refused")
        break
      }
      #expect(words.contains("query takes one parameter, the key; this one has 2"))
    }
    try await onThread { server.stop() }
    #expect(await right.load("Tom").cause?.isUnreachable == true)
    right.stop()
    wrong.stop()
  }

  @Test func aServerThatStandsStillKeepsNobodyBeyondTheDeadline() async throws {
    let server = try await onThread { try PostgresServer() }
    let origin = try Origins.make(
      OriginConfiguration(
        "\(server.url)?query=SELECT $1 || pg_sleep(case $1 when 'fast' then 0 else 3600 end)::text"
          + "&retries=0&breaker-failures=0"))
    #expect(await origin.load("fast").text == "fast")
    // It cannot cancel anything now, and takes no connections.
    server.signal(SIGSTOP)
    for _ in 0..<10 {
      let cause = await origin.load("slow", milliseconds: 30).cause
      #expect(cause?.isTimeout == true || cause?.isUnreachable == true)
    }
    server.signal(SIGCONT)
    #expect(await eventually { await origin.load("fast").text == "fast" })
    origin.stop()
    #expect(origin.figures.running == 0)
  }

  @Test func aServerThatNeverSaysAWordIsUnreachable() async throws {
    // It takes connections and never says a word, to cancel requests neither.
    let silent = try FakeServer { $0.hang() }
    let text = "postgres://nexus@127.0.0.1:\(silent.port)/x?query=SELECT $1&timeout=20ms&retries=0"
    let origin = try Origins.make(OriginConfiguration(text))
    #expect(await origin.load("a").cause?.isUnreachable == true)
    origin.stop()
    #expect(origin.figures.running == 0)
  }

  @Test(arguments: ["HTTP/1.1 400 Bad Request\r\n\r\n", "\0\0\0\0\0\0\0\0", "R", "", "E\0\0\0\u{5}\0"])
  func whatIsNoPostgreSQLIsUnreachable(_ greeting: String) async throws {
    let server = try FakeServer { peer in
      _ = peer.receive()
      peer.send(greeting)
    }
    let text = "postgres://nexus@127.0.0.1:\(server.port)/x?query=SELECT $1&timeout=2s&retries=0&sslmode=disable"
    let origin = try Origins.make(OriginConfiguration(text))
    #expect(await origin.load("a").cause?.isUnreachable == true)
    origin.stop()
    server.stop()
  }
}

/// Keeps what was logged.
final class RecordingLog: Log {
  private let kept = Guarded<[String]>([])
  var minimum: LogLevel { .debug }
  var lines: [String] { kept.withLock { $0 } }
  func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {
    kept.withLock { $0.append(message + fields.map { " \($0)=\($1)" }.joined()) }
  }
}
