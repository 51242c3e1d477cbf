/// The reply of a container's HELP: lines that redis-cli shows as they are.
extension Call {
  /// `lines` are what follows the container's name and what it does; HELP itself is added.
  mutating func reply(helpFor container: String, _ lines: [(usage: String, does: String)]) {
    let all = lines + [("HELP", "Show this text.")]
    reply(arrayOf: all.count * 2 + 1)
    out.writeSimple("\(container) <subcommand> [<argument> ...]. The subcommands:")
    for line in all {
      out.writeSimple(line.usage)
      out.writeSimple("    " + line.does)
    }
  }
}
