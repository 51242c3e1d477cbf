import NexusService

/// What `--help` prints. The settings come from their table.
enum Help {
  static let program = """
    \(Product.name) \(Product.version): an in-memory cache that Redis clients and HTTP talk to.

    Usage: nexuscache COMMAND [--name value ...]

    Commands:
      demo           try a cluster on this machine   nexuscache demo --nodes 3
      serve          start a node                    nexuscache serve --max-memory 2gb
      ctl            ask and steer a cluster         nexuscache ctl members
      config check   check the settings and say where each comes from
      config show    print the settings as a file for --config
      bench          measure a running server        nexuscache bench --help
      version        print the version

    'nexuscache serve --help' explains every setting.

    """

  static let config = """
    Usage: nexuscache config check [--config FILE] [--name value ...]
           nexuscache config show  [--config FILE] [--name value ...]

    check prints every setting with its value and where that comes from, and exits 1 with one line if the
    settings cannot be used. show prints them in the form of a file for --config.

    """

  static var serve: String {
    var text = """
      Usage: nexuscache serve [--config FILE] [--name value ...]

      Starts a node and runs until SIGTERM or SIGINT (Ctrl-C).

      Every setting below can be given in three places; the first one that has it wins:
        1. a flag           --max-memory 2gb   or   --max-memory=2gb
        2. the environment  NEXUSCACHE_MAX_MEMORY=2gb
        3. a file           max-memory = 2gb         (--config FILE, or NEXUSCACHE_CONFIG=FILE)

      Sizes are written 64kb, 512mb, 2gb (powers of 1024) and durations 250us, 10ms, 30s, 5m, 1h, 1d.
      Settings with * can be changed while the node runs: redis-cli config set max-memory 1gb

      """
    for group in SettingGroup.allCases {
      text += "\n\(group.rawValue):\n"
      for setting in Setting.all where setting.group == group { text += describe(setting) }
    }
    return text
  }

  private static func describe(_ setting: Setting) -> String {
    let head = "  --\(setting.name) \(placeholder(setting.kind))" + (setting.isMutable ? " *" : "")
    var help = setting.help
    if case .choice(let choices) = setting.kind { help += " One of: \(choices.joined(separator: ", "))." }
    if !setting.defaultText.isEmpty { help += " [\(setting.defaultText)]" }
    var lines = wrapped(help, width: 76)
    if head.count <= 28 {
      lines[0] = head + String(repeating: " ", count: 30 - head.count) + lines[0]
    } else {
      lines.insert(head, at: 0)
    }
    return lines.enumerated().map { index, line in
      (index == 0 ? line : String(repeating: " ", count: 30) + line) + "\n"
    }.joined()
  }

  private static func placeholder(_ kind: SettingKind) -> String {
    switch kind {
    case .bytes, .memory: "SIZE"
    case .duration: "TIME"
    case .integer: "N"
    case .percent: "PERCENT"
    case .bool: "yes|no"
    case .choice: "WORD"
    case .text: "TEXT"
    case .list: "LIST"
    case .namespaces: "NAME[:OPTION=VALUE;...]"
    }
  }

  static func wrapped(_ text: String, width: Int) -> [String] {
    var lines = [""]
    for word in text.split(separator: " ") {
      if !lines[lines.count - 1].isEmpty && lines[lines.count - 1].count + 1 + word.count > width { lines.append("") }
      lines[lines.count - 1] += (lines[lines.count - 1].isEmpty ? "" : " ") + word
    }
    return lines
  }
}
