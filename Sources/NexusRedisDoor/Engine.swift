import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// The Redis door of one event loop: parses what arrives, finds the command, runs it, writes the reply.
public final class Engine {
  public let node: Node
  public unowned let loop: any EventLoop
  public let worker: Worker

  public init(node: Node, loop: any EventLoop) {
    self.node = node
    self.loop = loop
    self.worker = Node.worker(ofLoop: loop.index)
  }
}
