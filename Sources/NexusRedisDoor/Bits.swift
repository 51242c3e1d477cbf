extension CommandTable {
  static let bitCommands: [Command] = []
}
