import NexusModel
import NexusService

/// gRPC over HTTP/2 without TLS on one event loop: serves what is given to `serve` on the connections that its
/// listener brings, and calls others over connections of its own. Give it to a runtime as a listener's door, or use it
/// without a listener to call only.
///
/// Invariant: used on its loop's thread only, or before that has started.
public final class HTTP2Door: OutgoingDoor, MessageStreams, @unchecked Sendable {
  /// What one system call sends at most, about, in bytes: what was just copied is still in the core's cache when the
  /// kernel copies it on.
  static let outputBytes = 240 * 1024
  private static let complaintMilliseconds = 10_000

  let loop: any EventLoop
  let limits: MessageStreamLimits
  let gauge: MemoryGauge
  private let log: any Log
  private var services: [String: MessageStreamService] = [:]
  /// Every connection, established or not.
  private var connections: [HTTP2Connection] = []
  /// Those that new calls go to.
  private var outgoing: [NetworkAddress: HTTP2Connection] = [:]
  private var isTicking = false
  private var nextComplaint = 0
  /// When `expireCalls` will look, in milliseconds of the monotonic clock.
  private var nextExpiry = Int.max

  public init(loop: any EventLoop, limits: MessageStreamLimits, gauge: MemoryGauge, log: any Log) {
    self.loop = loop
    self.limits = limits
    self.gauge = gauge
    self.log = log
  }

  private var nowMilliseconds: Int { Int(loop.monotonicNanoseconds / 1_000_000) }

  // MARK: MessageStreams

  public func serve(_ path: String, _ service: @escaping MessageStreamService) { services[path] = service }

  @discardableResult public func open(
    to address: NetworkAddress, path: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int?,
    _ handler: any MessageStreamHandler
  ) -> any MessageStream {
    let connection = connection(to: address)
    connection.unusedSince = nil
    return connection.session.open(
      authority: address.description, path: path, headers: headers, timeoutMilliseconds: timeoutMilliseconds, handler)
  }

  public func hangUp(_ address: NetworkAddress, ifEstablished: Bool) {
    guard let connection = outgoing[address], ifEstablished || connection.id == nil else { return }
    outgoing[address] = nil
    connection.reason = "nobody is believed to be there"
    if let id = connection.id ?? connection.dialing { loop.close(id, afterFlush: false) }
  }

  private func connection(to address: NetworkAddress) -> HTTP2Connection {
    if let connection = outgoing[address] {
      if !connection.session.isGoingAway && !connection.isClosing && connection.reason == nil { return connection }
    }
    let connection = HTTP2Connection(self, to: address)
    outgoing[address] = connection
    add(connection)
    connection.session.peer = address.description
    connection.dialing = loop.connect(
      to: address, timeoutMilliseconds: limits.connectTimeoutMilliseconds, self,
      Unmanaged.passRetained(connection).toOpaque())
    return connection
  }

  func admit(_ head: CallHead) -> CallAdmission {
    guard let service = services[head.path] else {
      return .refused(CallStatus(.unimplemented, "there is no method \(head.path) here"))
    }
    return service(head)
  }

  // MARK: Connections

  private func add(_ connection: HTTP2Connection) {
    connection.index = connections.count
    connections.append(connection)
    if !isTicking { scheduleTick() }
  }

  private func remove(_ connection: HTTP2Connection) {
    connections[connections.count - 1].index = connection.index
    connections.swapAt(connection.index, connections.count - 1)
    connections.removeLast()
    if let address = connection.address, outgoing[address] === connection { outgoing[address] = nil }
  }

  private func connection(_ session: UnsafeMutableRawPointer) -> HTTP2Connection {
    Unmanaged<HTTP2Connection>.fromOpaque(session).takeUnretainedValue()
  }

  public func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? {
    let connection = HTTP2Connection(self, to: nil)
    connection.id = id
    connection.session.peer = peer.remote
    add(connection)
    loop.exemptFromIdleTimeout(id, true)
    loop.requestOutput(id)
    return Unmanaged.passRetained(connection).toOpaque()
  }

  public func connected(_ session: UnsafeMutableRawPointer, _ id: ConnectionID, _ peer: PeerAddress) {
    connection(session).id = id
    loop.requestOutput(id)
  }

  public func failed(_ session: UnsafeMutableRawPointer, _ failure: ConnectFailure) {
    let connection = Unmanaged<HTTP2Connection>.fromOpaque(session).takeRetainedValue()
    remove(connection)
    let status = CallStatus(.unavailable, "\(connection.session.peer): \(failure)")
    connection.session.end(CallEnd(status, .notConnected(failure)))
  }

  public func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    let connection = connection(session)
    do throws(HTTP2Session.Failure) {
      try connection.session.receive(UnsafeRawBufferPointer(input))
    } catch {
      onFailure(connection, error, UnsafeRawBufferPointer(input))
      return Received(consumed: input.count, next: .closeAfterFlush)
    }
    if connection.session.isOver { return Received(consumed: input.count, next: .closeAfterFlush) }
    if connection.session.wantsToWrite { loop.requestOutput(connection.id!) }
    return Received(consumed: input.count)
  }

  private func onFailure(
    _ connection: HTTP2Connection, _ failure: HTTP2Session.Failure, _ input: UnsafeRawBufferPointer
  ) {
    let beginning = String(decoding: input.prefix(40), as: UTF8.self).debugDescription
    var message = "a connection was closed because the other side broke HTTP/2's protocol"
    switch failure {
    case .notHTTP2 where Self.isHTTP1(input):
      message = "a client was turned away: it speaks HTTP/1.1, and this port takes gRPC over HTTP/2 without TLS"
    case .notHTTP2:
      message = "a client was turned away: it does not speak HTTP/2, and this port takes gRPC over HTTP/2 without TLS"
    case .broken(let text): connection.reason = "the other side broke HTTP/2's protocol: \(text)"
    }
    let now = nowMilliseconds
    guard now >= nextComplaint else { return }
    nextComplaint = now + Self.complaintMilliseconds
    log.warning(message, ("peer", connection.session.peer), ("bytes", beginning))
  }

  private static func isHTTP1(_ input: UnsafeRawBufferPointer) -> Bool {
    ["GET ", "HEAD ", "POST ", "PUT ", "DELETE ", "OPTIONS ", "CONNECT ", "PATCH "].contains {
      input.starts(with: $0.utf8)
    }
  }

  public var producesOutput: Bool { true }

  public func produce(_ session: UnsafeMutableRawPointer, _ output: inout OutputBuffer) -> Bool {
    connection(session).produce(&output)
  }

  public func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) {
    let connection = Unmanaged<HTTP2Connection>.fromOpaque(session).takeRetainedValue()
    remove(connection)
    let farewell = connection.session.farewell
    if connection.address != nil, let farewell, farewell.code != 0 {
      log.warning(
        "the other side ended the connection", ("peer", connection.session.peer), ("code", "\(farewell.code)"),
        ("reason", farewell.text))
    } else if !connection.session.complaint.isEmpty {
      log.info(
        "a connection had a fault", ("peer", connection.session.peer), ("fault", connection.session.complaint))
    }
    connection.session.end(connection.end(reason))
  }

  public func turnEnded(now: UnixMilliseconds) -> Bool { false }

  public func stopping() {
    for connection in connections where connection.address == nil { connection.session.sayFarewell() }
  }

  public func isBusy(_ session: UnsafeMutableRawPointer) -> Bool { connection(session).session.isBusy }

  // MARK: Time

  private func scheduleTick() {
    isTicking = true
    var milliseconds = 1000
    if limits.keepaliveIntervalMilliseconds > 0 {
      milliseconds = min(milliseconds, limits.keepaliveIntervalMilliseconds, limits.keepaliveTimeoutMilliseconds)
    }
    milliseconds = max(10, min(milliseconds, limits.unusedConnectionMilliseconds) / 2)
    loop.after(milliseconds: milliseconds) { [weak self] in self?.tick() }
  }

  private func tick() {
    isTicking = false
    let now = nowMilliseconds
    for connection in connections {
      guard let id = connection.id else { continue }
      if !connection.session.tick(nowMilliseconds: now) {
        connection.reason = "no answer to a PING within \(limits.keepaliveTimeoutMilliseconds) ms"
        log.warning("a connection is given up: the other side does not answer", ("peer", connection.session.peer))
        loop.close(id, afterFlush: false)
      } else if connection.address != nil {
        closeIfUnused(connection, id, now)
      }
    }
    if !connections.isEmpty { scheduleTick() }
  }

  private func closeIfUnused(_ connection: HTTP2Connection, _ id: ConnectionID, _ now: Int) {
    guard connection.session.calls.isEmpty else {
      connection.unusedSince = nil
      return
    }
    let since = connection.unusedSince ?? now
    connection.unusedSince = since
    guard now - since >= limits.unusedConnectionMilliseconds else { return }
    connection.reason = "it was unused"
    loop.close(id, afterFlush: true)
  }

  func limit(_ call: Call, milliseconds: Int) {
    // Decades are as good as never, and do not overflow.
    let milliseconds = min(milliseconds, 1 << 40)
    let deadline = nowMilliseconds + milliseconds
    call.deadline = deadline
    if deadline < nextExpiry { scheduleExpiry(deadline, milliseconds) }
  }

  private func scheduleExpiry(_ deadline: Int, _ milliseconds: Int) {
    nextExpiry = deadline
    loop.after(milliseconds: milliseconds) { [weak self] in self?.expireCalls() }
  }

  /// One timer for all calls: most have ended when their time is over, and would only fill the loop's heap.
  private func expireCalls() {
    let now = nowMilliseconds
    guard nextExpiry <= now else { return }
    var next = Int.max
    for connection in connections {
      for call in connection.session.calls {
        if call.deadline <= now { call.expire() } else { next = min(next, call.deadline) }
      }
    }
    nextExpiry = .max
    if next < .max { scheduleExpiry(next, next - now) }
  }
}
