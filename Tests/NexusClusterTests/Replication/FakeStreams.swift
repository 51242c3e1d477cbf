import NexusModel
import NexusService

/// Streams between members of one process: messages lie in queues until the test delivers them.
final class FakeNetwork {
  private var services: [UInt16: FakeStreams] = [:]
  private var streams: [FakeStream] = []
  /// Ports of members that take no message and answer none, and those where nobody listens.
  var stopped: Set<UInt16> = []
  var gone: Set<UInt16> = []

  func streams(of port: UInt16) -> FakeStreams {
    let made = FakeStreams(self, port)
    services[port] = made
    return made
  }

  fileprivate func open(from: UInt16, to: UInt16, _ path: String, _ handler: any MessageStreamHandler) -> FakeStream {
    let caller = FakeStream(self, from, to, handler)
    caller.isCaller = true
    streams.append(caller)
    caller.arriving.append(.begin(path))
    return caller
  }

  fileprivate func take(_ caller: FakeStream, _ path: String) {
    guard !gone.contains(caller.to), let service = services[caller.to]?.services[path],
      case .taken(let handler) = service(CallHead(path: path, headers: [], timeoutMilliseconds: nil, peer: "a member"))
    else { return caller.end(CallEnd(CallStatus(.unavailable, "nobody listens there"), .notConnected(.refused))) }
    let callee = FakeStream(self, caller.to, caller.from, handler)
    streams.append(callee)
    (caller.other, callee.other) = (callee, caller)
    caller.handler?.opened(caller)
    callee.handler?.opened(callee)
  }

  /// All connections of this member break.
  func breakConnections(of port: UInt16) {
    for stream in streams where stream.from == port || stream.to == port {
      stream.end(CallEnd(CallStatus(.unavailable, "the connection broke"), .lost))
    }
  }

  /// Connections that this member has opened to that one break at its end. What is on its way stays there until
  /// `deliverLate`.
  func tear(from: UInt16, to: UInt16) {
    for stream in streams where stream.from == from && stream.to == to && stream.isCaller {
      stream.other?.isHeld = true
      stream.end(CallEnd(CallStatus(.unavailable, "the connection broke"), .lost))
    }
  }

  func deliverLate() { for stream in streams { stream.isHeld = false } }

  private func isRunning(_ stream: FakeStream) -> Bool {
    !stopped.contains(stream.from) && !stopped.contains(stream.to) && !stream.isHeld
  }

  /// There is something to deliver.
  var isBusy: Bool { streams.contains { isRunning($0) && !$0.arriving.isEmpty } }

  /// Delivers one message of each stream that has one; false if there was none.
  func step() -> Bool {
    streams.removeAll { $0.hasEnded }
    var isBusy = false
    for stream in streams where isRunning(stream) {
      if stream.deliver() { isBusy = true }
    }
    return isBusy
  }

  func letGo() {
    for stream in streams { stream.end(CallEnd(CallStatus(.unavailable, "the test is over"), .lost)) }
    streams = []
    // A service holds its member, and a member its streams.
    for made in services.values { made.services = [:] }
    services = [:]
  }
}

final class FakeStreams: MessageStreams {
  private unowned let network: FakeNetwork
  private let port: UInt16
  fileprivate var services: [String: MessageStreamService] = [:]

  init(_ network: FakeNetwork, _ port: UInt16) {
    self.network = network
    self.port = port
  }

  func open(
    to address: NetworkAddress, path: String, headers: [(name: String, value: String)], timeoutMilliseconds: Int?,
    _ handler: any MessageStreamHandler
  ) -> any MessageStream { network.open(from: port, to: address.port, path, handler) }

  func hangUp(_ address: NetworkAddress, ifEstablished: Bool) {}

  func serve(_ path: String, _ service: @escaping MessageStreamService) { services[path] = service }
}

/// One end of a stream.
final class FakeStream: MessageStream {
  fileprivate enum Arrival {
    case begin(String)
    case message([UInt8])
    case end(CallEnd)
  }

  private unowned let network: FakeNetwork
  fileprivate let from: UInt16
  fileprivate let to: UInt16
  fileprivate var handler: (any MessageStreamHandler)?
  fileprivate weak var other: FakeStream?
  /// What comes to this end.
  fileprivate var arriving: [Arrival] = []
  fileprivate var isCaller = false
  fileprivate var isHeld = false
  fileprivate var hasEnded: Bool { handler == nil }

  fileprivate init(_ network: FakeNetwork, _ from: UInt16, _ to: UInt16, _ handler: any MessageStreamHandler) {
    self.network = network
    self.from = from
    self.to = to
    self.handler = handler
  }

  func send(_ message: UnsafeRawBufferPointer) -> Bool {
    guard !hasEnded else { return false }
    other?.arriving.append(.message(Array(message)))
    return true
  }

  func send(_ write: (inout OutputBuffer) -> Void) -> Bool {
    var buffer = OutputBuffer(capacity: 64)
    defer { buffer.deallocate() }
    write(&buffer)
    return send(buffer.bytes)
  }

  var queuedBytes: Int { 0 }
  func finish(_ status: CallStatus) { cancel(status) }
  func pause() {}
  func resume() {}

  func cancel(_ status: CallStatus) {
    other?.arriving.append(.end(CallEnd(status, .lost)))
    end(CallEnd(status, .given))
  }

  fileprivate func end(_ end: CallEnd) {
    guard let handler else { return }
    self.handler = nil
    arriving = []
    handler.closed(end, [])
  }

  fileprivate func deliver() -> Bool {
    guard handler != nil, !arriving.isEmpty else { return false }
    switch arriving.removeFirst() {
    case .begin(let path): network.take(self, path)
    case .message(let bytes): bytes.withUnsafeBytes { handler?.received($0) }
    case .end(let end): self.end(end)
    }
    return true
  }
}
