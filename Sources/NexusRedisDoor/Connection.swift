extension CommandTable {
  static let connectionCommands: [Command] = [
    Command(
      "ping", arity: -1, [.fast], group: .connection, since: "1.0.0", complexity: "O(1)", summary: "Ping the server"
    ) { call in
      if call.count > 2 { return call.replyWrongArity() }
      if call.count == 2 { call.reply(bulk: call[1]) } else { call.reply(simple: "PONG") }
    }
  ]
  static let clientCommands: [Command] = []
  static let transactionCommands: [Command] = []
  static let publishCommands: [Command] = []
}
