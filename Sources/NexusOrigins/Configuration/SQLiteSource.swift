/// Where and how a SQLite origin finds its values.
public struct SQLiteSource: Hashable, Sendable {
  public enum KeyType: String, Hashable, Sendable { case text, blob }

  public var path: String
  /// Parameter: the key. Column: the value.
  public var query: String
  public var statements: WriteStatements?
  public var keyType = KeyType.text
  /// Nil: what keys there are is not known.
  public var listing: KeyListing?

  public init(path: String, query: String, statements: WriteStatements? = nil) {
    self.path = path
    self.query = query
    self.statements = statements
  }
}

/// The statements of an SQL origin that is written to. Both may run twice for one write.
public struct WriteStatements: Hashable, Sendable {
  /// Parameters: the key, the value and, if there is a third, the milliseconds to live (NULL: for ever).
  public var write: String
  /// Parameter: the key.
  public var delete: String

  public init(write: String, delete: String) {
    self.write = write
    self.delete = delete
  }

  init?(from options: inout OptionReader) throws(OriginConfigurationError) {
    switch (options.text("write"), options.text("delete")) {
    case (nil, nil): return nil
    case (let write?, let delete?): self.init(write: write, delete: delete)
    case (nil, _?): throw options.failure("delete is given without write: give both, or neither")
    // A deleted key would come back with the next miss.
    case (_?, nil): throw options.failure("write is given without delete: give both, or neither")
    }
  }
}

extension OriginConfiguration {
  /// `PATH?OPTIONS`, or `///PATH?OPTIONS`.
  static func parsedSQLite(_ text: Substring) throws(OriginConfigurationError) -> Self {
    let (location, optionText) = split(text, at: "?")
    let pathText = location.hasPrefix("//") ? location.dropFirst(2) : location
    guard let bytes = PercentText.decoded(pathText), !bytes.isEmpty, !bytes.contains(0) else {
      throw OriginConfigurationError("sqlite: needs the path of a database file, such as sqlite:/var/lib/scores.db?...")
    }
    let path = String(decoding: bytes, as: UTF8.self)
    guard !location.hasPrefix("//") || path.hasPrefix("/"), path != ":memory:" else {
      throw OriginConfigurationError("sqlite: needs the path of a file on this machine, not '\(location)'")
    }
    var options = try OptionReader(optionText, origin: "sqlite:\(path)")
    guard let query = options.text("query") else {
      throw options.failure("needs a query, such as query=SELECT value FROM scores WHERE key = ?")
    }
    var source = SQLiteSource(path: path, query: query, statements: try WriteStatements(from: &options))
    source.listing = try KeyListing(from: &options)
    source.keyType = SQLiteSource.KeyType(rawValue: try options.word("key-type", ["text", "blob"]))!
    return try OriginConfiguration(.sqlite(source), canStore: source.statements != nil, rest: &options)
  }

  /// `KEY=VALUE,KEY=VALUE`, percent-encoded where they have `,`, `=` or `%`.
  static func parsedTable(_ text: Substring) throws(OriginConfigurationError) -> Self {
    var table: [[UInt8]: [UInt8]] = [:]
    for piece in text.split(separator: ",") {
      guard let equals = piece.firstIndex(of: "="), let key = PercentText.decoded(piece[..<equals]),
        let value = PercentText.decoded(piece[piece.index(after: equals)...])
      else { throw OriginConfigurationError("static: takes KEY=VALUE,KEY=VALUE, percent-encoded; not '\(piece)'") }
      guard table.updateValue(value, forKey: key) == nil else {
        throw OriginConfigurationError("static: has the key '\(piece[..<equals])' twice")
      }
    }
    return OriginConfiguration(source: .fixed(table))
  }
}
