import NexusModel

/// A connection of one event loop. Never reused within a loop's life: `generation` tells an old holder of a slot
/// from the new one.
public struct ConnectionID: Hashable, Sendable, BitwiseCopyable {
  public let slot: UInt32
  public let generation: UInt32

  public init(slot: UInt32, generation: UInt32) {
    self.slot = slot
    self.generation = generation
  }
}

/// What a stream door (Redis protocol, text) tells its transport after reading.
public struct Received: BitwiseCopyable {
  public enum Next: UInt8, BitwiseCopyable {
    /// Go on reading.
    case proceed
    /// Send what is in the output, then close.
    case closeAfterFlush
    /// Keep the unconsumed input and execute no more until `EventLoop.resume`.
    case suspend
    /// The output has grown past `yieldOutputBytes` and there is more to execute: send it, and offer the rest again
    /// when the client has taken it, without waiting for more to arrive. What keeps a pipeline of large replies from
    /// filling the memory.
    case yield
  }

  /// Output in one `receive` from which a door should `yield`.
  public static let yieldOutputBytes = 256 * 1024

  /// Bytes of the input that are done with. The rest is offered again, with what arrives after it.
  public var consumed: Int
  public var next: Next
  /// Where the door knows how long its unfinished request will be: the bytes from the first unconsumed one. A hint
  /// for sizing the buffer as the bytes arrive, never a reason to allocate them ahead.
  public var expected: Int

  public init(consumed: Int, next: Next = .proceed, expected: Int = 0) {
    self.consumed = consumed
    self.next = next
    self.expected = expected
  }
}

public struct PeerAddress: Sendable, Hashable {
  /// `127.0.0.1:54321`, `[::1]:54321` or `/path/of.sock:0`, as CLIENT LIST shows it.
  public var remote: String
  public var local: String
  public var descriptor: Int32
  public var isUnixSocket: Bool

  public init(remote: String, local: String, descriptor: Int32, isUnixSocket: Bool) {
    self.remote = remote
    self.local = local
    self.descriptor = descriptor
    self.isUnixSocket = isUnixSocket
  }
}

/// An inbound adapter for byte streams: one instance per event loop, called on that loop's thread only.
public protocol StreamDoor: AnyObject {
  /// A client connected. The session is the door's own; nil refuses, after `farewell` has been sent.
  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer?
  /// Bytes arrived (or the connection was resumed). The input may be written to in place; it is valid during the
  /// call only. Replies go to the end of `output`.
  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received
  /// Several small inputs have arrived and will be received, in this order, once all were shown: a chance to ask
  /// memory for what they will need. Changes nothing that can be seen.
  func foresee(_ session: UnsafeMutableRawPointer, _ input: UnsafeRawBufferPointer)
  /// All were shown: a second look, now that the first one's answers have come.
  func foreseen()
  /// The connection is gone: free the session.
  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason)
  /// Once a turn of the loop after all events (for idle work); returns true if there is more to do soon.
  func turnEnded(now: UnixMilliseconds) -> Bool
  /// True where this door writes by `produce` alone (and in the `receive` that closes): how much waits is then
  /// its own affair, and much waiting output does not keep the loop from reading.
  var producesOutput: Bool { get }
  /// Asked for by `EventLoop.requestOutput`, at most once a turn and only while nothing waits: write what there is, a
  /// bounded piece. True: there is more, ask again when this has been taken.
  func produce(_ session: UnsafeMutableRawPointer, _ output: inout OutputBuffer) -> Bool
  /// The node stops: say so to the other ends where the protocol can, and finish.
  func stopping()
  /// Requests of this session are being answered: a stopping loop waits for them, within its grace. Asked where the
  /// door produces its output; other doors' requests are answered in `receive`.
  func isBusy(_ session: UnsafeMutableRawPointer) -> Bool
  /// The limit of clients is reached: what to tell this one before it is closed.
  func refuse(_ farewell: inout OutputBuffer)
}

extension StreamDoor {
  public func refuse(_ farewell: inout OutputBuffer) {}
  public var producesOutput: Bool { false }
  public func produce(_ session: UnsafeMutableRawPointer, _ output: inout OutputBuffer) -> Bool { false }
  public func stopping() {}
  public func isBusy(_ session: UnsafeMutableRawPointer) -> Bool { false }
}

extension StreamDoor {
  public func foresee(_ session: UnsafeMutableRawPointer, _ input: UnsafeRawBufferPointer) {}
  public func foreseen() {}
}

public enum CloseReason: String, Sendable {
  case byPeer, byDoor, killed, outputLimit, inputLimit, idleTimeout, ioError, shutdown
}

/// What a transport's loop offers to a door. All but `post` only on the loop's own thread.
public protocol EventLoop: AnyObject, Sendable {
  var index: Int { get }
  /// The wall clock, read once per turn.
  var now: UnixMilliseconds { get }
  /// A clock that never goes back, in nanoseconds, read now.
  var monotonicNanoseconds: UInt64 { get }
  /// Sends bytes outside of a `receive` (publish, MONITOR). False if the connection is gone. All that is sent to one
  /// connection in a turn leaves in one system call at its end, or in pieces of 128 KiB and more.
  @discardableResult func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool
  /// Has the door `produce` for this connection at the end of the turn, however often it is called.
  func requestOutput(_ id: ConnectionID)
  /// Connects to an address of digits (no name: looking one up would hold up the loop). The door is told the outcome
  /// by `connected` or `failed`, never within this call. `close` gives the attempt up.
  /// - Returns: what to close it by.
  @discardableResult func connect(
    to address: NetworkAddress, timeoutMilliseconds: Int, _ door: any OutgoingDoor, _ session: UnsafeMutableRawPointer
  ) -> ConnectionID
  func close(_ id: ConnectionID, afterFlush: Bool)
  /// A client that waits for pushes (a subscriber, a monitor) is not idle however long nothing arrives from it.
  func exemptFromIdleTimeout(_ id: ConnectionID, _ isExempt: Bool)
  /// While the door owes it replies that come later, a connection whose client has finished sending stays open, and a
  /// loop that stops waits for it, within its grace.
  func owesReplies(_ id: ConnectionID, _ owes: Bool)
  /// Ends a `suspend`: offers the kept input again.
  func resume(_ id: ConnectionID)
  /// Bytes waiting to be read by the client, for CLIENT LIST (`omem`), and of unfinished input (`qbuf`).
  func pendingOutputBytes(_ id: ConnectionID) -> Int
  func pendingInputBytes(_ id: ConnectionID) -> Int
  func after(milliseconds: Int, _ work: @escaping @Sendable () -> Void)
  /// Calls the task at the end of every turn from now on, for as long as the loop runs.
  func atTurnEnd(_ task: any TurnTask)
  /// From any thread: runs the work on the loop's thread, in order. This is the loop's mailbox.
  func post(_ work: @escaping @Sendable () -> Void)
}

extension EventLoop {
  public func atTurnEnd(_ task: any TurnTask) {}
  public func exemptFromIdleTimeout(_ id: ConnectionID, _ isExempt: Bool) {}
  public func owesReplies(_ id: ConnectionID, _ owes: Bool) {}
}

/// A loop that only answers: for doors that never connect anywhere.
extension EventLoop {
  public func requestOutput(_ id: ConnectionID) {}
  @discardableResult public func connect(
    to address: NetworkAddress, timeoutMilliseconds: Int, _ door: any OutgoingDoor, _ session: UnsafeMutableRawPointer
  ) -> ConnectionID {
    preconditionFailure("this event loop makes no outgoing connections")
  }
}

/// Work that belongs to the end of every turn of a loop: after all events, before what is to be sent leaves.
public protocol TurnTask: AnyObject {
  /// True: there is more to do soon, even if nothing happens.
  func turnEnding() -> Bool
}

/// A descriptor that a door drives itself (libmicrohttpd's epoll set), watched by a loop.
public protocol WatchedDescriptor: AnyObject {
  var descriptor: Int32 { get }
  /// The descriptor is readable, or `nextTimeout` has passed.
  func ready()
  /// Milliseconds until `ready` must be called even without an event; nil for never.
  func nextTimeout() -> Int?
  /// The node is stopping: take no new clients.
  func stopAccepting()
  /// True while requests are being answered: a stopping loop waits for them, within its grace.
  var isBusy: Bool { get }
}

extension WatchedDescriptor {
  public func stopAccepting() {}
  public var isBusy: Bool { false }
}
