import CSQLite
import Glibc

/// The database that the demonstration reads through: `scores(key TEXT PRIMARY KEY, value)`.
public enum DemoScores {
  /// Names of the first three as in any introduction to read-through caches; the rest is there to be asked for.
  public static let known = [("Tom", 630), ("Jack", 589), ("Sam", 567)]
  public static let playerCount = 5000

  /// The score of `player-N`, N from 1 on.
  public static func score(ofPlayer number: Int) -> Int { (number * 7919 + 104_729) % 1000 }

  public static func configuration(path: String) -> OriginConfiguration {
    OriginConfiguration(
      source: .sqlite(SQLiteSource(path: path, query: "SELECT value FROM scores WHERE key = ?")))
  }

  /// The same as a setting has it: without a space or `;`.
  public static func setting(path: String) -> String {
    let folders = path.split(separator: "/", omittingEmptySubsequences: false)
    return "sqlite:" + folders.map { PercentText.encoded(Array($0.utf8)) }.joined(separator: "/")
      + "?query=SELECT%20value%20FROM%20scores%20WHERE%20key%20=%20?"
  }

  /// Writes the file, or leaves it as it is where it has the table already. All or nothing.
  public static func create(at path: String) throws(OriginConfigurationError) {
    do throws(SQLiteDatabase.Failure) {
      let database = try SQLiteDatabase(path: path, .creates)
      try database.execute("BEGIN IMMEDIATE")
      if try hasTable(database) { return try database.execute("COMMIT") }
      // Without the hidden row number: the key is where the row lies.
      try database.execute("CREATE TABLE scores(key TEXT PRIMARY KEY, value) WITHOUT ROWID")
      let players = (1...playerCount).map { ("player-\($0)", score(ofPlayer: $0)) }
      for (name, value) in known + players {
        try database.execute("INSERT INTO scores VALUES('\(name)', \(value))")
      }
      try database.execute("COMMIT")
    } catch {
      throw OriginConfigurationError("the database \(path) for the demonstration cannot be written: \(error.words)")
    }
  }

  private static func hasTable(_ database: SQLiteDatabase) throws(SQLiteDatabase.Failure) -> Bool {
    do throws(SQLiteStatement.Refusal) {
      _ = try SQLiteStatement("SELECT key, value FROM scores", in: database)
      return true
    } catch {
      if case .database(let failure) = error, failure.code != SQLITE_ERROR { throw failure }
      return false
    }
  }
}
