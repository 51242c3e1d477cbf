extension CommandTable {
  private static let flags: Command.Flags = [.admin, .noscript, .loading, .stale]

  /// Access control as far as it exists: users are `default` and the namespaces; each may do everything, with or
  /// without the one password.
  static let aclCommand = Command(
    "acl", arity: -2, [], group: .server, since: "6.0.0", complexity: "Depends on the subcommand",
    summary: "Shows the users, and the categories of commands.",
    subcommands: [
      Command(
        "acl|cat", arity: -2, [.noscript, .loading, .stale], group: .server, since: "6.0.0",
        complexity: "O(N) with N the number of commands", summary: "Lists categories, or the commands of one."
      ) { $0.replyCategories() },
      Command(
        "acl|getuser", arity: 3, flags, group: .server, since: "6.0.0", complexity: "O(1)", summary: "Shows a user."
      ) { $0.replyUser() },
      Command(
        "acl|list", arity: 2, flags, group: .server, since: "6.0.0", complexity: "O(1)",
        summary: "Shows the users as rules."
      ) { call in
        let secret = call.engine.node.settings.password.isEmpty ? "nopass" : "#(hidden)"
        call.reply(strings: call.store.userNames.map { "user \($0) on \(secret) ~* &* +@all" })
      },
      Command(
        "acl|users", arity: 2, flags, group: .server, since: "6.0.0", complexity: "O(1)", summary: "Lists the users."
      ) { $0.reply(strings: $0.store.userNames) },
      Command(
        "acl|whoami", arity: 2, [.noscript, .loading, .stale], group: .server, since: "6.0.0", complexity: "O(1)",
        summary: "The user of this connection."
      ) { $0.reply(bulk: $0.engine.user(of: $0.session)) },
      Command(
        "acl|help", arity: 2, [.loading, .stale], group: .server, since: "6.0.0", complexity: "O(1)",
        summary: "Lists the subcommands."
      ) { call in
        call.reply(
          helpFor: "ACL",
          [
            ("CAT [<category>]", "The categories of commands, or the commands of one."),
            ("GETUSER <user>", "What a user may do."), ("LIST", "The users as rules."), ("USERS", "The users' names."),
            ("WHOAMI", "The user of this connection."),
          ])
      },
    ]
  ) { $0.replyWrongArity() }
}

extension Call {
  mutating func replyCategories() {
    if count == 2 { return reply(strings: CommandTraits.categories) }
    if count > 3 { return replyUnknownSubcommand() }
    let category = text(2).lowercased()
    guard CommandTraits.categories.contains(category) else {
      return reply(error: "ERR Unknown category '", quoting: 2, limit: 128, "'")
    }
    let names = door.commands.commands.flatMap { [$0] + $0.subcommands }
      .filter { CommandTraits.categories(of: $0).contains(category) }.map(\.name)
    reply(strings: names)
  }

  mutating func replyUser() {
    guard store.userNames.contains(text(2)) else { return replyNull() }
    let hasPassword = !engine.node.settings.password.isEmpty
    reply(mapOf: 6)
    reply(bulk: "flags")
    reply(setOf: hasPassword ? 1 : 2)
    reply(bulk: "on")
    if !hasPassword { reply(bulk: "nopass") }
    reply(bulk: "passwords")
    reply(strings: hasPassword ? ["(hidden)"] : [])
    for (name, value) in [("commands", "+@all"), ("keys", "~*"), ("channels", "&*")] {
      reply(bulk: name)
      reply(bulk: value)
    }
    reply(bulk: "selectors")
    reply(arrayOf: 0)
  }
}
