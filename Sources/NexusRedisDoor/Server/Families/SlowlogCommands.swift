extension CommandTable {
  private static let flags: Command.Flags = [.admin, .loading, .stale]

  static let slowlogCommand = Command(
    "slowlog", arity: -2, [], group: .server, since: "2.2.12", complexity: "Depends on the subcommand",
    summary: "The commands that took longest.",
    subcommands: [
      Command(
        "slowlog|get", arity: -2, flags, spread: .everywhere(.newest), group: .server, since: "2.2.12",
        complexity: "O(N) with N the entries asked for",
        summary: "Shows the newest entries of the slow log."
      ) { $0.replySlowlogEntries() },
      Command(
        "slowlog|len", arity: 2, flags, spread: .everywhere(.sum), group: .server, since: "2.2.12", complexity: "O(1)",
        summary: "Counts the entries of the slow log."
      ) { $0.reply(integer: $0.door.diagnostics.slowlog.count) },
      Command(
        "slowlog|reset", arity: 2, flags, spread: .everywhere(.all), group: .server, since: "2.2.12",
        complexity: "O(N) with N the entries",
        summary: "Empties the slow log."
      ) { call in
        call.door.diagnostics.slowlog.reset()
        call.replyOK()
      },
      Command(
        "slowlog|help", arity: 2, [.loading, .stale], group: .server, since: "6.2.0", complexity: "O(1)",
        summary: "Lists the subcommands."
      ) { call in
        call.reply(
          helpFor: "SLOWLOG",
          [
            (
              "GET [<count>]", "The newest entries (10; -1 for all): id, time, microseconds, command, client, its name."
            ),
            ("LEN", "How many entries there are."), ("RESET", "Forget all entries."),
          ])
      },
    ]
  ) { $0.replyWrongArity() }
}

extension Call {
  mutating func replySlowlogEntries() {
    if count > 3 { return replyUnknownSubcommand() }
    var wanted = 10
    if count == 3 {
      guard let number = integer(2), number >= -1 else {
        return reply(error: "ERR count should be greater than or equal to -1")
      }
      wanted = number < 0 ? Int.max : number
    }
    let entries = door.diagnostics.slowlog.newest(wanted)
    reply(arrayOf: entries.count)
    for entry in entries {
      reply(arrayOf: 6)
      reply(integer: entry.id)
      reply(integer: entry.unixSeconds)
      reply(integer: entry.microseconds)
      reply(arrayOf: entry.arguments.count)
      for argument in entry.arguments { reply(bulk: argument) }
      reply(bulk: entry.client)
      reply(bulk: entry.clientName)
    }
  }

  /// A subcommand that exists, called as it cannot be.
  mutating func replyUnknownSubcommand() {
    let container = commandName.prefix { $0 != "|" }.uppercased()
    reply(
      error: "ERR unknown subcommand or wrong number of arguments for '", quoting: 1, limit: 128,
      "'. Try \(container) HELP.")
  }
}
