import NexusService

/// Which origin, and how it is used: as a setting names it, `sqlite:/path/to.db?query=SELECT value FROM ...`.
/// docs/origins.md describes the form.
public struct OriginConfiguration: Hashable, Sendable {
  public enum Source: Hashable, Sendable {
    case sqlite(SQLiteSource)
    case postgres(PostgresSource)
    case http(HTTPSource)
    case redis(RedisSource)
    /// A fixed table.
    case fixed([[UInt8]: [UInt8]])
  }

  public var source: Source
  public var limits: OriginLimits
  /// Nil: a write is acknowledged when the origin has it.
  public var writeBehind: WriteBehindSettings?

  public init(source: Source, limits: OriginLimits = OriginLimits(), writeBehind: WriteBehindSettings? = nil) {
    self.source = source
    self.limits = limits
    self.writeBehind = writeBehind
  }

  /// With the options that all kinds have; any other that is left is refused.
  init(_ source: Source, canStore: Bool, rest options: inout OptionReader) throws(OriginConfigurationError) {
    let limits = try OriginLimits(from: &options)
    let writeBehind = try WriteBehindSettings(from: &options, canStore: canStore)
    try options.finish()
    self.init(source: source, limits: limits, writeBehind: writeBehind)
  }

  public init(_ text: String) throws(OriginConfigurationError) {
    guard let colon = text.firstIndex(of: ":") else { throw Self.unknownScheme(text) }
    let scheme = text[..<colon].lowercased()
    let rest = text[text.index(after: colon)...]
    guard let parse = Self.schemes[scheme] else { throw Self.unknownScheme(scheme) }
    self = try parse(scheme, rest)
  }

  /// For people, in logs and errors: where the values come from. Shows no password.
  public var name: String {
    switch source {
    case .sqlite(let source): "sqlite:\(source.path)"
    case .postgres(let source): "postgres://\(source.server.name)/\(source.database)"
    case .http(let source): source.template.name
    case .redis(let source): "redis://\(source.server.name)/\(source.database)"
    case .fixed(let table): "static:(\(table.count) keys)"
    }
  }

  /// From one listing of the keys to the next, where there is one.
  public var keysEveryMilliseconds: Int {
    if case .sqlite(let source) = source, let listing = source.listing { return listing.everyMilliseconds }
    return KeyListing(statement: "").everyMilliseconds
  }

  typealias Parser = @Sendable (_ scheme: String, _ rest: Substring) throws(OriginConfigurationError) -> Self

  private static let schemes: [String: Parser] = [
    "sqlite": { _, rest throws(OriginConfigurationError) in try parsedSQLite(rest) },
    "postgres": { scheme, rest throws(OriginConfigurationError) in try parsedPostgres(scheme, rest) },
    "postgresql": { scheme, rest throws(OriginConfigurationError) in try parsedPostgres(scheme, rest) },
    "http": { scheme, rest throws(OriginConfigurationError) in try parsedHTTP(scheme, rest) },
    "https": { scheme, rest throws(OriginConfigurationError) in try parsedHTTP(scheme, rest) },
    "redis": { _, rest throws(OriginConfigurationError) in try parsedRedis(rest) },
    "rediss": { _, _ throws(OriginConfigurationError) in
      throw OriginConfigurationError(
        "rediss: TLS is not spoken with Redis servers; use redis: on a network of your own")
    },
    "static": { _, rest throws(OriginConfigurationError) in try parsedTable(rest) },
  ]

  private static func unknownScheme(_ scheme: String) -> OriginConfigurationError {
    let known = schemes.keys.sorted().map { "\($0):" }.joined(separator: ", ")
    // What follows the scheme may hold a password.
    return OriginConfigurationError("an origin begins with one of \(known), not with '\(scheme.prefix(16))'")
  }

  /// What stands before the options, and the options.
  static func split(_ text: Substring, at separator: Character) -> (Substring, Substring) {
    guard let mark = text.firstIndex(of: separator) else { return (text, "") }
    return (text[..<mark], text[text.index(after: mark)...])
  }
}

extension OriginLimits {
  init(from options: inout OptionReader) throws(OriginConfigurationError) {
    self.init()
    try options.count("connections", 1...256, into: &connections)
    try options.count("queue", 0...1_000_000, into: &queue)
    try options.duration("timeout", atLeast: 1, into: &timeoutMilliseconds)
    try options.count("retries", 0...100, into: &retries)
    try options.duration("backoff", into: &backoffMilliseconds)
    try options.duration("backoff-limit", into: &backoffLimitMilliseconds)
    try options.count("breaker-failures", 0...64, into: &breakerFailures)
    try options.count("breaker-window", 1...64, into: &breakerWindow)
    try options.duration("breaker-open", atLeast: 1, into: &breakerOpenMilliseconds)
    try options.duration("breaker-open-limit", atLeast: 1, into: &breakerOpenLimitMilliseconds)
    try options.bytes("value-limit", 1...(512 << 20), into: &valueLimitBytes)
    try options.duration("idle", atLeast: 1, into: &idleMilliseconds)
    guard breakerFailures <= breakerWindow else {
      throw options.failure(
        "breaker-failures cannot be \(breakerFailures) with a breaker-window of \(breakerWindow): raise the window")
    }
  }
}
