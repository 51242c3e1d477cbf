import NexusModel

/// Where a command's keys stand and what it does to them, as COMMAND INFO has it (Redis documentation, "Command key
/// specifications").
struct KeySpecification {
  var notes: String? = nil
  /// `RO`, `RW`, `OW` or `RM`, then `access`, `update`, `insert`, `delete` as far as they apply.
  var flags: [String]
  var index: Int
  /// Relative to the first key; -1 means the last argument.
  var lastKey: Int
  var step: Int

  static func of(_ command: Command) -> [KeySpecification] {
    guard case .range(let first, let last, let step) = command.keys else { return [] }
    if let pair = pairs[command.name] {
      let secondLast = command.name == "bitop" ? -1 : 0
      return [
        KeySpecification(flags: words(pair.0), index: first, lastKey: 0, step: 1),
        KeySpecification(flags: words(pair.1), index: first + 1, lastKey: secondLast, step: 1),
      ]
    }
    let access = accessByName[command.name] ?? (command.flags.contains(.write) ? "RW access update" : "RO access")
    return [
      KeySpecification(
        notes: notes[command.name], flags: words(access), index: first, lastKey: last < 0 ? last : last - first,
        step: step)
    ]
  }

  private static func words(_ text: String) -> [String] { text.split(separator: " ").map { String($0) } }

  private static let accessByName: [String: String] = {
    let rows: [(String, String)] = [
      ("RW access update variable_flags", "set bitfield"),
      ("OW insert", "setnx msetnx cf.reserve"),
      ("OW update", "setex psetex mset"),
      ("RW access delete", "getdel"),
      ("RW insert", "append"),
      ("RO", "strlen type exists touch watch object|freq object|idletime object|encoding object|refcount memory|usage"),
      ("RW update", "setrange expire pexpire expireat pexpireat persist"),
      ("RM delete", "del unlink"),
      ("not_key", "ssubscribe sunsubscribe spublish"),
    ]
    var result: [String: String] = [:]
    for (access, names) in rows {
      for name in names.split(separator: " ") { result[String(name)] = access }
    }
    return result
  }()

  /// Commands whose first key is used otherwise than the keys after it.
  private static let pairs: [String: (String, String)] = [
    "rename": ("RW access delete", "OW update"), "renamenx": ("RW access delete", "OW insert"),
    "copy": ("RO access", "OW update"), "bitop": ("OW update", "RO access"),
  ]

  private static let notes: [String: String] = [
    "set": "Reads the old value where GET is given",
    "getex": "Changes the time to live",
    "bitfield": "Reads and changes, depending on its operations",
  ]
}

/// The keys among the arguments of a request, and how the command uses each.
struct KeyReferences {
  var positions: [Int] = []
  var flags: [[String]] = []

  /// Nil if the arguments are too few for the command's keys.
  init?(_ command: Command, _ arguments: [[UInt8]]) {
    switch command.keys {
    case .none: break
    case .computed(let find):
      positions = find(arguments)
      let access = command.flags.contains(.write) ? ["RW", "access", "update"] : ["RO", "access"]
      flags = positions.map { _ in access }
    case .range:
      for specification in KeySpecification.of(command) {
        let last =
          specification.lastKey < 0
          ? arguments.count + specification.lastKey : specification.index + specification.lastKey
        guard last < arguments.count else { return nil }
        guard last >= specification.index else { continue }
        for position in stride(from: specification.index, through: last, by: specification.step) {
          positions.append(position)
          flags.append(Self.actual(specification.flags, command, arguments))
        }
      }
    }
  }

  /// What a command whose use of its key depends on its arguments does with these.
  private static func actual(_ flags: [String], _ command: Command, _ arguments: [[UInt8]]) -> [String] {
    guard flags.last == "variable_flags" else { return flags }
    let words = arguments.dropFirst(2).map { String(decoding: $0, as: UTF8.self).lowercased() }
    if command.name == "bitfield" {
      return words.contains { $0 == "set" || $0 == "incrby" } ? ["RW", "access", "update"] : ["RO", "access"]
    }
    return words.dropFirst().contains("get") ? ["RW", "access", "update"] : ["OW", "update"]
  }
}
