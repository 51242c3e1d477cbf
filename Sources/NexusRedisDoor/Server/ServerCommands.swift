extension CommandTable {
  static let serverCommands: [Command] = []
}
