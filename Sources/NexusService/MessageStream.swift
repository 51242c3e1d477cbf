import NexusModel

/// One call of gRPC, of either side: messages go both ways until it is closed. On its loop's thread only.
public protocol MessageStream: AnyObject {
  /// Queues a message behind those that wait; they leave at the end of the loop's turn. False, and nothing is queued:
  /// the stream is closed or finished, or too much waits already (`MessageStreamLimits.queueBytes`).
  func send(_ message: UnsafeRawBufferPointer) -> Bool
  /// The same, written straight into the queue: `write` appends the message to the end of what it is given.
  func send(_ write: (_ message: inout OutputBuffer) -> Void) -> Bool
  /// Bytes of messages that the other side's flow control, or its reading, has not let leave yet.
  var queuedBytes: Int { get }
  /// After the queued messages: the serving side ends the call with this status; the calling side says that it sends
  /// no more (with any status but `ok` it gives the call up).
  func finish(_ status: CallStatus)
  /// Gives the call up at once, queued messages too. `closed` follows within this call.
  func cancel(_ status: CallStatus)
  /// Receive no more for now: what arrives waits here, and beyond the stream's window at the other side.
  func pause()
  func resume()
}

/// What becomes of one stream. Every call comes on the loop's thread; `closed` comes once, last, in every case.
public protocol MessageStreamHandler: AnyObject {
  /// First of all. The stream may be sent on; before there is a connection, messages wait.
  func opened(_ stream: any MessageStream)
  /// Calling side only: the serving side has taken the call. Its custom headers.
  func accepted(_ headers: [(name: String, value: String)])
  /// A whole message, valid during the call.
  func received(_ message: UnsafeRawBufferPointer)
  /// The calling side sends no more (seen by the serving side).
  func finished()
  /// Nothing is queued any more, after something was.
  func drained()
  /// Serving side: the node stops. Finish soon; what is left at the end of the grace is cut.
  func stopping()
  /// The trailing headers that came with it are those of gRPC's own left out.
  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)])
}

extension MessageStreamHandler {
  public func accepted(_ headers: [(name: String, value: String)]) {}
  public func finished() {}
  public func drained() {}
  public func stopping() {}
}

/// How a call begins, as the serving side sees it.
public struct CallHead: Sendable {
  /// `/package.Service/Method`.
  public var path: String
  /// The custom headers, in the order they came; gRPC's own are left out.
  public var headers: [(name: String, value: String)]
  /// What the caller allows it to take, from its arrival on; nil where it sets no limit. At its end the stream is
  /// closed with `deadlineExceeded`.
  public var timeoutMilliseconds: Int?
  public var peer: String

  public init(path: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int?, peer: String) {
    self.path = path
    self.headers = headers
    self.timeoutMilliseconds = timeoutMilliseconds
    self.peer = peer
  }
}

/// What becomes of a call that has come.
public enum CallAdmission {
  case taken(by: any MessageStreamHandler)
  case refused(CallStatus)
}

/// Makes the handler of one call, or refuses it.
public typealias MessageStreamService = (CallHead) -> CallAdmission

/// The message streams of one event loop, both ways. On the loop's thread, `serve` also before it has started.
public protocol MessageStreams: AnyObject {
  /// Opens a stream to an address of digits. Streams to one address share this loop's one connection to it, which is
  /// made when it is needed and closed when it has been without streams for a while.
  ///
  /// - Parameters:
  ///   - path: `/package.Service/Method`.
  ///   - headers: custom ones, in lower case; names that end in `-bin` take Base64.
  ///   - timeoutMilliseconds: the other side is told; at its end the stream is closed with `deadlineExceeded`.
  @discardableResult func open(
    to address: NetworkAddress, path: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int?,
    _ handler: any MessageStreamHandler
  ) -> any MessageStream
  /// Nobody is believed to be at this address: this loop's connection to it is given up, and its streams end as lost. A
  /// packet that the network swallowed is sent again after ever longer pauses, so an old connection stays silent for a
  /// while after the network is mended; the next stream makes a new one.
  ///
  /// - Parameter ifEstablished: false gives up only one that is still being made.
  func hangUp(_ address: NetworkAddress, ifEstablished: Bool)
  /// What a path leads to. A path that leads nowhere is answered `unimplemented`.
  func serve(_ path: String, _ service: @escaping MessageStreamService)
}

/// Sizes in bytes, times in milliseconds.
public struct MessageStreamLimits: Sendable {
  /// The longest message taken; a longer one ends its stream with `resourceExhausted`.
  public var messageBytes = 8 * 1024 * 1024
  /// What may wait in one stream's queue before `send` refuses.
  public var queueBytes = 64 * 1024 * 1024
  /// What the other side may send on one stream ahead of its being received.
  public var streamWindowBytes = 16 * 1024 * 1024
  /// The same for all streams of a connection together.
  public var connectionWindowBytes = 16 * 1024 * 1024
  /// The largest DATA frame taken.
  public var frameBytes = 1024 * 1024
  /// Streams that one client may have open at a time on one connection.
  public var streams = 1000
  /// Names and values of one head or trailer.
  public var headerBytes = 16 * 1024
  /// After so long without a byte the other side is asked whether it still lives; 0: never. Foreign servers may take
  /// frequent questions amiss: etcd allows one in 5 seconds.
  public var keepaliveIntervalMilliseconds = 10_000
  /// It has so long to answer; then the connection counts as lost.
  public var keepaliveTimeoutMilliseconds = 5_000
  public var connectTimeoutMilliseconds = 5_000
  /// A connection of ours without streams is closed after this.
  public var unusedConnectionMilliseconds = 60_000

  public init() {}
}
