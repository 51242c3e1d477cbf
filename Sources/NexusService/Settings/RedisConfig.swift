import NexusStore

/// CONFIG GET and CONFIG SET: our settings under Redis's names and under their own, facts about this server, and
/// settings of Redis that mean nothing here.
extension Settings {
  /// Every name that CONFIG GET knows, sorted.
  public static let redisNames: [String] = Set(
    Setting.all.map(\.name) + Setting.all.compactMap { $0.redis?.name } + RedisOnlySetting.all.map(\.name)
  ).sorted()

  /// The value as CONFIG GET answers it; nil for a name it does not know. As in Redis `requirepass` is told to those
  /// who know it already; other secrets are not.
  public func redisValue(_ name: String) -> String? {
    if let (setting, form) = Self.redisAliases[name] { return redisText(setting, form) }
    if let setting = Setting.named(name) { return shownText(setting.id) }
    if let setting = RedisOnlySetting.named[name] { return ignoredValue(name) ?? setting.value }
    return nil
  }

  /// CONFIG SET: all of the pairs, or none. Names are given in lower case. `worker`: see `change`.
  public func redisSet(
    _ pairs: [(name: String, value: String)], as worker: Worker = Settings.visitor()
  ) throws(RedisConfigError) {
    var changes: [(id: SettingID, text: String)] = []
    var ignored: [(String, String)] = []
    var seen: Set<String> = []
    for (name, value) in pairs {
      guard seen.insert(name).inserted else { throw .failed(name, "duplicate parameter") }
      if let (setting, form) = Self.redisAliases[name] {
        guard setting.isMutable else { throw .failed(name, "can't set immutable config") }
        let ours = try Self.ours(name, value, setting, form)
        do { _ = try setting.parse(ours, machineMemoryBytes: machineMemoryBytes) } catch {
          throw .failed(name, Self.redisReason(error, form))
        }
        changes.append((setting.id, ours))
      } else if let setting = Setting.named(name) {
        guard setting.isMutable else { throw .failed(name, "can't set immutable config") }
        do { _ = try setting.parse(value, machineMemoryBytes: machineMemoryBytes) } catch {
          throw .failed(name, error.description)
        }
        changes.append((setting.id, value))
      } else if let setting = RedisOnlySetting.named[name] {
        if let why = setting.refusal(of: value) { throw .failed(name, why) }
        ignored.append((name, value))
      } else {
        throw .unknown(name)
      }
    }
    do { try change(changes, as: worker) } catch {
      // Under the name that was given.
      let given = pairs.first { $0.name == error.name || Self.redisAliases[$0.name]?.0.name == error.name }
      throw .failed(given?.name ?? error.name, error.description)
    }
    for (name, value) in ignored { ignore(name, value) }
  }

  private static let redisAliases: [String: (Setting, RedisAlias.Form)] = Dictionary(
    uniqueKeysWithValues: Setting.all.compactMap { setting in setting.redis.map { ($0.name, (setting, $0.form)) } })

  private func redisText(_ setting: Setting, _ form: RedisAlias.Form) -> String {
    let number = number(setting.id)
    switch form {
    case .bytes, .integer, .microseconds: return String(number)
    case .milliseconds: return String(number / 1000)
    case .seconds: return String(number / 1_000_000)
    case .yesNo: return number == 0 ? "no" : "yes"
    case .text: return text(setting.id)
    case .words(let words):
      let ours = text(setting.id)
      return words.first { $0.ours == ours }?.redis ?? ours
    case .outputBufferLimit: return "normal \(number) 0 0 slave 0 0 0 pubsub \(number) 0 0"
    }
  }

  /// The value as our own setting takes it.
  private static func ours(
    _ name: String, _ value: String, _ setting: Setting, _ form: RedisAlias.Form
  ) throws(RedisConfigError) -> String {
    switch form {
    case .bytes, .yesNo, .text: return value
    case .integer, .seconds, .milliseconds, .microseconds:
      guard let number = Int(value) else { throw .failed(name, "argument couldn't be parsed into an integer") }
      if number == -1, setting.words["off"] == -1 { return "off" }
      guard number >= 0 else { throw .failed(name, "argument must be between 0 and \(Int.max) inclusive") }
      return switch form {
      case .seconds: "\(value)s"
      case .milliseconds: "\(value)ms"
      case .microseconds: "\(value)us"
      default: value
      }
    case .words(let words): return words.first { $0.redis == value.lowercased() }?.ours ?? value
    case .outputBufferLimit: return try hardLimit(name, value)
    }
  }

  /// From `normal HARD SOFT SECONDS ...` the hard limit for normal clients, or else for subscribers.
  private static func hardLimit(_ name: String, _ value: String) throws(RedisConfigError) -> String {
    let parts = value.split(separator: " ").map { String($0).lowercased() }
    guard !parts.isEmpty, parts.count % 4 == 0 else {
      throw .failed(name, "Wrong number of arguments in buffer limit configuration.")
    }
    var limits: [String: String] = [:]
    for start in stride(from: 0, to: parts.count, by: 4) {
      guard ["normal", "slave", "replica", "pubsub"].contains(parts[start]) else {
        throw .failed(name, "Invalid client class specified in buffer limit configuration.")
      }
      guard SettingText.bytes(parts[start + 1]) != nil, SettingText.bytes(parts[start + 2]) != nil,
        Int(parts[start + 3]).map({ $0 >= 0 }) == true
      else { throw .failed(name, "Error in hard, soft or soft_seconds setting in buffer limit configuration.") }
      limits[parts[start]] = parts[start + 1]
    }
    guard let limit = limits["normal"] ?? limits["pubsub"] else {
      throw .failed(name, "this server has no replicas to limit; give the class normal")
    }
    return limit
  }

  private static func redisReason(_ error: SettingError, _ form: RedisAlias.Form) -> String {
    switch (error.reason, form) {
    case (.outOfRange(let range), .bytes), (.outOfRange(let range), .integer):
      return "argument must be between \(range.lowerBound) and \(range.upperBound) inclusive"
    case (_, .bytes): return "argument must be a memory value"
    case (_, .integer): return "argument couldn't be parsed into an integer"
    case (_, .yesNo): return "argument must be 'yes' or 'no'"
    case (_, .words(let words)):
      let setting = Setting.named(error.name)!
      guard case .choice(let choices) = setting.kind else { return error.description }
      let names = words.map(\.redis) + choices.filter { choice in !words.contains { $0.redis == choice } }
      return "argument(s) must be one of the following: " + names.joined(separator: ", ")
    default: return error.description
    }
  }
}

/// Why CONFIG SET was refused. `reply` is the error as Redis words it.
public enum RedisConfigError: Error, Sendable {
  case unknown(String)
  case failed(String, String)

  public var reply: String {
    switch self {
    case .unknown(let name): "ERR Unknown option or number of arguments for CONFIG SET - '\(name)'"
    case .failed(let name, let why): "ERR CONFIG SET failed (possibly related to argument '\(name)') - \(why)"
    }
  }
}
