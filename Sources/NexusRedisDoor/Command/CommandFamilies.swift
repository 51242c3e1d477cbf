extension CommandTable {
  /// Each family stands in a file of its own and adds its array here.
  static let families: [[Command]] = [
    stringCommands, bitCommands, filterCommands, fillingCommands, keyCommands, serverCommands,
    connectionCommands, clientCommands, transactionCommands, publishCommands,
  ]
}
