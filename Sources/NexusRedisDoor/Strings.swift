extension CommandTable {
  static let stringCommands: [Command] = []
}
