extension CommandTable {
  static let keyCommands: [Command] = []
}
