import NexusModel
import NexusService

extension CommandTable {
  private static let flags: Command.Flags = [.admin, .noscript, .loading, .stale]

  static let configCommand = Command(
    "config", arity: -2, [], group: .server, since: "2.0.0", complexity: "Depends on the subcommand",
    summary: "Reads and changes settings while the server runs.",
    subcommands: [
      Command(
        "config|get", arity: -3, flags, group: .server, since: "2.0.0",
        complexity: "O(N) with N the number of settings", summary: "Shows the settings that match patterns."
      ) { $0.replyConfigGet() },
      Command(
        "config|set", arity: -4, flags, group: .server, since: "2.0.0",
        complexity: "O(N) with N the number of settings given", summary: "Changes settings, all of them or none."
      ) { $0.replyConfigSet() },
      Command(
        "config|resetstat", arity: 2, flags, group: .server, since: "2.0.0", complexity: "O(1)",
        summary: "Starts the counters that INFO reports anew."
      ) { call in
        call.door.diagnostics.reset(now: call.now)
        call.replyOK()
      },
      Command(
        "config|rewrite", arity: 2, flags, group: .server, since: "2.8.0", complexity: "O(1)",
        summary: "Writes the settings to their file, which this server leaves to its operator."
      ) { call in
        call.reply(error: "ERR The server is running without a config file that it may write: change the file by hand")
      },
      Command(
        "config|help", arity: 2, [.loading, .stale], group: .server, since: "5.0.0", complexity: "O(1)",
        summary: "Lists the subcommands."
      ) { call in
        call.reply(
          helpFor: "CONFIG",
          [
            ("GET <pattern> [<pattern> ...]", "The settings whose names match, and their values."),
            ("SET <setting> <value> [<setting> <value> ...]", "Change settings, all of them or none."),
            ("RESETSTAT", "Start the counters that INFO reports anew."),
            ("REWRITE", "Refused: the configuration file is its operator's."),
          ])
      },
    ]
  ) { $0.replyWrongArity() }
}

extension Call {
  mutating func replyConfigGet() {
    let settings = engine.node.settings
    var pairs: [(String, String)] = []
    for name in Settings.redisNames {
      let bytes = Array(name.utf8)
      let wanted = (2..<count).contains { GlobPattern.matches(Array(self[$0]), bytes, ignoringCase: true) }
      if wanted, let value = settings.redisValue(name) { pairs.append((name, value)) }
    }
    reply(mapOf: pairs.count)
    for (name, value) in pairs {
      reply(bulk: name)
      reply(bulk: value)
    }
  }

  mutating func replyConfigSet() {
    guard count % 2 == 0 else { return replySyntaxError() }
    let pairs = stride(from: 2, to: count, by: 2).map { (name: text($0).lowercased(), value: text($0 + 1)) }
    do {
      try engine.node.settings.redisSet(pairs, as: engine.worker)
      replyOK()
    } catch .unknown(let name) {
      // As it was written, not as it was looked up.
      let index = stride(from: 2, to: count, by: 2).first { text($0).lowercased() == name } ?? 2
      reply(error: "ERR Unknown option or number of arguments for CONFIG SET - '", quoting: index, "'")
    } catch {
      reply(error: error.reply)
    }
  }
}
