import CSQLite
import NexusService

/// A database and the statements of an origin, prepared.
private struct PreparedDatabase {
  let database: SQLiteDatabase
  let query: SQLiteStatement
  /// `write` and `delete`.
  let writing: (SQLiteStatement, SQLiteStatement)?

  enum Refusal: Error {
    case database(SQLiteDatabase.Failure)
    case configuration(String)
  }

  init(_ source: SQLiteSource, _ interruption: DescriptorInterruption?, until deadline: Int) throws(Refusal) {
    do throws(SQLiteDatabase.Failure) {
      database = try SQLiteDatabase(
        path: source.path, source.statements == nil ? .reads : .writes, interruption: interruption)
    } catch {
      throw .database(error)
    }
    database.deadline = deadline
    query = try Self.prepared("query", source.query, 1...1, database)
    guard query.columnCount == 1 else {
      throw .configuration(
        "query is to give one column, the value; this one gives \(query.columnCount): \(source.query)")
    }
    guard query.isReadOnly else { throw .configuration("query is to read only; this one writes: \(source.query)") }
    guard let statements = source.statements else {
      writing = nil
      return
    }
    let write = try Self.prepared("write", statements.write, 2...3, database)
    let delete = try Self.prepared("delete", statements.delete, 1...1, database)
    for (statement, sql) in [(write, statements.write), (delete, statements.delete)] where statement.isReadOnly {
      throw .configuration("this writes nothing: \(sql)")
    }
    writing = (write, delete)
  }

  private static func prepared(
    _ option: String, _ sql: String, _ parameters: ClosedRange<Int>, _ database: SQLiteDatabase
  ) throws(Refusal) -> SQLiteStatement {
    let statement: SQLiteStatement
    do throws(SQLiteStatement.Refusal) {
      statement = try SQLiteStatement(sql, in: database)
    } catch {
      switch error {
      case .notOne: throw .configuration("\(option) is to be one statement: \(sql)")
      case .database(let failure) where failure.code == SQLITE_ERROR:
        throw .configuration("\(option) is refused by SQLite (\(failure.words)): \(sql)")
      case .database(let failure): throw .database(failure)
      }
    }
    guard parameters.contains(statement.parameterCount) else {
      throw .configuration(StatementRules.wrongParameters(option, statement.parameterCount, sql))
    }
    return statement
  }
}

/// An origin's connection to a SQLite file. The file is opened when it is first used.
final class SQLiteConnection: OriginConnection {
  private let source: SQLiteSource
  private let name: String
  private let valueLimitBytes: Int
  private let interruption: DescriptorInterruption
  private var opened: PreparedDatabase?

  init(_ source: SQLiteSource, name: String, valueLimitBytes: Int, _ interruption: DescriptorInterruption) {
    self.source = source
    self.name = name
    self.valueLimitBytes = valueLimitBytes
    self.interruption = interruption
  }

  /// Opens the file and prepares the statements, to see whether that can be done.
  static func check(_ source: SQLiteSource, timeoutMilliseconds: Int) throws(OriginConfigurationError) {
    do throws(PreparedDatabase.Refusal) {
      _ = try PreparedDatabase(source, nil, until: monotonicMilliseconds() + timeoutMilliseconds)
    } catch {
      switch error {
      case .configuration(let sentence):
        throw OriginConfigurationError("the origin sqlite:\(source.path): \(sentence)")
      case .database(let failure):
        throw OriginConfigurationError(
          "the origin sqlite:\(source.path) cannot be opened: \(failure.words) (SQLite's code \(failure.code))")
      }
    }
  }

  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer {
    let began = monotonicMilliseconds()
    do throws(PreparedDatabase.Refusal) {
      let open = try prepared(until: deadline)
      let row: SQLiteStatement.Row
      do throws(SQLiteDatabase.Failure) {
        try open.query.bind(request.key, as: source.keyType, at: 1)
        row = try open.query.firstRow(limitBytes: valueLimitBytes)
      } catch {
        throw .database(error)
      }
      switch row {
      case .none, .null: return .absent(.unspecified)
      case .value(let bytes): return .value(OriginValue(bytes))
      case .tooLarge: return .failure(OriginError(origin: name, .tooLarge(limitBytes: valueLimitBytes)))
      case .columns(let count):
        return .failure(OriginError(origin: name, .wrongType("the query gives \(count) columns by now, not 1")))
      }
    } catch {
      return .failure(explained(error, deadline - began))
    }
  }

  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>] {
    if writes.count > 1 && storeTogether(writes, until: deadline) { return writes.map { _ in .success(()) } }
    // One by one, so that a write that is refused does not keep the others from being made.
    return writes.map { write in
      let began = monotonicMilliseconds()
      do throws(PreparedDatabase.Refusal) {
        try make(write, try prepared(until: deadline))
        return .success(())
      } catch {
        return .failure(explained(error, deadline - began))
      }
    }
  }

  /// In one transaction, which costs one wait for the disk. False: none of them was made.
  private func storeTogether(_ writes: [OriginWrite], until deadline: Int) -> Bool {
    guard let open = try? prepared(until: deadline) else { return false }
    do {
      try open.database.execute("BEGIN IMMEDIATE")
      for write in writes { try make(write, open) }
      try open.database.execute("COMMIT")
      return true
    } catch {
      if sqlite3_get_autocommit(open.database.handle) == 0 {
        open.database.deadline = .max
        try? open.database.execute("ROLLBACK")
      }
      return false
    }
  }

  private func make(_ write: OriginWrite, _ open: PreparedDatabase) throws(PreparedDatabase.Refusal) {
    guard let (storing, deleting) = open.writing else { throw .configuration("it has no statements to write with") }
    do throws(SQLiteDatabase.Failure) {
      guard let value = write.value else {
        try deleting.bind(write.key, as: source.keyType, at: 1)
        return try deleting.run()
      }
      try storing.bind(write.key, as: source.keyType, at: 1)
      try storing.bind(value, as: .text, at: 2)
      if storing.parameterCount == 3 { try storing.bind(write.timeToLiveMilliseconds, at: 3) }
      try storing.run()
    } catch {
      throw .database(error)
    }
  }

  private func prepared(until deadline: Int) throws(PreparedDatabase.Refusal) -> PreparedDatabase {
    if let opened {
      opened.database.deadline = deadline
      return opened
    }
    let made = try PreparedDatabase(source, interruption, until: deadline)
    opened = made
    return made
  }

  private func explained(_ refusal: PreparedDatabase.Refusal, _ milliseconds: Int) -> OriginError {
    let cause: OriginError.Cause
    switch refusal {
    case .configuration(let sentence): cause = .rejected(sentence)
    case .database(let failure):
      switch failure.code {
      // Nothing of a statement that was interrupted, or never got its lock, stays in the file.
      case SQLITE_INTERRUPT, SQLITE_BUSY, SQLITE_LOCKED: cause = .timedOut(milliseconds: max(0, milliseconds))
      case SQLITE_TOOBIG: cause = .tooLarge(limitBytes: valueLimitBytes)
      case SQLITE_CORRUPT, SQLITE_NOTADB:
        cause = .garbage(failure.words)
        opened = nil
      case SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_FULL, SQLITE_PROTOCOL, SQLITE_PERM:
        cause = .unreachable(failure.words)
        opened = nil
      default: cause = .rejected(failure.words)
      }
    }
    return OriginError(origin: name, cause)
  }
}

/// What the SQL origins ask of their statements.
enum StatementRules {
  static func wrongParameters(_ option: String, _ count: Int, _ sql: String) -> String {
    let wanted =
      switch option {
      case "write": "two parameters, the key and the value, or three with the milliseconds to live"
      default: "one parameter, the key"
      }
    return "\(option) takes \(wanted); this one has \(count): \(sql)"
  }
}
