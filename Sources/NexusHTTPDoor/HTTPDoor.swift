import CMicrohttpd
import Glibc
import NexusModel
import NexusService

/// The HTTP door of one event loop: a libmicrohttpd daemon without a thread, woken through its epoll descriptor.
///
/// Everything is called on the loop's thread (`init` may be called before the loop runs). See
/// docs/decisions/0005-libmicrohttpd-on-our-loops.md.
public final class HTTPDoor: WatchedDescriptor {
  /// libmicrohttpd's epoll descriptor; -1 once stopped.
  public private(set) var descriptor: Int32 = -1
  /// The port that it listens on: the configured one, or the one that the system chose for 0.
  public let port: UInt16

  let responder: Responder
  let configuration: HTTPConfiguration
  unowned let loop: any EventLoop
  /// What the operating system allocates for a connection beside the library's memory for it: a guess at the library's
  /// own record.
  private static let connectionRecordBytes = 1024

  private let gauge: MemoryGauge
  private var heldBytes = 0
  private var reportedBytes = 0
  var exchanges = ExchangePool()
  /// Requests that other members have been asked, by their tickets.
  var forwarded = ForwardedExchanges()
  let streams: EventStreams
  /// Connections go on since the library last ran.
  var hasResumed = false
  /// Invariant: set from the end of `init` until `stop`. Its callbacks hold this object unretained.
  private(set) var daemon: OpaquePointer?
  private var acceptsConnections = true

  /// Opens the port. `seed` feeds the jitter of TTLs.
  public init(
    node: Node, loop: any EventLoop, configuration: HTTPConfiguration, seed: UInt64 = 0x5EED
  ) throws(HTTPDoorFailure) {
    self.loop = loop
    self.configuration = configuration
    gauge = node.store.configuration.outside
    responder = Responder(node: node, loop: loop.index, configuration: configuration, seed: seed &+ UInt64(loop.index))
    streams = EventStreams(node, loop: loop, configuration)
    let listener = try Listener(address: configuration.address, port: configuration.port)
    port = listener.port

    var options = nexus_mhd_options()
    options.listener = listener.descriptor
    options.context = Unmanaged.passUnretained(self).toOpaque()
    options.handle = { context, connection, url, method, _, upload, uploadCount, exchange in
      Unmanaged<HTTPDoor>.fromOpaque(context!)._withUnsafeGuaranteedRef {
        $0.handle(connection!, url!, method!, upload, uploadCount!, exchange!)
      }
    }
    options.completed = { context, _, exchange, _ in
      Unmanaged<HTTPDoor>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.completed(exchange!) }
    }
    options.connection = { context, _, _, change in
      Unmanaged<HTTPDoor>.fromOpaque(context!)._withUnsafeGuaranteedRef { $0.connectionChanged(change) }
    }
    options.connection_memory_bytes = configuration.connectionMemoryBytes
    options.connection_limit = UInt32(clamping: configuration.connectionLimit)
    options.idle_timeout_seconds = UInt32(clamping: configuration.idleTimeoutSeconds)
    // While other members are asked, and while event streams have nothing to say.
    options.suspends = 1
    guard let daemon = nexus_mhd_start(&options) else {
      close(listener.descriptor)
      throw HTTPDoorFailure(
        description: "HTTP cannot start on \(configuration.address):\(port): libmicrohttpd refuses its settings")
    }
    self.daemon = daemon
    descriptor = nexus_mhd_epoll_descriptor(daemon)
    streams.begin { [unowned self] in ready() }
  }

  deinit {
    stop()
    exchanges.deallocate()
  }

  // MARK: Driven by the loop

  public func ready() {
    streams.beatIfDue()
    if let daemon { MHD_run(daemon) }
  }

  public func nextTimeout() -> Int? {
    var milliseconds: UInt64 = 0
    guard let daemon, MHD_get_timeout(daemon, &milliseconds) == .YES else { return streams.untilBeat }
    return min(Int(clamping: milliseconds), streams.untilBeat ?? .max)
  }

  /// From now on no new connection is taken, and /health/ready says 503. Those that are open go on.
  public func stopAccepting() {
    responder.isReady = false
    streams.end()
    guard let daemon, acceptsConnections else { return }
    acceptsConnections = false
    let listener = MHD_quiesce_daemon(daemon)
    if listener >= 0 { close(listener) }
  }

  /// Waits for other members, within the loop's grace.
  public var isBusy: Bool { forwarded.count > 0 }

  /// Requests that have begun and whose replies are not wholly sent.
  public var requestsInFlight: Int { exchanges.inUse }

  /// Closes every connection and the port. Unwatch `descriptor` before.
  public func stop() {
    guard let daemon else { return }
    // The library does not stop while it has suspended connections.
    abandonForwarded()
    streams.stop()
    MHD_stop_daemon(daemon)
    self.daemon = nil
    descriptor = -1
    gauge.subtract(reportedBytes)
    heldBytes = 0
    reportedBytes = 0
  }

  // MARK: Accounts

  private func connectionChanged(_ change: MHD_ConnectionNotificationCode) {
    let statistics = responder.keyspace.statistics
    let bytes = configuration.connectionMemoryBytes + Self.connectionRecordBytes
    if change == .CONNECTION_NOTIFY_STARTED {
      statistics.pointee.httpConnectionsAccepted.add()
      statistics.pointee.httpConnectionsNow.add()
      hold(bytes)
    } else {
      statistics.pointee.httpConnectionsNow.subtract()
      hold(-bytes)
    }
  }

  /// Counts memory against the node's ceiling; in steps of 64 KiB, because all loops share the gauge.
  func hold(_ byteCount: Int) {
    heldBytes += byteCount
    let unreported = heldBytes - reportedBytes
    if unreported.magnitude >= 64 << 10 {
      gauge.add(unreported)
      reportedBytes = heldBytes
    }
  }
}
