import Synchronization

/// What a runtime listens on and how much it lets a client take. Sizes are in bytes.
public struct RuntimeConfiguration: Sendable {
  /// One kind of client: a door's name and where it is reached.
  public struct Listener: Sendable {
    public var name: String
    /// IPv4 or IPv6 addresses, host names, or `*` for every address of the machine. A leading `-` makes an address
    /// optional: where the machine does not have it, it is left out.
    public var addresses: [String]
    /// nil: no TCP. 0: any free port, the same for all addresses (see `Runtime.endpoints`).
    public var port: UInt16?
    public var unixSocketPath: String?
    public var unixSocketPermissions: UInt32
    public var backlog: Int32

    public init(
      name: String, addresses: [String] = ["127.0.0.1"], port: UInt16?, unixSocketPath: String? = nil,
      unixSocketPermissions: UInt32 = 0o700, backlog: Int32 = 511
    ) {
      self.name = name
      self.addresses = addresses
      self.port = port
      self.unixSocketPath = unixSocketPath
      self.unixSocketPermissions = unixSocketPermissions
      self.backlog = backlog
    }
  }

  /// Event loops, each with a thread of its own. 0: one per core this process may use.
  public var threads = 0
  /// One more loop, without listeners (`Runtime.control`).
  public var hasControlLoop = false
  public var listeners: [Listener]
  /// What one read may bring, and so about how much is executed for one client before the others have their turn.
  public var readBufferBytes = 64 * 1024
  public var limits = Limits()

  public init(listeners: [Listener]) { self.listeners = listeners }

  /// What one client may take; every value may be changed while the node runs (`Runtime.limits`).
  public struct Limits: Sendable, Equatable {
    /// Over all loops and doors of the runtime.
    public var clients = 10_000
    /// 0: never.
    public var idleTimeoutSeconds = 0
    /// Seconds of silence after which the kernel asks whether the peer still lives; 0: never. New connections only.
    public var keepaliveSeconds = 300
    /// Output that may wait for a client; beyond it the client is dropped. 0: no limit.
    public var outputBytes = 64 * 1024 * 1024
    /// What the replies to one batch may come to where nothing else waits: room for the largest value.
    public var singleReplyBytes = 513 * 1024 * 1024
    /// While more output than this waits, nothing more is executed for the client.
    public var pauseOutputBytes = 1024 * 1024
    /// Input received ahead while a client's execution is paused or suspended; beyond it, reading stops.
    public var readAheadBytes = 16 * 1024 * 1024
    /// An unfinished request longer than this ends its connection.
    public var inputBytes = 1024 * 1024 * 1024
    /// What all clients' buffers together may come to, as the gauge counts; beyond it the clients that hold most are
    /// dropped. 0: no limit.
    public var allBuffersBytes = 0

    public init() {}
  }
}

/// The limits as the loops read them: one relaxed load each.
final class LiveLimits: Sendable {
  let clients: Atomic<Int>
  let idleTimeoutMilliseconds: Atomic<Int>
  let keepaliveSeconds: Atomic<Int>
  let outputBytes: Atomic<Int>
  let singleReplyBytes: Atomic<Int>
  let pauseOutputBytes: Atomic<Int>
  let readAheadBytes: Atomic<Int>
  let inputBytes: Atomic<Int>
  let allBuffersBytes: Atomic<Int>
  /// Connections of all loops.
  let connectionsNow = Atomic<Int>(0)

  init(_ limits: RuntimeConfiguration.Limits) {
    clients = Atomic(0)
    idleTimeoutMilliseconds = Atomic(0)
    keepaliveSeconds = Atomic(0)
    outputBytes = Atomic(0)
    singleReplyBytes = Atomic(0)
    pauseOutputBytes = Atomic(0)
    readAheadBytes = Atomic(0)
    inputBytes = Atomic(0)
    allBuffersBytes = Atomic(0)
    set(limits)
  }

  func set(_ limits: RuntimeConfiguration.Limits) {
    clients.store(limits.clients, ordering: .relaxed)
    idleTimeoutMilliseconds.store(limits.idleTimeoutSeconds * 1000, ordering: .relaxed)
    keepaliveSeconds.store(limits.keepaliveSeconds, ordering: .relaxed)
    outputBytes.store(limits.outputBytes == 0 ? .max : limits.outputBytes, ordering: .relaxed)
    singleReplyBytes.store(
      max(limits.singleReplyBytes, limits.outputBytes == 0 ? .max : limits.outputBytes), ordering: .relaxed)
    pauseOutputBytes.store(limits.pauseOutputBytes, ordering: .relaxed)
    readAheadBytes.store(limits.readAheadBytes, ordering: .relaxed)
    allBuffersBytes.store(limits.allBuffersBytes == 0 ? .max : limits.allBuffersBytes, ordering: .relaxed)
    // The kept input counts in 32 bits.
    inputBytes.store(min(limits.inputBytes, 1 << 31), ordering: .relaxed)
  }
}
