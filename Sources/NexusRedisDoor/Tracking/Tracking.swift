import NexusService

/// How a session tracks (CLIENT TRACKING).
struct Tracking {
  struct Options: OptionSet {
    let rawValue: UInt8
    /// It hears of all keys with its prefixes, whether it has read them or not.
    static let broadcast = Options(rawValue: 1 << 0)
    /// Only what is read after CLIENT CACHING YES is remembered.
    static let optIn = Options(rawValue: 1 << 1)
    /// All but what is read after CLIENT CACHING NO is.
    static let optOut = Options(rawValue: 1 << 2)
    /// It does not hear of what it changes itself.
    static let noLoop = Options(rawValue: 1 << 3)
  }

  /// Another client that hears in this one's stead.
  struct Redirection {
    let id: UInt64
    let loop: Int
  }

  var options: Options = []
  var redirection: Redirection?
  /// CLIENT CACHING was sent: it concerns the next command, or transaction.
  var isCachingGiven = false
  /// There was something to tell, and the client that hears in this one's stead was gone.
  var isBroken = false
  /// Sorted.
  var prefixes: [[UInt8]] = []
  /// The regions that the session had chosen before the present one.
  private(set) var former: [Int] = []

  /// All databases are one region, each other namespace is one: what is selected, by its number.
  static func region(of database: Int) -> Int { database < Databases.count ? 0 : database }

  /// The session chooses something else now.
  mutating func leave(_ database: Int) {
    let region = Self.region(of: database)
    if !former.contains(region) { former.append(region) }
  }

  var redirectionNumber: Int { Int(redirection?.id ?? 0) }

  /// Whether the keys that it reads now are remembered.
  var remembers: Bool {
    if options.contains(.broadcast) { return false }
    if options.contains(.optIn) { return isCachingGiven }
    return !(options.contains(.optOut) && isCachingGiven)
  }

  /// Its requests cannot take the shortest way.
  var isObstacle: Bool { !options.contains(.broadcast) || options.contains(.noLoop) }
}

/// Which loop has a client, asked of all loops.
struct ClientSearch: Sendable {
  let id: UInt64
  /// Loops that have not answered yet.
  var missing: Int
  var loop: Int?
}

/// What a client is told.
enum Invalidation {
  /// The keys as a RESP array.
  case keys([UInt8])
  case everything
}
