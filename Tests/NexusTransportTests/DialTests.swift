import Glibc
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusTransport

/// Connects, says what it is told to say, and keeps what comes back.
private final class TalkingDoor: OutgoingDoor, @unchecked Sendable {
  let loop: EpollLoop
  let id = Guarded<ConnectionID?>(nil)
  let received = Guarded<[UInt8]>([])
  let failure = Guarded<ConnectFailure?>(nil)
  let closedBy = Guarded<CloseReason?>(nil)
  private let session = UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1)

  init(_ loop: EpollLoop) { self.loop = loop }
  deinit { session.deallocate() }

  func dial(_ address: NetworkAddress, timeoutMilliseconds: Int = 10_000, thenClose: Bool = false) {
    loop.post { [self] in
      let id = loop.connect(to: address, timeoutMilliseconds: timeoutMilliseconds, self, session)
      if thenClose { loop.close(id, afterFlush: false) }
    }
  }

  func connected(_ session: UnsafeMutableRawPointer, _ id: ConnectionID, _ peer: PeerAddress) {
    self.id.withLock { $0 = id }
  }

  func failed(_ session: UnsafeMutableRawPointer, _ failure: ConnectFailure) {
    self.failure.withLock { known in
      precondition(known == nil, "told twice")
      known = failure
    }
  }

  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? { nil }

  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    received.withLock { $0 += input }
    return Received(consumed: input.count)
  }

  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) { closedBy.withLock { $0 = reason } }
  func turnEnded(now: UnixMilliseconds) -> Bool { false }
}

@Suite struct `Connections that a loop makes` {
  private func caller() throws -> (Runtime, TalkingDoor) {
    var configuration = RuntimeConfiguration(listeners: [])
    configuration.threads = 1
    configuration.limits.clients = 0
    configuration.limits.idleTimeoutSeconds = 1
    let runtime = try Runtime(configuration: configuration, gauge: MemoryGauge(), log: SilentLog())
    try runtime.start { _, _ in preconditionFailure("nothing listens here") }
    return (runtime, TalkingDoor(runtime.loops[0]))
  }

  @Test func `it talks like any other, and counts as no client`() throws {
    let server = try EchoServer()
    let (runtime, door) = try caller()
    defer { runtime.stop(graceMilliseconds: 0) }
    door.dial(NetworkAddress(host: "127.0.0.1", port: server.port))
    #expect(eventually { door.id.withLock { $0 != nil } })
    let words = (0..<200).map { TestClient.frame("word \($0)") }
    let loop = runtime.loops[0]
    loop.post { [unowned loop] in
      for word in words { word.withUnsafeBytes { _ = loop.send($0, to: door.id.withLock { $0! }) } }
    }
    #expect(eventually { door.received.withLock { $0 } == words.flatMap { $0 } })
    #expect(runtime.connectionCount == 0)
    // What was sent in one turn arrived in a few pieces, not in two hundred.
    #expect(server.journal.receives.load(ordering: .relaxed) < 20)
    server.runtime.stop(graceMilliseconds: 0)
    #expect(eventually { door.closedBy.withLock { $0 == .byPeer } })
    #expect(runtime.connectionCount == 0)
  }

  @Test func `it is not idle however long nothing is said`() throws {
    let server = try EchoServer()
    let (runtime, door) = try caller()
    defer { runtime.stop(graceMilliseconds: 0) }
    door.dial(NetworkAddress(host: "127.0.0.1", port: server.port))
    #expect(eventually { door.id.withLock { $0 != nil } })
    usleep(2_500_000)
    #expect(door.closedBy.withLock { $0 == nil })
  }

  @Test func `every failure is told once, with its reason`() throws {
    let (runtime, _) = try caller()
    defer { runtime.stop(graceMilliseconds: 0) }
    let loop = runtime.loops[0]
    func outcome(_ address: NetworkAddress, timeout: Int = 10_000, thenClose: Bool = false) -> ConnectFailure? {
      let door = TalkingDoor(loop)
      door.dial(address, timeoutMilliseconds: timeout, thenClose: thenClose)
      _ = eventually { door.failure.withLock { $0 != nil } || door.id.withLock { $0 != nil } }
      return door.failure.withLock { $0 }
    }
    #expect(outcome(NetworkAddress(host: "127.0.0.1", port: try freePort())) == .refused)
    #expect(outcome(NetworkAddress(host: "::1", port: try freePort())) != nil)
    #expect(outcome(NetworkAddress(host: "no.such.name", port: 1)) == .invalidAddress("no.such.name"))
    let mute = try MuteListener()
    let silent = NetworkAddress(host: "127.0.0.1", port: mute.port)
    #expect(outcome(silent, thenClose: true) == .cancelled)
  }

  @Test func `who does not answer in time is given up`() throws {
    let (runtime, door) = try caller()
    defer { runtime.stop(graceMilliseconds: 0) }
    // A full queue of connections nobody accepts: the kernel answers no further ones.
    let full = try MuteListener(backlog: 0)
    let fillers = try (0..<3).map { _ in try Filler(port: full.port) }
    door.dial(NetworkAddress(host: "127.0.0.1", port: full.port), timeoutMilliseconds: 50)
    #expect(eventually { door.failure.withLock { $0 != nil } })
    #expect(door.failure.withLock { $0 } == .timedOut(milliseconds: 50))
    withExtendedLifetime(fillers) {}
  }

  @Test func `a stopping loop gives up what it was connecting to`() throws {
    let (runtime, door) = try caller()
    let full = try MuteListener(backlog: 0)
    let fillers = try (0..<3).map { _ in try Filler(port: full.port) }
    door.dial(NetworkAddress(host: "127.0.0.1", port: full.port))
    runtime.loops[0].post {}
    runtime.stop(graceMilliseconds: 3000)
    #expect(door.failure.withLock { $0 } == .cancelled)
    withExtendedLifetime(fillers) {}
  }

  @Test func `names are looked up, nonsense is explained`() throws {
    #expect(try NetworkAddress("127.0.0.1:80")!.resolved() == [NetworkAddress(host: "127.0.0.1", port: 80)])
    #expect(try NetworkAddress("[::1]:80")!.resolved() == [NetworkAddress(host: "::1", port: 80)])
    #expect(try NetworkAddress("localhost:80")!.resolved().contains { ["127.0.0.1", "::1"].contains($0.host) })
    #expect(throws: TransportError.self) { try NetworkAddress("no-such-name.invalid:80")!.resolved() }
    for text in ["", "x", "x:", ":1", "x:65536", "::1:80", "x:1:2"] { #expect(NetworkAddress(text) == nil, "\(text)") }
    #expect(NetworkAddress("[fe80::1]:7946")!.description == "[fe80::1]:7946")
  }
}

/// A connection that is begun and not waited for.
final class Filler {
  let descriptor: Int32

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue), 0)
    let address = try SocketAddress.resolve("127.0.0.1", port: port)[0]
    _ = address.withSockaddr { connect(descriptor, $0, $1) }
  }

  deinit { close(descriptor) }
}
