/// Where a server is, and who asks it.
public struct ServerAddress: Hashable, Sendable {
  /// A name or an address.
  public var host: String
  public var port: Int
  /// Of a Unix socket, used instead of host and port: for PostgreSQL the directory it is in.
  public var socket: String?
  public var user: String?
  public var password: String?

  public init(host: String, port: Int, socket: String? = nil, user: String? = nil, password: String? = nil) {
    self.host = host
    self.port = port
    self.socket = socket
    self.user = user
    self.password = password
  }

  /// Without the password.
  var name: String {
    let place = socket ?? "\(host.contains(":") ? "[\(host)]" : host):\(port)"
    return user.map { $0.isEmpty ? place : "\($0)@\(place)" } ?? place
  }
}

/// Where and how a Redis origin finds its values.
public struct RedisSource: Hashable, Sendable {
  public var server: ServerAddress
  public var database = 0
  /// Writes are SET and DEL.
  public var takesWrites = false

  public init(server: ServerAddress) { self.server = server }
}

/// Where and how a PostgreSQL origin finds its values.
public struct PostgresSource: Hashable, Sendable {
  public var server: ServerAddress
  public var database: String
  /// Parameter: the key, $1. Column: the value.
  public var query: String
  public var statements: WriteStatements?
  /// libpq's `sslmode`, and the file of certificates to trust.
  public var tlsMode: String?
  public var certificates: String?

  public init(server: ServerAddress, database: String, query: String, statements: WriteStatements? = nil) {
    self.server = server
    self.database = database
    self.query = query
    self.statements = statements
  }
}

extension OriginConfiguration {
  /// `//USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS`.
  static func parsedRedis(_ text: Substring) throws(OriginConfigurationError) -> Self {
    var (server, path, options) = try parsedServer("redis", text, port: 6379)
    var source = RedisSource(server: server)
    if !path.isEmpty {
      guard let number = Int(path), (0...1_000_000).contains(number) else {
        throw options.failure("'/\(path)' is to be the number of a database, such as /0")
      }
      source.database = number
    }
    source.takesWrites = try options.word("write", ["no", "set"]) == "set"
    return try OriginConfiguration(.redis(source), canStore: source.takesWrites, rest: &options)
  }

  static func parsedPostgres(_ scheme: String, _ text: Substring) throws(OriginConfigurationError) -> Self {
    var (server, path, options) = try parsedServer(scheme, text, port: 5432)
    guard let query = options.text("query") else {
      throw options.failure("needs a query, such as query=SELECT value FROM scores WHERE key = $1")
    }
    let database = path.isEmpty ? server.user ?? "postgres" : path
    var source = PostgresSource(
      server: server, database: database, query: query, statements: try WriteStatements(from: &options))
    let modes = ["prefer", "disable", "allow", "require", "verify-ca", "verify-full"]
    source.tlsMode = try options.word("sslmode", modes)
    source.certificates = options.text("ca-file")
    return try OriginConfiguration(.postgres(source), canStore: source.statements != nil, rest: &options)
  }

  private static func parsedServer(
    _ scheme: String, _ text: Substring, port: Int
  ) throws(OriginConfigurationError) -> (ServerAddress, path: String, OptionReader) {
    let (location, optionText) = split(text, at: "?")
    guard location.hasPrefix("//") else {
      throw OriginConfigurationError("\(scheme): a host is to follow, as in \(scheme)://127.0.0.1:\(port)/")
    }
    let (authorityText, pathText) = split(location.dropFirst(2), at: "/")
    let authority: Authority
    do throws(Authority.Refusal) { authority = try Authority(authorityText) } catch {
      throw OriginConfigurationError("\(scheme): \(error.reason)")
    }
    var server = ServerAddress(
      host: authority.host ?? "", port: authority.port ?? port, user: authority.credentials?.user,
      password: authority.credentials?.password)
    var options = try OptionReader(optionText, origin: "\(scheme)://\(server.name)/\(pathText)")
    server.socket = options.text("socket")
    guard authority.host != nil || server.socket != nil else {
      throw OriginConfigurationError("\(scheme): it names no host, and no socket=PATH")
    }
    guard let path = PercentText.decoded(pathText).flatMap({ String(validating: $0, as: UTF8.self) }),
      !path.utf8.contains(0)
    else { throw options.failure("'/\(pathText)' is to be percent-encoded UTF-8 without NUL") }
    return (server, path, options)
  }
}
