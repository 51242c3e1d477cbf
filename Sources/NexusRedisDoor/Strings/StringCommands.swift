extension CommandTable {
  /// GET, SET and everything else on whole values and parts of them.
  static let stringCommands: [Command] = readingCommands + settingCommands + editingCommands

  private static let readingCommands: [Command] = [
    Command(
      "get", arity: 2, [.readonly, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Answers a key's value", handler: Strings.get),
    Command(
      "mget", arity: -2, [.readonly, .fast], keys: .all, spread: .values, group: .string, since: "1.0.0",
      complexity: "O(N) for N keys", summary: "Answers the values of several keys", handler: Strings.mget),
    Command(
      "strlen", arity: 2, [.readonly, .fast], keys: .first, group: .string, since: "2.2.0", complexity: "O(1)",
      summary: "Answers how many bytes a value has", handler: Strings.strlen),
    Command(
      "getrange", arity: 4, [.readonly], keys: .first, group: .string, since: "2.4.0",
      complexity: "O(N) for N bytes answered", summary: "Answers a part of a value", handler: Strings.getrange),
    Command(
      "substr", arity: 4, [.readonly], keys: .first, group: .string, since: "1.0.0",
      complexity: "O(N) for N bytes answered", summary: "Answers a part of a value: GETRANGE's old name",
      handler: Strings.getrange),
    Command(
      "lcs", arity: -3, [.readonly], keys: .range(first: 1, last: 2, step: 1), group: .string, since: "7.0.0",
      complexity: "O(N*M) for values of N and M bytes", summary: "Finds the longest subsequence two values share",
      handler: Strings.lcs),
  ]

  private static let settingCommands: [Command] = [
    Command(
      "set", arity: -3, [.write, .denyOOM], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Sets a key's value, with conditions and a time to live", handler: Strings.set),
    Command(
      "setnx", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Sets the value of a key that does not exist yet", handler: Strings.setnx),
    Command(
      "setex", arity: 4, [.write, .denyOOM], keys: .first, group: .string, since: "2.0.0", complexity: "O(1)",
      summary: "Sets a key's value and its time to live in seconds", handler: Strings.setex),
    Command(
      "psetex", arity: 4, [.write, .denyOOM], keys: .first, group: .string, since: "2.6.0", complexity: "O(1)",
      summary: "Sets a key's value and its time to live in milliseconds", handler: Strings.psetex),
    Command(
      "getset", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Sets a key's value and answers the former one", handler: Strings.getset),
    Command(
      "getdel", arity: 2, [.write, .fast], keys: .first, group: .string, since: "6.2.0", complexity: "O(1)",
      summary: "Answers a key's value and deletes the key", handler: Strings.getdel),
    Command(
      "getex", arity: -2, [.write, .fast], keys: .first, group: .string, since: "6.2.0", complexity: "O(1)",
      summary: "Answers a key's value and changes its time to live", handler: Strings.getex),
    Command(
      "mset", arity: -3, [.write, .denyOOM], keys: .range(first: 1, last: -1, step: 2), spread: .all, group: .string,
      since: "1.0.1", complexity: "O(N) for N keys", summary: "Sets several keys at once", handler: Strings.mset),
    Command(
      "msetnx", arity: -3, [.write, .denyOOM], keys: .range(first: 1, last: -1, step: 2), group: .string,
      since: "1.0.1", complexity: "O(N) for N keys", summary: "Sets several keys at once, if none of them exists",
      handler: Strings.msetnx),
  ]

  private static let editingCommands: [Command] = [
    Command(
      "append", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "2.0.0",
      complexity: "O(N) for a value of N bytes that has to move, otherwise for N bytes appended",
      summary: "Adds bytes to the end of a value", handler: Strings.append),
    Command(
      "setrange", arity: 4, [.write, .denyOOM], keys: .first, group: .string, since: "2.2.0",
      complexity: "O(N) for a value of N bytes that has to move, otherwise for N bytes written",
      summary: "Overwrites a part of a value", handler: Strings.setrange),
    Command(
      "incr", arity: 2, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Adds 1 to an integer", handler: Strings.incr),
    Command(
      "incrby", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Adds to an integer", handler: Strings.incrby),
    Command(
      "decr", arity: 2, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Subtracts 1 from an integer", handler: Strings.decr),
    Command(
      "decrby", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "1.0.0", complexity: "O(1)",
      summary: "Subtracts from an integer", handler: Strings.decrby),
    Command(
      "incrbyfloat", arity: 3, [.write, .denyOOM, .fast], keys: .first, group: .string, since: "2.6.0",
      complexity: "O(1)", summary: "Adds to a number that may have a fraction", handler: Strings.incrbyfloat),
  ]
}

extension Command.KeyPositions {
  /// The first argument.
  static let first = Self.range(first: 1, last: 1, step: 1)
  /// Every argument.
  static let all = Self.range(first: 1, last: -1, step: 1)
}
