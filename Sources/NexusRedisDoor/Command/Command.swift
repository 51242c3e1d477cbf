/// A command, declared once as data: the dispatcher, COMMAND, transactions, access control and the docs all read it.
public struct Command: Sendable {
  public typealias Handler = @Sendable (inout Call) -> Void

  /// Lower case, as COMMAND shows it; subcommands as `config|get`.
  public let name: String
  /// As Redis counts: the number of arguments with the name; negative for "at least".
  public let arity: Int
  public let flags: Flags
  public let keys: KeyPositions
  public let spread: Spread
  public let group: Group
  /// One sentence, as COMMAND DOCS shows it.
  public let summary: String
  /// The Redis version that has it first.
  public let since: String
  public let complexity: String
  public let subcommands: [Command]
  public let handler: Handler

  public init(
    _ name: String, arity: Int, _ flags: Flags, keys: KeyPositions = .none, spread: Spread = .oneSlot, group: Group,
    since: String, complexity: String, summary: String, subcommands: [Command] = [], handler: @escaping Handler
  ) {
    self.name = name
    self.arity = arity
    self.flags = flags
    self.keys = keys
    self.spread = spread
    self.group = group
    self.since = since
    self.complexity = complexity
    self.summary = summary
    self.subcommands = subcommands
    self.handler = handler
  }

  public struct Flags: OptionSet, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public static let write = Flags(rawValue: 1 << 0)
    public static let readonly = Flags(rawValue: 1 << 1)
    /// May grow memory: refused when full and nothing may be evicted.
    public static let denyOOM = Flags(rawValue: 1 << 2)
    public static let admin = Flags(rawValue: 1 << 3)
    public static let pubsub = Flags(rawValue: 1 << 4)
    public static let noscript = Flags(rawValue: 1 << 5)
    public static let blocking = Flags(rawValue: 1 << 6)
    public static let loading = Flags(rawValue: 1 << 7)
    public static let stale = Flags(rawValue: 1 << 8)
    public static let fast = Flags(rawValue: 1 << 9)
    public static let noAuth = Flags(rawValue: 1 << 10)
    /// Not allowed inside MULTI.
    public static let noMulti = Flags(rawValue: 1 << 11)
    public static let skipMonitor = Flags(rawValue: 1 << 12)
    public static let skipSlowlog = Flags(rawValue: 1 << 13)
    /// Keys cannot be found by positions alone (`KeyPositions.computed`).
    public static let movableKeys = Flags(rawValue: 1 << 14)
    public static let allowBusy = Flags(rawValue: 1 << 15)
  }

  public enum KeyPositions: Sendable {
    case none
    /// First and last argument that are keys (negative counts from the end) and the step between them.
    case range(first: Int, last: Int, step: Int)
    /// Key positions that depend on the arguments; gets the arguments as strings of bytes, answers positions.
    case computed(@Sendable ([[UInt8]]) -> [Int])
  }

  /// How the command runs in a cluster.
  public enum Spread: Sendable, Equatable {
    /// Where the slot of its keys is; they have to share one. Without keys: on the node that was asked.
    case oneSlot
    /// On the node that was asked, whatever its keys: they name nothing that lies anywhere.
    case here
    /// Anywhere: it needs neither keys nor its client's connection, and can be part of a transaction that runs
    /// elsewhere.
    case anywhere
    /// Divided among the owners of its keys; the reply is the array of their replies' elements, one for each key.
    case values
    /// Divided; the reply is the sum of theirs.
    case sum
    /// Divided; OK when all of them say so.
    case all
    /// On every live member; their replies are merged.
    case everywhere(Merge)

    var isScattered: Bool {
      switch self {
      case .values, .sum, .all: true
      case .oneSlot, .here, .anywhere, .everywhere: false
      }
    }
  }

  /// How the replies of all members make one.
  public enum Merge: Sendable, Equatable {
    case sum
    /// The different elements of their arrays.
    case union
    /// OK when all of them say so.
    case all
    /// One of those that are not null, members with more slots more often.
    case any
    /// Arrays of names and numbers in turn: the numbers' sums.
    case counts
    /// Slow log entries, the newest first.
    case newest
    /// A step of SCAN.
    case walk
    /// The least of integers; a member that does not answer counts as 0.
    case least
  }

  public enum Group: String, Sendable {
    case string, bitmap, generic, connection, server, transactions, pubsub, cluster
    /// As RedisBloom's documentation names the group.
    case cuckoo = "cf"
    case filling
  }
}
