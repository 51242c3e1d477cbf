import NexusModel

/// What can be set for one namespace, declared once, as data: `--namespace NAME:option=value`, its errors and its
/// documentation read this list.
public struct NamespaceOption: Sendable {
  public let name: String
  /// The setting of the node that holds, also as it changes, where the option is not given. Nil: `defaultText` holds.
  public let follows: SettingID?
  public let help: String
  let shape: ValueShape
  /// Makes a value hold.
  let apply: @Sendable (SettingValue, inout NamespaceSettings) -> Void

  public var defaultText: String { shape.defaultText }
  public var accepted: String { shape.accepted }
  /// Never shown in reports.
  public var isSecret: Bool { shape.isSecret }

  public static let all: [NamespaceOption] = [
    NamespaceOption(
      "max-memory", .bytes(1024...(1 << 46)), "off", words: ["off": 0],
      "Evict in this namespace past this much memory of its entries; max-memory of the node holds beside it."
    ) { $1.limitBytes = $0.number },
    NamespaceOption(following: .maxEntries, "Evict in this namespace past this many entries.") {
      $1.limitEntries = $0.number
    },
    NamespaceOption(following: .eviction, "What leaves first. none: writes fail instead.") {
      $1.eviction = EvictionPolicyName(rawValue: $0.text)!
    },
    NamespaceOption(following: .defaultTTL, "Entries written without a TTL get this one.") {
      $1.defaultTTLMilliseconds = Int64($0.number / 1000)
    },
    NamespaceOption(following: .ttlJitter, "Shorten default TTLs by a random share of up to this.") {
      $1.ttlJitter = Double($0.number) / 100
    },
    NamespaceOption(
      "origin", .text, "", secret: true,
      "Where misses are filled from: sqlite:, postgres:, http:, redis: or static: (docs/origins.md). Empty: nowhere."
    ) { $1.origin = $0.text },
    NamespaceOption(following: .staleWhileRevalidate, "After its time a value answers so long while it is loaded anew.")
    {
      $1.staleWhileRevalidateMilliseconds = Int64($0.number / 1000)
    },
    NamespaceOption(following: .staleIfError, "After its time a value answers so long while its origin fails.") {
      $1.staleIfErrorMilliseconds = Int64($0.number / 1000)
    },
    NamespaceOption(following: .absentTTL, "That the origin does not have a key is remembered so long.") {
      $1.absentMilliseconds = Int64($0.number / 1000)
    },
    NamespaceOption(following: .earlyRefresh, "Load values anew before their time, by chance.") {
      $1.earlyRefresh = Double($0.number) / 100
    },
    NamespaceOption(following: .acknowledgement, "Copies that have a write before it is answered.") {
      $1.acknowledgement = Acknowledgement(rawValue: $0.text)!
    },
    NamespaceOption(
      following: .reads, "What answers reads: the slot's owner, any copy, or the newest of more than half."
    ) {
      $1.reads = ReadPreference(rawValue: $0.text)!
    },
    NamespaceOption(
      "hot-cache", .bool, "yes", "Whether members keep copies of its hot keys that others own (docs/hot-keys.md)."
    ) { $1.keepsHotCopies = $0.number == 1 },
  ]

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  static func named(_ name: String) -> NamespaceOption? { byName[name] }

  /// An option with a default of its own.
  init(
    _ name: String, _ kind: SettingKind, _ defaultText: String, words: [String: Int] = [:], secret: Bool = false,
    _ help: String, apply: @escaping @Sendable (SettingValue, inout NamespaceSettings) -> Void
  ) {
    self.name = name
    self.follows = nil
    self.help = help
    self.apply = apply
    shape = ValueShape(name: name, kind: kind, words: words, defaultText: defaultText, isSecret: secret)
  }

  /// An option that takes what a setting of the node takes, under its name, and its value where it is not given.
  init(
    following id: SettingID, _ help: String,
    apply: @escaping @Sendable (SettingValue, inout NamespaceSettings) -> Void
  ) {
    let setting = Setting.all[id.rawValue]
    name = setting.name
    follows = id
    self.help = help
    self.apply = apply
    shape = setting.shape
  }
}

extension Settings {
  /// Changes `namespace` to what the declaration and, where it is silent, the node's settings say. A database has no
  /// declaration.
  public func apply(_ declaration: NamespaceDeclaration?, to namespace: inout NamespaceSettings) {
    for option in NamespaceOption.all {
      option.apply(declaration?.values[option.name] ?? standard(option), &namespace)
    }
  }

  private func standard(_ option: NamespaceOption) -> SettingValue {
    if let id = option.follows { return SettingValue(text: text(id), number: number(id)) }
    guard let value = try? option.shape.parse(option.defaultText, machineMemoryBytes: machineMemoryBytes) else {
      preconditionFailure("the default of the option \(option.name) is not a value it accepts")
    }
    return value
  }
}
