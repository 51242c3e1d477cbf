extension CommandTable {
  /// Commands on keys of any type, on their lifetimes, and on whole databases.
  static let keyCommands: [Command] =
    presenceCommands + lifetimeCommands + movingCommands + walkingCommands + [objectCommand]

  private static let presenceCommands: [Command] = [
    Command(
      "del", arity: -2, [.write], keys: .all, spread: .sum, group: .generic, since: "1.0.0",
      complexity: "O(N) for N keys",
      summary: "Deletes keys", handler: Keys.del),
    Command(
      "unlink", arity: -2, [.write, .fast], keys: .all, spread: .sum, group: .generic, since: "4.0.0",
      complexity: "O(N) for N keys",
      summary: "Deletes keys, as DEL does", handler: Keys.del),
    Command(
      "exists", arity: -2, [.readonly, .fast], keys: .all, spread: .sum, group: .generic, since: "1.0.0",
      complexity: "O(N) for N keys", summary: "Counts which of the keys exist", handler: Keys.exists),
    Command(
      "touch", arity: -2, [.readonly, .fast], keys: .all, spread: .sum, group: .generic, since: "3.2.1",
      complexity: "O(N) for N keys", summary: "Marks keys as used and counts which exist", handler: Keys.touch),
    Command(
      "type", arity: 2, [.readonly, .fast], keys: .first, group: .generic, since: "1.0.0", complexity: "O(1)",
      summary: "Answers what kind of value a key holds", handler: Keys.type),
  ]

  private static let lifetimeCommands: [Command] = [
    Command(
      "ttl", arity: 2, [.readonly, .fast], keys: .first, group: .generic, since: "1.0.0", complexity: "O(1)",
      summary: "Answers how many seconds a key has left", handler: Keys.ttl),
    Command(
      "pttl", arity: 2, [.readonly, .fast], keys: .first, group: .generic, since: "2.6.0", complexity: "O(1)",
      summary: "Answers how many milliseconds a key has left", handler: Keys.pttl),
    Command(
      "expiretime", arity: 2, [.readonly, .fast], keys: .first, group: .generic, since: "7.0.0", complexity: "O(1)",
      summary: "Answers when a key expires, in Unix seconds", handler: Keys.expiretime),
    Command(
      "pexpiretime", arity: 2, [.readonly, .fast], keys: .first, group: .generic, since: "7.0.0", complexity: "O(1)",
      summary: "Answers when a key expires, in Unix milliseconds", handler: Keys.pexpiretime),
    Command(
      "expire", arity: -3, [.write, .fast], keys: .first, group: .generic, since: "1.0.0", complexity: "O(1)",
      summary: "Lets a key expire after so many seconds", handler: Keys.expire),
    Command(
      "pexpire", arity: -3, [.write, .fast], keys: .first, group: .generic, since: "2.6.0", complexity: "O(1)",
      summary: "Lets a key expire after so many milliseconds", handler: Keys.pexpire),
    Command(
      "expireat", arity: -3, [.write, .fast], keys: .first, group: .generic, since: "1.2.0", complexity: "O(1)",
      summary: "Lets a key expire at a moment in Unix seconds", handler: Keys.expireat),
    Command(
      "pexpireat", arity: -3, [.write, .fast], keys: .first, group: .generic, since: "2.6.0", complexity: "O(1)",
      summary: "Lets a key expire at a moment in Unix milliseconds", handler: Keys.pexpireat),
    Command(
      "persist", arity: 2, [.write, .fast], keys: .first, group: .generic, since: "2.2.0", complexity: "O(1)",
      summary: "Lets a key live on without expiry", handler: Keys.persist),
  ]

  private static let movingCommands: [Command] = [
    Command(
      "rename", arity: 3, [.write], keys: .firstTwo, group: .generic, since: "1.0.0",
      complexity: "O(N) for a value of N bytes", summary: "Gives a key another name, over whatever has it",
      handler: Keys.rename),
    Command(
      "renamenx", arity: 3, [.write, .fast], keys: .firstTwo, group: .generic, since: "1.0.0",
      complexity: "O(N) for a value of N bytes", summary: "Gives a key another name that no key has yet",
      handler: Keys.renamenx),
    Command(
      "copy", arity: -3, [.write, .denyOOM], keys: .firstTwo, group: .generic, since: "6.2.0",
      complexity: "O(N) for a value of N bytes", summary: "Copies a value and its expiry to another key",
      handler: Keys.copy),
    Command(
      "move", arity: 3, [.write, .fast], keys: .first, group: .generic, since: "1.0.0",
      complexity: "O(N) for a value of N bytes", summary: "Moves a key to another database", handler: Keys.move),
  ]

  private static let walkingCommands: [Command] = [
    Command(
      "scan", arity: -2, [.readonly], spread: .everywhere(.walk), group: .generic, since: "2.8.0",
      complexity: "O(1) a call, O(N) for all N keys", summary: "Walks over the keys in steps", handler: Keys.scan),
    Command(
      "keys", arity: 2, [.readonly], spread: .everywhere(.union), group: .generic, since: "1.0.0",
      complexity: "O(N) for N keys in the database",
      summary: "Answers all keys that match a pattern", handler: Keys.keys),
    Command(
      "randomkey", arity: 1, [.readonly], spread: .everywhere(.any), group: .generic, since: "1.0.0",
      complexity: "O(1)",
      summary: "Answers any key", handler: Keys.randomkey),
    Command(
      "dbsize", arity: 1, [.readonly, .fast], spread: .everywhere(.sum), group: .server, since: "1.0.0",
      complexity: "O(1)",
      summary: "Counts the keys of the database", handler: Keys.dbsize),
    Command(
      "flushdb", arity: -1, [.write], spread: .everywhere(.all), group: .server, since: "1.0.0",
      complexity: "O(1), memory returns later",
      summary: "Empties the database", handler: Keys.flushdb),
    Command(
      "flushall", arity: -1, [.write], spread: .everywhere(.all), group: .server, since: "1.0.0",
      complexity: "O(1), memory returns later",
      summary: "Empties all databases and namespaces", handler: Keys.flushall),
  ]

  private static let objectCommand = Command(
    "object", arity: -2, [], group: .generic, since: "2.2.3", complexity: "Depends on the subcommand",
    summary: "Looks at how a value is held",
    subcommands: [
      Command(
        "object|encoding", arity: 3, [.readonly], keys: .second, group: .generic, since: "2.2.3", complexity: "O(1)",
        summary: "Answers how Redis would hold a value", handler: Keys.encoding),
      Command(
        "object|freq", arity: 3, [.readonly], keys: .second, group: .generic, since: "4.0.0", complexity: "O(1)",
        summary: "Answers how often a key was used lately", handler: Keys.freq),
      Command(
        "object|idletime", arity: 3, [.readonly], keys: .second, group: .generic, since: "2.2.3", complexity: "O(1)",
        summary: "Says that idle time is not tracked", handler: Keys.idletime),
      Command(
        "object|refcount", arity: 3, [.readonly], keys: .second, group: .generic, since: "2.2.3", complexity: "O(1)",
        summary: "Answers how many share a value", handler: Keys.refcount),
      Command(
        "object|help", arity: 2, [.loading, .stale], group: .generic, since: "6.2.0", complexity: "O(1)",
        summary: "Explains the subcommands", handler: Keys.objectHelp),
    ]
  ) { $0.replyWrongArity() }
}

extension Command.KeyPositions {
  /// The argument after a subcommand.
  static let second = Self.range(first: 2, last: 2, step: 1)
  static let firstTwo = Self.range(first: 1, last: 2, step: 1)
}
