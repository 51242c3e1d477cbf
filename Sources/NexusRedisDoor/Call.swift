import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// One command being executed: its arguments, who asked, and where the reply goes.
///
/// Handlers get it `inout`, check their arguments, lock their keys, work on `store`, and write exactly one reply.
public struct Call {
  /// [0] is the command's name as sent. Valid until the handler returns.
  public let arguments: UnsafeMutablePointer<Argument>
  public let count: Int
  public unowned(unsafe) let session: Session
  public unowned(unsafe) let engine: Engine
  /// Replies are appended here (`NexusRESP` extends `OutputBuffer` with the encoders).
  public var out: OutputBuffer
  public let now: UnixMilliseconds

  init(
    arguments: UnsafeMutablePointer<Argument>, count: Int, session: Session, engine: Engine, out: OutputBuffer,
    now: UnixMilliseconds
  ) {
    self.arguments = arguments
    self.count = count
    self.session = session
    self.engine = engine
    self.out = out
    self.now = now
  }

  public var store: Store { engine.node.store }
  public var worker: Worker { engine.worker }
  public subscript(index: Int) -> UnsafeRawBufferPointer { arguments[index].bytes }
  /// The argument as a key of the session's namespace.
  public func key(_ index: Int) -> Key { store.key(arguments[index].bytes, in: session.namespace) }
}
