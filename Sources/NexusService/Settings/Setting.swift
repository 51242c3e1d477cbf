/// One setting, declared once: flags, environment, file, CONFIG, help and documentation all read this.
public struct Setting: Sendable {
  public let id: SettingID
  /// As in the file; `--NAME` as a flag, `NEXUSCACHE_NAME` in the environment.
  public let name: String
  public let group: SettingGroup
  public let kind: SettingKind
  public let defaultText: String
  /// One line for `--help`.
  public let help: String
  /// May be changed while the node runs (CONFIG SET).
  public let isMutable: Bool
  /// Never shown in reports.
  public let isSecret: Bool
  /// Words accepted in place of a number, with the number they stand for.
  public let words: [String: Int]
  public let redis: RedisAlias?

  init(
    _ id: SettingID, _ name: String, _ group: SettingGroup, _ kind: SettingKind, _ defaultText: String, _ help: String,
    mutable: Bool = false, secret: Bool = false, words: [String: Int] = [:], redis: RedisAlias? = nil
  ) {
    self.id = id
    self.name = name
    self.group = group
    self.kind = kind
    self.defaultText = defaultText
    self.help = help
    self.isMutable = mutable
    self.isSecret = secret
    self.words = words
    self.redis = redis
  }

  /// `NEXUSCACHE_MAX_MEMORY` for `max-memory`.
  public var environmentName: String {
    "NEXUSCACHE_" + String(name.uppercased().map { $0 == "-" ? "_" : $0 })
  }

  public static func named(_ name: String) -> Setting? { byName[name] }

  /// May stand in a file and among flags more than once.
  public var isRepeatable: Bool {
    if case .namespaces = kind { true } else { false }
  }

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })
}

public enum SettingGroup: String, CaseIterable, Sendable {
  case doors = "Doors"
  case memory = "Memory and eviction"
  case namespaces = "Namespaces"
  case filling = "Filling from origins"
  case limits = "Limits"
  case security = "Security"
  case cluster = "Cluster"
  case replication = "Replication"
  case process = "Process"
  case diagnostics = "Logs and diagnostics"
}

/// What values a setting takes. Numbers are held as one `Int`: bytes, microseconds, a count, percent, 0 or 1, or
/// the index of the choice.
public enum SettingKind: Sendable {
  case bytes(ClosedRange<Int>)
  /// A size, or a share of the machine's memory (`75%`).
  case memory(ClosedRange<Int>)
  /// In microseconds.
  case duration(ClosedRange<Int>)
  case integer(ClosedRange<Int>)
  case percent(ClosedRange<Int>)
  case bool
  case choice([String])
  case text
  /// Addresses and the like, separated by commas or spaces.
  case list
  /// Declarations of namespaces, separated by spaces. May be given several times: each adds to those before.
  case namespaces
}

/// The name under which Redis tools know a setting, and how Redis writes its value.
public struct RedisAlias: Sendable {
  public enum Form: Sendable {
    /// Sizes as plain bytes.
    case bytes
    case seconds, milliseconds, microseconds
    case integer
    case yesNo
    case text
    /// Redis's words for ours, the one to answer with first. Ours are accepted too.
    case words([(redis: String, ours: String)])
    /// Redis has soft and hard limits for three classes of clients; we have one hard limit.
    case outputBufferLimit
  }

  public let name: String
  public let form: Form

  init(_ name: String, _ form: Form) {
    self.name = name
    self.form = form
  }
}
