/// How an HTTP door is opened. What may change while it runs (`http-max-body`, `max-value-size`, `password`) it reads
/// from the node's settings.
public struct HTTPConfiguration: Sendable {
  /// A numeric address: IPv4 or IPv6.
  public var address: String = "127.0.0.1"
  /// 0: any free one (see `HTTPDoor.port`).
  public var port: UInt16 = 8080
  /// As replies name this node.
  public var nodeName: String = "1"
  /// Bytes of all the replies of one loop that wait for their readers; past it, replies above 1 MB are refused (503).
  public var pendingRepliesLimitBytes: Int = 256 << 20
  /// Connections of one loop; more wait in the kernel's queue.
  public var connectionLimit: Int = 10_000
  /// Bytes of one connection for the request's line and headers (and what the library needs to send a reply).
  public var connectionMemoryBytes: Int = 8 << 10
  /// A connection on which nothing moves for so long is closed.
  public var idleTimeoutSeconds: Int = 60
  /// Event streams of one loop.
  public var eventReadersMost: Int = 256
  /// A stream on which nothing happens says so once in a while: who has gone is noticed then.
  public var heartbeatMilliseconds: Int = 15_000

  public init() {}
}
