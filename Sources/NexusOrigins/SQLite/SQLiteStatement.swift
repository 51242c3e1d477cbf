import CSQLite

/// A prepared statement. Values enter it as bound parameters only.
final class SQLiteStatement {
  private let database: SQLiteDatabase
  private let handle: OpaquePointer
  let parameterCount: Int
  let columnCount: Int
  let isReadOnly: Bool

  enum Refusal: Error {
    case notOne
    case database(SQLiteDatabase.Failure)
  }

  init(_ sql: String, in database: SQLiteDatabase) throws(Refusal) {
    var prepared: OpaquePointer?
    var rest = ""
    var code = SQLITE_OK
    var text = sql
    text.withUTF8 { bytes in
      bytes.withMemoryRebound(to: CChar.self) { text in
        var tail: UnsafePointer<CChar>?
        code = sqlite3_prepare_v3(
          database.handle, text.baseAddress, Int32(text.count), UInt32(SQLITE_PREPARE_PERSISTENT), &prepared, &tail)
        if let tail, let start = text.baseAddress {
          rest = String(decoding: bytes[(tail - start)...], as: UTF8.self)
        }
      }
    }
    guard code == SQLITE_OK else { throw .database(database.failure(code)) }
    guard let prepared, rest.allSatisfy({ $0.isWhitespace || $0 == ";" }) else {
      sqlite3_finalize(prepared)
      throw .notOne
    }
    self.database = database
    handle = prepared
    parameterCount = Int(sqlite3_bind_parameter_count(prepared))
    columnCount = Int(sqlite3_column_count(prepared))
    isReadOnly = sqlite3_stmt_readonly(prepared) != 0
  }

  deinit { sqlite3_finalize(handle) }

  /// - Parameter index: from 1 on.
  func bind(_ bytes: [UInt8], as type: SQLiteSource.KeyType, at index: Int) throws(SQLiteDatabase.Failure) {
    let isText = type == .text && String(validating: bytes, as: UTF8.self) != nil
    let code = nexus_sqlite_bind(handle, Int32(index), bytes, UInt64(bytes.count), isText ? 1 : 0)
    if code != SQLITE_OK { throw database.failure(code) }
  }

  /// Nil: NULL.
  func bind(_ number: Int?, at index: Int) throws(SQLiteDatabase.Failure) {
    let code =
      number.map { sqlite3_bind_int64(handle, Int32(index), Int64($0)) } ?? sqlite3_bind_null(handle, Int32(index))
    if code != SQLITE_OK { throw database.failure(code) }
  }

  enum Row {
    case none
    case null
    case value([UInt8])
    case tooLarge(bytes: Int)
    /// The statement's table has changed since it was prepared.
    case columns(Int)
  }

  /// Runs it; the first row's only column. The values that were bound are forgotten.
  func firstRow(limitBytes: Int) throws(SQLiteDatabase.Failure) -> Row {
    defer { reset() }
    switch sqlite3_step(handle) {
    case SQLITE_DONE: return .none
    case SQLITE_ROW:
      let columns = Int(sqlite3_column_count(handle))
      guard columns == 1 else { return .columns(columns) }
      return row(limitBytes: limitBytes)
    case let code: throw database.failure(code)
    }
  }

  /// The first column of the row that it is at.
  private func row(limitBytes: Int) -> Row {
    let type = sqlite3_column_type(handle, 0)
    if type == SQLITE_NULL { return .null }
    // Numbers become text here; of a blob and of text, this is where they lie.
    let start =
      type == SQLITE_BLOB ? sqlite3_column_blob(handle, 0) : UnsafeRawPointer(sqlite3_column_text(handle, 0))
    let count = Int(sqlite3_column_bytes(handle, 0))
    guard count <= limitBytes else { return .tooLarge(bytes: count) }
    return .value([UInt8](UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count)))
  }

  /// Runs it to its end, and hands over what each row has in its first column; rows with NULL are left out.
  func eachRow(_ body: ([UInt8]) -> Void) throws(SQLiteDatabase.Failure) {
    defer { reset() }
    while true {
      switch sqlite3_step(handle) {
      case SQLITE_ROW: if case .value(let bytes) = row(limitBytes: .max) { body(bytes) }
      case SQLITE_DONE: return
      case let code: throw database.failure(code)
      }
    }
  }

  /// Runs it to its end; the values that were bound are forgotten.
  func run() throws(SQLiteDatabase.Failure) {
    defer { reset() }
    while true {
      switch sqlite3_step(handle) {
      case SQLITE_ROW: continue
      case SQLITE_DONE: return
      case let code: throw database.failure(code)
      }
    }
  }

  private func reset() {
    sqlite3_reset(handle)
    sqlite3_clear_bindings(handle)
  }
}
