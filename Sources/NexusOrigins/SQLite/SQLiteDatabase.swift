import CSQLite
import Glibc

/// An open database file, for one thread at a time.
final class SQLiteDatabase {
  struct Failure: Error {
    /// SQLite's primary result code.
    var code: Int32
    var words: String
  }

  /// When what runs is to end.
  struct Limit {
    var deadline = Int.max
    var interruption: DescriptorInterruption?

    var isOver: Bool { interruption?.isRaised == true || monotonicMilliseconds() >= deadline }
  }

  let handle: OpaquePointer
  /// Read by SQLite's handlers, on the thread that uses the database. Invariant: lives as long as the handle.
  private let limit: UnsafeMutablePointer<Limit>

  enum Access { case reads, writes, creates }

  init(path: String, _ access: Access, interruption: DescriptorInterruption? = nil) throws(Failure) {
    let flags =
      switch access {
      case .reads: SQLITE_OPEN_READONLY
      case .writes: SQLITE_OPEN_READWRITE
      case .creates: SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
      }
    var opened: OpaquePointer?
    // A path that begins with "file:" or ":" is a path like others.
    let safePath = path.hasPrefix("/") ? path : "./" + path
    let code = sqlite3_open_v2(safePath, &opened, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let opened else {
      let failure = Self.failure(opened, code)
      sqlite3_close_v2(opened)
      throw failure
    }
    handle = opened
    limit = .allocate(capacity: 1)
    limit.initialize(to: Limit(interruption: interruption))
    nexus_sqlite_distrust(handle)
    // Asked every thousand steps of a statement, some ten microseconds.
    sqlite3_progress_handler(
      handle, 1000, { $0!.assumingMemoryBound(to: Limit.self).pointee.isOver ? 1 : 0 }, limit)
    sqlite3_busy_handler(
      handle,
      { limit, tries in
        if limit!.assumingMemoryBound(to: Limit.self).pointee.isOver { return 0 }
        usleep(tries < 10 ? 1_000 : 10_000)
        return 1
      }, limit)
  }

  deinit {
    sqlite3_close_v2(handle)
    limit.deinitialize(count: 1)
    limit.deallocate()
  }

  var deadline: Int {
    get { limit.pointee.deadline }
    set { limit.pointee.deadline = newValue }
  }

  /// Statements without parameters and results.
  func execute(_ sql: String) throws(Failure) {
    let code = sqlite3_exec(handle, sql, nil, nil, nil)
    if code != SQLITE_OK { throw Self.failure(handle, code) }
  }

  func failure(_ code: Int32) -> Failure { Self.failure(handle, code) }

  private static func failure(_ handle: OpaquePointer?, _ code: Int32) -> Failure {
    let words = handle.map { String(cString: sqlite3_errmsg($0)) } ?? String(cString: sqlite3_errstr(code))
    return Failure(code: code & 0xFF, words: words)
  }
}
