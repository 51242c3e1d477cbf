import CPostgres
import Glibc
import NexusModel

/// A connection to a PostgreSQL server, for one thread at a time. The library is used so that it never waits, save for
/// the lookup of the host's name.
final class PostgresClient {
  enum Failure: Error {
    case interrupted
    case timedOut
    /// Nothing was sent.
    case notConnected(String)
    /// Sent, or perhaps sent, and not answered to the end.
    case brokenOff(String)
    case tooLarge
    /// The server's own: SQLSTATE and words.
    case server(state: String, String)
  }

  /// What a result needs besides its value.
  private static let overheadBytes: Int64 = 64 << 10

  private let connection: OpaquePointer
  private let interruption: DescriptorInterruption?
  private let canceller: PostgresCanceller

  /// - Parameter settings: libpq's keywords and their values.
  init(
    _ settings: [(String, String)], _ canceller: PostgresCanceller, _ interruption: DescriptorInterruption?,
    until deadline: Int
  ) throws(Failure) {
    let keywords = settings.map { strdup($0.0) }, values = settings.map { strdup($0.1) }
    defer { for text in keywords + values { free(text) } }
    let started = PQconnectStartParams(
      keywords.map { UnsafePointer($0) } + [nil], values.map { UnsafePointer($0) } + [nil], 0)
    guard let started else { throw .notConnected("no memory for a connection") }
    connection = started
    self.interruption = interruption
    self.canceller = canceller
    nexus_postgres_silence(connection)
    var wanted = PGRES_POLLING_WRITING
    while wanted != PGRES_POLLING_OK {
      guard wanted != PGRES_POLLING_FAILED, PQstatus(connection) != CONNECTION_BAD else { throw .notConnected(words) }
      do throws(Failure) {
        try wait(for: wanted == PGRES_POLLING_READING ? POLLIN : POLLOUT, until: deadline)
      } catch {
        if case .timedOut = error { throw .notConnected("no connection in time") }
        throw error
      }
      wanted = PQconnectPoll(connection)
    }
    PQsetnonblocking(connection, 1)
  }

  deinit { PQfinish(connection) }

  // MARK: What it is asked

  /// A few statements without parameters, and nothing of what they give.
  func execute(_ sql: String, until deadline: Int) throws(Failure) {
    guard PQsendQuery(connection, sql) == 1 else { throw .brokenOff(words) }
    _ = try results(limitBytes: nil, until: deadline)
  }

  struct Statement {
    var name: String
    var sql: String
    /// The types of its parameters, and of its columns, by their numbers in the server's catalogue.
    var parameters: [Oid]
    var columns: [Oid]
  }

  func prepare(_ name: String, _ sql: String, until deadline: Int) throws(Failure) -> Statement {
    guard PQsendPrepare(connection, name, sql, 0, nil) == 1 else { throw .brokenOff(words) }
    _ = try results(limitBytes: nil, until: deadline)
    guard PQsendDescribePrepared(connection, name) == 1 else { throw .brokenOff(words) }
    guard let described = try results(limitBytes: nil, until: deadline) else {
      throw .brokenOff("no description of the statement came")
    }
    let handle = described.handle
    return Statement(
      name: name, sql: sql, parameters: (0..<PQnparams(handle)).map { PQparamtype(handle, $0) },
      columns: (0..<PQnfields(handle)).map { PQftype(handle, $0) })
  }

  enum Parameter {
    case null
    /// For the server to read as whatever type the parameter has. Without NUL.
    case text([UInt8])
    /// As the bytes that the type is made of: for text and bytea, what it holds.
    case binary([UInt8])
  }

  enum Row: Equatable {
    case none
    case null
    case value([UInt8])
    case columns(Int)
  }

  /// The first row's only column, as bytes or in text form.
  func firstRow(
    of statement: Statement, _ parameters: [Parameter], isBinary: Bool, limitBytes: Int, until deadline: Int
  ) throws(Failure) -> Row {
    try send(statement, parameters, isBinary: isBinary)
    guard let result = try results(limitBytes: limitBytes, until: deadline) else { return .none }
    let columns = Int(PQnfields(result.handle))
    guard PQntuples(result.handle) > 0 else { return .none }
    guard columns == 1 else { return .columns(columns) }
    guard PQgetisnull(result.handle, 0, 0) == 0 else { return .null }
    let count = Int(PQgetlength(result.handle, 0, 0))
    guard count <= limitBytes else { throw .tooLarge }
    return .value([UInt8](UnsafeRawBufferPointer(start: PQgetvalue(result.handle, 0, 0), count: count)))
  }

  func run(_ statement: Statement, _ parameters: [Parameter], until deadline: Int) throws(Failure) {
    try send(statement, parameters, isBinary: false)
    _ = try results(limitBytes: nil, until: deadline)
  }

  private func send(_ statement: Statement, _ parameters: [Parameter], isBinary: Bool) throws(Failure) {
    // One run of bytes that all parameters lie in, each with a NUL behind it, which text needs.
    var bytes: [UInt8] = []
    var offsets: [Int?] = [], lengths: [Int32] = [], formats: [Int32] = []
    for parameter in parameters {
      let (content, format): ([UInt8]?, Int32) =
        switch parameter {
        case .null: (nil, 0)
        case .text(let content): (content, 0)
        case .binary(let content): (content, 1)
        }
      offsets.append(content == nil ? nil : bytes.count)
      lengths.append(Int32(clamping: content?.count ?? 0))
      formats.append(format)
      bytes += (content ?? []) + [0]
    }
    let sent = bytes.withUnsafeBytes { raw in
      let starts = offsets.map { offset in
        offset.map { UnsafePointer(raw.baseAddress!.advanced(by: $0).assumingMemoryBound(to: CChar.self)) }
      }
      return PQsendQueryPrepared(
        connection, statement.name, Int32(parameters.count), starts, lengths, formats, isBinary ? 1 : 0)
    }
    guard sent == 1 else { throw .brokenOff(words) }
  }

  // MARK: What it answers

  private final class ResultHolder {
    let handle: OpaquePointer
    init(_ handle: OpaquePointer) { self.handle = handle }
    deinit { PQclear(handle) }
  }

  /// Sends what waits to be sent and takes all results. The last one counts; the first error too.
  private func results(limitBytes: Int?, until deadline: Int) throws(Failure) -> ResultHolder? {
    let receivedBefore = nexus_bytes_received(PQsocket(connection))
    var last: ResultHolder?
    var failure: Failure?
    do throws(Failure) {
      try flush(until: deadline)
      while true {
        while PQisBusy(connection) != 0 {
          try wait(for: POLLIN, until: deadline)
          guard PQconsumeInput(connection) == 1 else { throw .brokenOff(words) }
          // The library makes room for as much as the server says it will send. What has come is counted here.
          let received = nexus_bytes_received(PQsocket(connection)) - receivedBefore
          if let limitBytes, receivedBefore >= 0, received > Int64(limitBytes) + Self.overheadBytes { throw .tooLarge }
        }
        guard let handle = PQgetResult(connection) else { break }
        let result = ResultHolder(handle)
        switch PQresultStatus(handle) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: last = result
        default: failure = failure ?? self.failure(of: handle)
        }
      }
    } catch {
      if case .brokenOff = error { throw error }
      // Nobody waits for what the server does now: it is asked to stop.
      canceller.cancel(connection)
      throw error
    }
    if let failure { throw failure }
    return last
  }

  private func flush(until deadline: Int) throws(Failure) {
    while true {
      let left = PQflush(connection)
      if left == 0 { return }
      guard left > 0 else { throw .brokenOff(words) }
      try wait(for: POLLOUT | POLLIN, until: deadline)
      guard PQconsumeInput(connection) == 1 else { throw .brokenOff(words) }
    }
  }

  private func failure(of result: OpaquePointer) -> Failure {
    guard let state = PQresultErrorField(result, Int32(UInt8(ascii: "C"))) else { return .brokenOff(words) }
    let primary = PQresultErrorField(result, Int32(UInt8(ascii: "M"))).map { String(cString: $0) } ?? words
    return .server(state: String(cString: state), primary)
  }

  private func wait(for events: Int32, until deadline: Int) throws(Failure) {
    let waiter = interruption ?? DescriptorInterruption()
    switch waiter.wait(PQsocket(connection), for: events, until: deadline) {
    case .ready: return
    case .timedOut: throw .timedOut
    case .interrupted: throw .interrupted
    }
  }

  /// The library's last words, as one line.
  private var words: String {
    let lines = String(cString: PQerrorMessage(connection)).split(whereSeparator: \.isNewline)
    return lines.map { $0.drop { $0.isWhitespace } }.joined(separator: "; ")
  }
}

/// Asks servers to stop what they do for a connection. The library's call for this waits for the server, so that it is
/// made on a thread of its own; while so many have not come back, no further one is made: the server notices the lost
/// connection by itself, later.
final class PostgresCanceller: Sendable {
  private static let mostAtOnce = 4
  private let underway = Guarded(0)

  func cancel(_ connection: OpaquePointer) {
    let mayBegin = underway.withLock { count in
      guard count < Self.mostAtOnce else { return false }
      count += 1
      return true
    }
    guard mayBegin else { return }
    guard let request = PQgetCancel(connection) else { return finish() }
    let handle = CancelRequest(request)
    let begun = beginThread(named: "origin-cancel") {
      var words = [CChar](repeating: 0, count: 256)
      PQcancel(handle.pointer, &words, Int32(words.count))
      PQfreeCancel(handle.pointer)
      self.finish()
    }
    if !begun {
      PQfreeCancel(request)
      finish()
    }
  }

  private func finish() { underway.withLock { $0 -= 1 } }

  /// Handed from one thread to another, and freed there.
  private struct CancelRequest: @unchecked Sendable {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
  }
}
