import CPostgres
import NexusService

/// How bytes become a parameter: by the type that the server found for it.
enum PostgresType: Hashable {
  case bytes
  /// UTF-8 without NUL.
  case text
  /// Numbers, UUIDs and the like, which the server reads from their text.
  case other

  init(_ oid: Oid) {
    self =
      switch oid {
      case 17: .bytes
      // text, varchar, char(n), name, and what the server did not need to know.
      case 25, 1043, 1042, 19, 705: .text
      default: .other
      }
  }

  /// Nil: no value of this type is these bytes.
  func parameter(_ bytes: [UInt8]) -> PostgresClient.Parameter? {
    if self == .bytes { return .binary(bytes) }
    guard !bytes.contains(0), String(validating: bytes, as: UTF8.self) != nil else { return nil }
    return self == .text ? .binary(bytes) : .text(bytes)
  }
}

/// A connection whose statements are prepared and looked at.
final class PostgresSession {
  enum Refusal: Error {
    case configuration(String)
    case client(PostgresClient.Failure)
  }

  struct Prepared {
    var statement: PostgresClient.Statement
    var parameters: [PostgresType]
    /// Its column is bytea, which is asked for as the bytes that it is; all else in text form.
    var givesBytes: Bool
  }

  let client: PostgresClient
  let query: Prepared
  /// `write` and `delete`.
  private let writing: (Prepared, Prepared)?

  init(
    _ source: PostgresSource, _ canceller: PostgresCanceller, _ interruption: DescriptorInterruption?,
    timeoutMilliseconds: Int, until deadline: Int
  ) throws(Refusal) {
    do throws(PostgresClient.Failure) {
      client = try PostgresClient(Self.settings(source), canceller, interruption, until: deadline)
      // The server ends by itself what nobody cancelled. Without statements to write, it lets nothing be written.
      try client.execute(
        "SET statement_timeout = \(timeoutMilliseconds); "
          + "SET default_transaction_read_only = \(source.statements == nil ? "on" : "off")", until: deadline)
    } catch {
      throw .client(error)
    }
    query = try Self.prepared("query", source.query, 1...1, client, deadline)
    guard query.statement.columns.count == 1 else {
      throw .configuration(
        "query is to give one column, the value; this one gives \(query.statement.columns.count): \(source.query)")
    }
    guard let statements = source.statements else {
      writing = nil
      return
    }
    writing = (
      try Self.prepared("write", statements.write, 2...3, client, deadline),
      try Self.prepared("delete", statements.delete, 1...1, client, deadline)
    )
  }

  func execute(_ sql: String, until deadline: Int) throws(Refusal) {
    do throws(PostgresClient.Failure) { try client.execute(sql, until: deadline) } catch { throw .client(error) }
  }

  func make(_ write: OriginWrite, until deadline: Int) throws(Refusal) {
    guard let (storing, deleting) = writing else { throw .configuration("it has no statements to write with") }
    let prepared = write.value == nil ? deleting : storing
    var parameters: [PostgresClient.Parameter] = []
    for (bytes, type) in zip([write.key, write.value].compactMap { $0 }, prepared.parameters) {
      guard let parameter = type.parameter(bytes) else {
        // As the server would say it.
        throw .client(.server(state: "22021", "text cannot hold NUL or what is not UTF-8; use a column of type bytea"))
      }
      parameters.append(parameter)
    }
    if write.value != nil && prepared.parameters.count == 3 {
      parameters.append(write.timeToLiveMilliseconds.map { .text(Array("\($0)".utf8)) } ?? .null)
    }
    do throws(PostgresClient.Failure) {
      try client.run(prepared.statement, parameters, until: deadline)
    } catch {
      throw .client(error)
    }
  }

  private static func settings(_ source: PostgresSource) -> [(String, String)] {
    let server = source.server
    var settings = [
      ("host", server.socket ?? server.host), ("port", "\(server.port)"), ("dbname", source.database),
      ("client_encoding", "UTF8"), ("application_name", "nexuscache"),
    ]
    if let user = server.user { settings.append(("user", user)) }
    if let password = server.password { settings.append(("password", password)) }
    if let mode = source.tlsMode { settings.append(("sslmode", mode)) }
    if let certificates = source.certificates { settings.append(("sslrootcert", certificates)) }
    return settings
  }

  private static func prepared(
    _ option: String, _ sql: String, _ parameters: ClosedRange<Int>, _ client: PostgresClient, _ deadline: Int
  ) throws(Refusal) -> Prepared {
    let statement: PostgresClient.Statement
    do throws(PostgresClient.Failure) {
      statement = try client.prepare(option, sql, until: deadline)
    } catch {
      // Class 42: a syntax error, no such table, no right to it. An empty or second statement is 42601 too.
      if case .server(let state, let words) = error, state.hasPrefix("42") {
        throw .configuration("\(option) is refused by PostgreSQL (\(words)): \(sql)")
      }
      throw .client(error)
    }
    guard parameters.contains(statement.parameters.count) else {
      throw .configuration(StatementRules.wrongParameters(option, statement.parameters.count, sql))
    }
    return Prepared(
      statement: statement, parameters: statement.parameters.map(PostgresType.init),
      givesBytes: statement.columns.first == 17)
  }
}
