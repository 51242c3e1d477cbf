import NexusModel
import NexusRESP

/// COMMAND and its subcommands, all answered from the command table.
extension CommandTable {
  static let commandCommand = Command(
    "command", arity: -1, [.loading, .stale], group: .server, since: "2.8.13",
    complexity: "O(N) with N the number of commands", summary: "Describes every command.",
    subcommands: [
      subcommand("command|count", 2, "2.8.13", "O(1)", "Counts the commands.") { call in
        call.reply(integer: call.door.commands.commands.count)
      },
      subcommand("command|docs", -2, "7.0.0", "O(N)", "Explains commands, for people.") { $0.replyCommandDocs() },
      subcommand("command|getkeys", -4, "2.8.13", "O(N)", "Finds the keys in a whole command.") {
        $0.replyCommandKeys(withFlags: false)
      },
      subcommand("command|getkeysandflags", -4, "7.0.0", "O(N)", "Finds the keys in a command, and their use.") {
        $0.replyCommandKeys(withFlags: true)
      },
      subcommand("command|help", 2, "5.0.0", "O(1)", "Lists the subcommands.") { call in
        call.reply(
          helpFor: "COMMAND",
          [
            ("(no subcommand)", "Describe every command."), ("COUNT", "How many commands there are."),
            ("DOCS [<command> ...]", "Explain these commands, or all."),
            ("GETKEYS <full-command>", "The keys in a command line."),
            ("GETKEYSANDFLAGS <full-command>", "The keys in a command line and how each is used."),
            ("INFO [<command> ...]", "Describe these commands, or all."),
            ("LIST [FILTERBY MODULE|ACLCAT|PATTERN <value>]", "The names of all commands, or of some."),
          ])
      },
      subcommand("command|info", -2, "2.8.13", "O(N)", "Describes commands, for programs.") { $0.replyCommandInfo() },
      subcommand("command|list", -2, "7.0.0", "O(N)", "Lists the names of commands.") { $0.replyCommandList() },
    ]
  ) { call in
    call.reply(arrayOf: call.door.commands.commands.count)
    for command in call.door.commands.commands { call.reply(describing: command) }
  }

  private static func subcommand(
    _ name: String, _ arity: Int, _ since: String, _ complexity: String, _ summary: String,
    _ handler: @escaping Command.Handler
  ) -> Command {
    Command(
      name, arity: arity, [.loading, .stale], group: .server, since: since, complexity: complexity, summary: summary,
      handler: handler)
  }
}

extension Call {
  // MARK: COMMAND INFO

  mutating func replyCommandInfo() {
    if count == 2 {
      reply(arrayOf: door.commands.commands.count)
      for command in door.commands.commands { reply(describing: command) }
      return
    }
    reply(arrayOf: count - 2)
    for index in 2..<count {
      if let command = door.commands.find(text(index)) { reply(describing: command) } else { replyNullArray() }
    }
  }

  /// The ten elements of COMMAND INFO.
  mutating func reply(describing command: Command) {
    reply(arrayOf: 10)
    reply(bulk: command.name)
    reply(integer: command.arity)
    reply(simpleSet: CommandTraits.flags(of: command))
    if case .range(let first, let last, let step) = command.keys {
      reply(integer: first)
      reply(integer: last)
      reply(integer: step)
    } else {
      for _ in 0..<3 { reply(integer: 0) }
    }
    reply(simpleSet: CommandTraits.categories(of: command).map { "@" + $0 })
    let tips = CommandTraits.tips(of: command)
    reply(setOf: tips.count)
    for tip in tips { reply(bulk: tip) }
    let specifications = KeySpecification.of(command)
    reply(setOf: specifications.count)
    for specification in specifications { reply(specification) }
    // As Redis has it: an empty set, or else an array.
    if command.subcommands.isEmpty { return reply(setOf: 0) }
    reply(arrayOf: command.subcommands.count)
    for subcommand in command.subcommands { reply(describing: subcommand) }
  }

  private mutating func reply(simpleSet names: [String]) {
    reply(setOf: names.count)
    for name in names { out.writeSimple(name) }
  }

  private mutating func reply(_ specification: KeySpecification) {
    reply(mapOf: specification.notes == nil ? 3 : 4)
    if let notes = specification.notes {
      reply(bulk: "notes")
      reply(bulk: notes)
    }
    reply(bulk: "flags")
    reply(simpleSet: specification.flags)
    reply(bulk: "begin_search")
    reply(mapOf: 2)
    reply(bulk: "type")
    reply(bulk: "index")
    reply(bulk: "spec")
    reply(mapOf: 1)
    reply(bulk: "index")
    reply(integer: specification.index)
    reply(bulk: "find_keys")
    reply(mapOf: 2)
    reply(bulk: "type")
    reply(bulk: "range")
    reply(bulk: "spec")
    reply(mapOf: 3)
    reply(bulk: "lastkey")
    reply(integer: specification.lastKey)
    reply(bulk: "keystep")
    reply(integer: specification.step)
    reply(bulk: "limit")
    reply(integer: 0)
  }

  // MARK: COMMAND DOCS

  mutating func replyCommandDocs() {
    let commands = count == 2 ? door.commands.commands : (2..<count).compactMap { door.commands.find(text($0)) }
    reply(mapOf: commands.count)
    for command in commands { reply(documenting: command) }
  }

  private mutating func reply(documenting command: Command) {
    reply(bulk: command.name)
    reply(mapOf: command.subcommands.isEmpty ? 4 : 5)
    for (name, text) in [
      ("summary", command.summary), ("since", command.since), ("group", command.group.rawValue),
      ("complexity", command.complexity),
    ] {
      reply(bulk: name)
      reply(bulk: text)
    }
    if !command.subcommands.isEmpty {
      reply(bulk: "subcommands")
      reply(mapOf: command.subcommands.count)
      for subcommand in command.subcommands { reply(documenting: subcommand) }
    }
  }

  // MARK: COMMAND GETKEYS

  mutating func replyCommandKeys(withFlags: Bool) {
    let arguments = (2..<count).map { Array(self[$0]) }
    guard var index = door.commands.index(of: self[2]) else { return reply(error: "ERR Invalid command specified") }
    if !door.commands.command(at: index).subcommands.isEmpty {
      guard let subcommand = door.commands.index(ofSubcommand: self[3], of: index) else {
        return reply(error: "ERR Invalid command specified")
      }
      index = subcommand
    }
    let command = door.commands.command(at: index)
    if case .none = command.keys { return reply(error: "ERR The command has no key arguments") }
    let fits = command.arity > 0 ? arguments.count == command.arity : arguments.count >= -command.arity
    guard fits else { return reply(error: "ERR Invalid number of arguments specified for command") }
    guard let keys = KeyReferences(command, arguments) else {
      return reply(error: "ERR Invalid arguments specified for command")
    }
    if keys.positions.isEmpty { return reply(error: "ERR The command has no key arguments") }
    reply(arrayOf: keys.positions.count)
    for (position, flags) in zip(keys.positions, keys.flags) {
      if withFlags { reply(arrayOf: 2) }
      reply(bulk: arguments[position])
      if withFlags { reply(simpleSet: flags) }
    }
  }

  // MARK: COMMAND LIST

  mutating func replyCommandList() {
    let commands = door.commands.commands
    if count == 2 { return reply(strings: commands.map(\.name)) }
    guard count == 5, matches(2, "filterby") else { return replySyntaxError() }
    let wanted = text(4).lowercased()
    var names: [String] = []
    func everyCommand(_ visit: (Command) -> Void) {
      for command in commands {
        visit(command)
        command.subcommands.forEach(visit)
      }
    }
    if matches(3, "module") {
      // There are no modules, so none of any name has commands.
    } else if matches(3, "aclcat") {
      guard CommandTraits.categories.contains(wanted) else { return reply(arrayOf: 0) }
      everyCommand { if CommandTraits.categories(of: $0).contains(wanted) { names.append($0.name) } }
    } else if matches(3, "pattern") {
      let pattern = Array(self[4])
      everyCommand {
        if GlobPattern.matches(pattern, Array($0.name.utf8), ignoringCase: true) { names.append($0.name) }
      }
    } else {
      return replySyntaxError()
    }
    reply(strings: names)
  }
}
