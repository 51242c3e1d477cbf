/// Commands about files on disk, which this server does not write: said clearly instead of pretended.
extension CommandTable {
  static let persistenceCommands: [Command] = [
    refused("save", 1, [.admin, .noscript, .noMulti], "Writes a snapshot, which this server does not have."),
    refused(
      "bgsave", -1, [.admin, .noscript], "Writes a snapshot in the background, which this server does not have."),
    refused("bgrewriteaof", 1, [.admin, .noscript], "Rewrites the append-only file, which this server does not have."),
    Command(
      "lastsave", arity: 1, [.loading, .stale, .fast], group: .server, since: "1.0.0", complexity: "O(1)",
      summary: "When the data was last on disk: the start, as nothing is written since."
    ) { $0.reply(integer: Int($0.engine.node.startedAt / 1000)) },
  ]

  private static func refused(_ name: String, _ arity: Int, _ flags: Command.Flags, _ summary: String) -> Command {
    Command(name, arity: arity, flags, group: .server, since: "1.0.0", complexity: "O(1)", summary: summary) {
      $0.reply(error: "ERR this server keeps everything in memory: there is nothing on disk to save to")
    }
  }
}
