import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// The Redis door of one event loop: parses what arrives, finds the command, runs it, writes the reply.
public final class Engine {
  public let door: RedisDoor
  public let store: Store
  public unowned let loop: any EventLoop
  public let worker: Worker
  /// True while EXEC runs: the stripes of its keys are held.
  var isExecuting = false

  public init(door: RedisDoor, loop: any EventLoop) {
    self.door = door
    self.store = door.node.store
    self.loop = loop
    self.worker = Node.worker(ofLoop: loop.index)
  }

  public var node: Node { door.node }

  func noteError(_ text: String) {
    node.statistics[loop.index].errorReplies &+= 1
    door.diagnostics.noteError(text, loop: loop.index)
  }
}
