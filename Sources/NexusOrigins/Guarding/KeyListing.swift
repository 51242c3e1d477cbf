/// How an origin's keys are listed, for the guard before it.
public struct KeyListing: Hashable, Sendable {
  /// No parameter; one column: the key.
  public var statement: String
  /// From the end of one listing to the beginning of the next.
  public var everyMilliseconds = 60_000

  public init(statement: String) { self.statement = statement }

  init?(from options: inout OptionReader) throws(OriginConfigurationError) {
    let statement = options.text("keys")
    self.init(statement: statement ?? "")
    try options.duration("keys-every", atLeast: 100, into: &everyMilliseconds)
    if statement == nil { return nil }
  }
}

extension Origins {
  /// Lists the origin's keys into a guard. Blocks for as long as that takes.
  /// - Parameter former: the guard until now; goes on being asked meanwhile.
  /// - Returns: nil where the configuration names no listing.
  public static func keyGuard(
    _ configuration: OriginConfiguration, replacing former: CuckooGuard? = nil
  ) throws(OriginConfigurationError) -> CuckooGuard? {
    guard case .sqlite(let source) = configuration.source, let listing = source.listing else { return nil }
    let keyGuard = CuckooGuard()
    former?.beginListing()
    if let error = whyNotListed(source, listing, { keyGuard.add($0) }) { throw error }
    if let former { keyGuard.takeOver(from: former) }
    return keyGuard
  }

  /// Nil: they are listed.
  private static func whyNotListed(
    _ source: SQLiteSource, _ listing: KeyListing, _ each: ([UInt8]) -> Void
  ) -> OriginConfigurationError? {
    func refusal(_ why: String) -> OriginConfigurationError {
      OriginConfigurationError("the keys of the origin sqlite:\(source.path) cannot be listed: \(why)")
    }
    let refused: SQLiteStatement.Refusal
    do throws(SQLiteStatement.Refusal) {
      let statement = try SQLiteStatement(listing.statement, in: try open(source.path))
      guard statement.parameterCount == 0, statement.columnCount == 1, statement.isReadOnly else {
        return refusal("keys has to be a SELECT without parameters that gives one column")
      }
      do throws(SQLiteDatabase.Failure) { try statement.eachRow(each) } catch { throw .database(error) }
      return nil
    } catch { refused = error }
    switch refused {
    case .notOne: return refusal("keys has to be one statement")
    case .database(let failure): return refusal("\(failure.words) (SQLite's code \(failure.code))")
    }
  }

  private static func open(_ path: String) throws(SQLiteStatement.Refusal) -> SQLiteDatabase {
    do throws(SQLiteDatabase.Failure) { return try SQLiteDatabase(path: path, .reads) } catch { throw .database(error) }
  }
}
