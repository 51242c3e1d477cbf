import Glibc
import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `Limits and slow clients` {
  /// What the kernel may hold for a client that does not read, with room to spare.
  static let kernelBytes = 16 * 1024 * 1024

  @Test func `a client that does not read has its input paused, and memory stays bounded`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.readAheadBytes = 1024 * 1024
    let server = try EchoServer(limits: limits)
    let client = try server.client(receiveBufferBytes: 8192)
    // Each request asks for 16 KiB; enough of them for 400 MB of replies.
    let request = TestClient.ask(16 * 1024)
    var requests: [UInt8] = []
    for _ in 0..<25_000 { requests += request }
    var accepted = 0
    for _ in 0..<200 {
      accepted += client.writeWithoutWaiting(Array(requests[accepted...]))
      usleep(1000)
    }
    let executed = server.journal.messages.load(ordering: .relaxed)
    #expect(executed * 16 * 1024 < Self.kernelBytes + 2 * 1024 * 1024)
    #expect(server.gauge.bytes < 4 * 1024 * 1024)
    #expect(server.journal.closed.withLock { $0.isEmpty })
    // Another client notices nothing.
    #expect(try server.client().echo("e still here") == "e still here")

    // Once it reads, everything is executed and answered.
    let writer = client.writing(Array(requests[accepted...]))
    for _ in 0..<25_000 { #expect(try client.receive().count == 16 * 1024) }
    writer.join()
    #expect(server.journal.messages.load(ordering: .relaxed) == 25_001)
  }

  @Test func `a client that writes all its requests before it reads gets on`() throws {
    let server = try EchoServer()
    let client = try server.client(receiveBufferBytes: 8192)
    // 12 MB of requests, as many bytes of replies: more than the kernel keeps.
    let payload = [UInt8](repeating: 0x65, count: 1000)
    var requests: [UInt8] = []
    for _ in 0..<12_000 { requests += TestClient.frame(payload) }
    try client.write(requests)
    for _ in 0..<12_000 { #expect(try client.receive() == payload) }
  }

  @Test func `a subscriber that does not read is dropped at the limit while others go on`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.outputBytes = 1024 * 1024
    let server = try EchoServer(limits: limits)
    let slow = try server.client(receiveBufferBytes: 8192)
    #expect(try slow.echo("e hello") == "e hello")
    let other = try server.client()
    let id = server.journal.opened.withLock { $0[0] }
    var isKept = true
    for _ in 0..<(Self.kernelBytes / (64 * 1024)) where isKept {
      isKept = server.onLoop { loop in
        let message = [UInt8](repeating: 0x70, count: 64 * 1024)
        return message.withUnsafeBytes { loop.send($0, to: id) }
      }
      #expect(try other.echo("e fine") == "e fine")
    }
    #expect(!isKept)
    #expect(eventually { server.journal.closed.withLock { $0 == [.outputLimit] } })
    #expect(server.counted(by: 0) { $0.outputLimitDisconnections.value } == 1)
    #expect(eventually { server.gauge.bytes <= server.restingBytes() })
    #expect(try other.echo("e and on") == "e and on")
  }

  @Test func `one reply may be longer than the limit of what may wait`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.outputBytes = 1024 * 1024
    let server = try EchoServer(limits: limits)
    let client = try server.client(receiveBufferBytes: 8192)
    let size = Self.kernelBytes * 2
    try client.write(TestClient.ask(size) + TestClient.ask(size) + TestClient.frame("e last"))
    #expect(try client.receive().count == size)
    #expect(try client.receive().count == size)
    #expect(try client.receiveText() == "e last")
    #expect(eventually { server.gauge.bytes <= server.restingBytes() })
  }

  @Test func `replies to one batch beyond every limit end the connection`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.outputBytes = 1024 * 1024
    limits.singleReplyBytes = 1024 * 1024
    let server = try EchoServer(limits: limits)
    let client = try server.client(receiveBufferBytes: 8192)
    try client.write(TestClient.ask(Self.kernelBytes * 2))
    #expect(eventually { server.journal.closed.withLock { $0 == [.outputLimit] } })
  }

  @Test func `an unfinished request over the input limit ends its connection`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.inputBytes = 256 * 1024
    let server = try EchoServer(limits: limits)
    let client = try server.client()
    var declared: [UInt8] = [0, 0, 0, 0x3F]
    declared += [UInt8](repeating: 0x65, count: 1024 * 1024)
    _ = client.writeWithoutWaiting(declared)
    #expect(eventually { server.journal.closed.withLock { $0 == [.inputLimit] } })
  }

  @Test func `a declared length alone costs nothing`() throws {
    let server = try EchoServer()
    _ = try server.client().echo("e")
    let before = server.gauge.bytes
    let clients = try (0..<50).map { _ in try server.client() }
    // Each announces 1 GB and sends 100 bytes of it.
    for client in clients { try client.write([0, 0, 0, 0x40] + [UInt8](repeating: 0x65, count: 100)) }
    #expect(eventually { server.journal.receives.load(ordering: .relaxed) >= 51 })
    #expect(server.gauge.bytes - before <= 50 * 512)
  }

  @Test func `clients over the limit are told so and closed`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.clients = 3
    let server = try EchoServer(limits: limits)
    var clients = try (0..<3).map { _ in try server.client() }
    for client in clients { #expect(try client.echo("e") == "e") }
    let refused = try server.client()
    try refused.send("e asked before reading")
    #expect(try refused.readToEnd() == Array("too many".utf8))
    #expect(server.counted(by: 0) { $0.connectionsRefused.value } == 1)
    // Places are given again, and the limit may be raised while running.
    clients.removeLast()
    #expect(eventually { server.runtime.connectionCount == 2 })
    clients.append(try server.client())
    #expect(try clients[2].echo("e") == "e")
    limits.clients = 4
    server.runtime.setLimits(limits)
    #expect(try server.client().echo("e") == "e")
  }

  @Test func `a client that says nothing for the idle time is closed, others are not`() throws {
    let server = try EchoServer()
    let idle = try server.client()
    let subscriber = try server.client()
    #expect(try idle.echo("e") == "e")
    #expect(try subscriber.echo("e") == "e")
    let id = server.journal.opened.withLock { $0[1] }
    server.onLoop { $0.exemptFromIdleTimeout(id, true) }
    var limits = RuntimeConfiguration.Limits()
    limits.idleTimeoutSeconds = 1
    server.runtime.setLimits(limits)
    #expect(try idle.readToEnd().isEmpty)
    #expect(server.journal.closed.withLock { $0 == [.idleTimeout] })
    #expect(try subscriber.echo("e still") == "e still")
  }

  @Test func `when all buffers together are too much, the client that holds most is dropped`() throws {
    var limits = RuntimeConfiguration.Limits()
    limits.allBuffersBytes = 8 * 1024 * 1024
    let server = try EchoServer(loops: 2, limits: limits)
    let small = try (0..<4).map { _ in try server.client() }
    // Each has half of a request of 40 KB waiting.
    for client in small { try client.write([0x40, 0x9C, 0, 0] + [UInt8](repeating: 0x65, count: 20_000)) }
    let greedy = try server.client(receiveBufferBytes: 8192)
    try greedy.write(TestClient.ask(Self.kernelBytes * 2))
    #expect(eventually { server.journal.closed.withLock { $0 == [.outputLimit] } })
    #expect(eventually { server.gauge.bytes < 8 * 1024 * 1024 })
    for client in small {
      try client.write([UInt8](repeating: 0x65, count: 20_000))
      #expect(try client.receive().count == 40_000)
    }
  }

  @Test func `a thousand idle connections own no buffers`() throws {
    let server = try EchoServer(loops: 2)
    let clients = try (0..<1000).map { _ in try server.client() }
    for client in clients { try client.send("e") }
    for client in clients { #expect(try client.receiveText() == "e") }
    #expect(server.runtime.connectionCount == 1000)
    #expect(server.gauge.bytes <= server.restingBytes(clients: 1000))
  }
}
