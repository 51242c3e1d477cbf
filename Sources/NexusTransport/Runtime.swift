import CLinux
import Glibc
import NexusModel
import NexusService

/// The event loops of a node and what they listen on.
///
/// Create it, give its `loops` to the node, `start` it, and `stop` it once.
public final class Runtime: @unchecked Sendable {
  /// Where a listener can be reached, as it was really bound.
  public struct Endpoint: Sendable, Equatable {
    public let listener: String
    /// `127.0.0.1:6379`, `[::1]:6379`, or a path.
    public let address: String
    /// nil for a Unix socket.
    public let port: UInt16?
  }

  public let loops: [EpollLoop]
  /// A loop beside the others that takes no clients: for work that must go on however busy they are. Its index follows
  /// theirs.
  public let control: EpollLoop?
  /// Set by `start`.
  public private(set) var endpoints: [Endpoint] = []
  private let configuration: RuntimeConfiguration
  private let liveLimits: LiveLimits
  private let log: any Log
  private var unixPaths: [String] = []
  private var isRunning = false

  /// - Throws: where the system gives no epoll set or eventfd.
  public init(
    configuration: RuntimeConfiguration, gauge: MemoryGauge, log: any Log
  ) throws(TransportError) {
    self.configuration = configuration
    self.log = log
    liveLimits = LiveLimits(configuration.limits)
    let count = configuration.threads > 0 ? configuration.threads : Int(nexus_usable_cores())
    var loops: [EpollLoop] = []
    for index in 0..<count {
      loops.append(
        try EpollLoop(
          index: index, readBufferBytes: configuration.readBufferBytes, limits: liveLimits, gauge: gauge, log: log))
    }
    for loop in loops { loop.siblings = loops }
    self.loops = loops
    control =
      configuration.hasControlLoop
      ? try EpollLoop(
        index: count, readBufferBytes: configuration.readBufferBytes, limits: liveLimits, gauge: gauge, log: log) : nil
  }

  deinit {
    stop(graceMilliseconds: 0)
    for loop in loops { loop.siblings = [] }
  }

  /// Connections of all loops.
  public var connectionCount: Int { liveLimits.connectionsNow.load(ordering: .relaxed) }

  /// Takes effect at once on every loop; `keepaliveSeconds` for new connections.
  public func setLimits(_ limits: RuntimeConfiguration.Limits) {
    liveLimits.set(limits)
    for loop in loops { loop.post {} }
  }

  /// Opens every listening socket, makes a door for each listener and loop, and starts the threads.
  ///
  /// - Parameters:
  ///   - statistics: one per loop, outliving the runtime; nil: each loop keeps its own.
  ///   - makeDoor: called here, once per listener and loop; the door is then used on that loop's thread only.
  /// - Throws: `TransportError` where an address cannot be listened on; nothing is left running then.
  public func start(
    statistics: UnsafeMutablePointer<LoopStatistics>? = nil,
    makeDoor: (_ listener: String, _ loop: EpollLoop) -> any StreamDoor
  ) throws(TransportError) {
    precondition(!isRunning, "a runtime is started once")
    DescriptorLimit.raise(forClients: configuration.limits.clients, log)
    // A peer that is gone is an error of `send`, not the end of the process.
    signal(SIGPIPE, SIG_IGN)
    nexus_give_back_large_blocks()
    do throws(TransportError) {
      for (index, listener) in configuration.listeners.enumerated() { try open(listener, door: UInt8(index)) }
    } catch {
      closeListening()
      throw error
    }
    for loop in loops {
      if let statistics { loop.state.pointee.statistics = statistics + loop.index }
      for listener in configuration.listeners { loop.addDoor(makeDoor(listener.name, loop)) }
    }
    isRunning = true
    do throws(TransportError) {
      for loop in allLoops { try loop.startThread() }
    } catch {
      stop(graceMilliseconds: 0)
      throw error
    }
  }

  /// Undoes what `start` did up to an error.
  private func closeListening() {
    for loop in loops { loop.closeListening() }
    for path in unixPaths { unlink(path) }
    unixPaths = []
    endpoints = []
  }

  private func open(_ listener: RuntimeConfiguration.Listener, door: UInt8) throws(TransportError) {
    if var port = listener.port {
      for name in listener.addresses {
        let isOptional = name.hasPrefix("-")
        let host = isOptional ? String(name.dropFirst()) : name
        for address in try addresses(host, port: port) {
          do {
            try open(address, listener, door)
            if port == 0, let bound = endpoints.last?.port { port = bound }
          } catch {
            guard isOptional || host == "*" && address.isIPv6 else { throw error }
            log.info("an optional address is left out", ("address", "\(address)"), ("reason", "\(error)"))
          }
        }
      }
    }
    if let path = listener.unixSocketPath {
      let descriptor = try Listening.unix(
        path: path, permissions: listener.unixSocketPermissions, backlog: listener.backlog)
      unixPaths.append(path)
      loops[0].addListening(ListeningSocket(descriptor: descriptor, door: door, unixPath: path))
      endpoints.append(Endpoint(listener: listener.name, address: path, port: nil))
    }
  }

  private func addresses(_ host: String, port: UInt16) throws(TransportError) -> [SocketAddress] {
    guard host == "*" else { return try SocketAddress.resolve(host, port: port) }
    return try SocketAddress.resolve("0.0.0.0", port: port) + SocketAddress.resolve("::", port: port)
  }

  private func open(
    _ address: SocketAddress, _ listener: RuntimeConfiguration.Listener, _ door: UInt8
  ) throws(TransportError) {
    let opened = try Listening.tcp(address, loops: loops.count, backlog: listener.backlog)
    for (loop, descriptor) in zip(loops, opened.descriptors) {
      loop.addListening(ListeningSocket(descriptor: descriptor, door: door, unixPath: nil))
    }
    endpoints.append(
      Endpoint(listener: listener.name, address: opened.address.description, port: opened.address.port))
  }

  /// Stops accepting, answers what has been received, closes everything, and waits for the threads; at most a little
  /// longer than the grace. Not from a loop's own thread.
  ///
  /// What was given to loops that never ran is let go of as well.
  public func stop(graceMilliseconds: Int = 5000) {
    if isRunning { stopLoops(graceMilliseconds) }
    isRunning = false
    closeListening()
    for loop in allLoops { loop.letGo() }
  }

  private func stopLoops(_ graceMilliseconds: Int) {
    for loop in loops {
      loop.post { [unowned loop] in loop.beginStop(graceMilliseconds: graceMilliseconds) }
    }
    for loop in loops { loop.joinThread() }
    // Last: what clients still wait for may need it.
    if let control {
      control.post { [unowned control] in control.beginStop(graceMilliseconds: 100) }
      control.joinThread()
    }
  }

  private var allLoops: [EpollLoop] { control.map { loops + [$0] } ?? loops }
}
