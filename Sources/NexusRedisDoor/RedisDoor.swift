import NexusModel
import NexusService
import NexusStore

/// What the Redis doors of all loops share. Created once per node, before its loops run.
public final class RedisDoor: @unchecked Sendable {
  public let node: Node
  public let commands: CommandTable
  /// What the dispatcher counts and INFO, SLOWLOG and LATENCY report.
  public let diagnostics: Diagnostics

  public init(node: Node, commands: CommandTable = CommandTable()) {
    self.node = node
    self.commands = commands
    diagnostics = Diagnostics(node: node, commandCount: commands.count)
  }
}
