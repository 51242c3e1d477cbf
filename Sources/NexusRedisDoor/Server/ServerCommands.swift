extension CommandTable {
  /// Introspection and administration; each family stands in a file of its own.
  static let serverCommands: [Command] =
    [
      commandCommand, infoCommand, configCommand, slowlogCommand, latencyCommand, memoryCommand, aclCommand,
      debugCommand, shutdownCommand, timeCommand, lolwutCommand, hotKeysCommand,
    ] + replicationCommands + clusterCommands + persistenceCommands
}
