import Glibc
import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `Requests and replies` {
  @Test func `what is sent comes back, to each client its own`() throws {
    let server = try EchoServer(loops: 2)
    let clients = try (0..<20).map { _ in try server.client() }
    for round in 0..<5 {
      for (index, client) in clients.enumerated() { try client.send("e\(round) to \(index)") }
      for (index, client) in clients.enumerated() { #expect(try client.receiveText() == "e\(round) to \(index)") }
    }
    #expect(server.journal.opened.withLock({ $0.count }) == 20)
    #expect(server.runtime.connectionCount == 20)
  }

  @Test func `a request that arrives byte by byte is answered once it is whole`() throws {
    let server = try EchoServer()
    let client = try server.client()
    setOption(client.descriptor, 6, TCP_NODELAY, 1)
    for byte in TestClient.frame("every byte alone") { try client.write([byte]) }
    #expect(try client.receiveText() == "every byte alone")
    #expect(server.onLoop { $0.pendingInputBytes(ConnectionID(slot: 0, generation: 1)) } == 0)
  }

  @Test func `a pipeline of 100,000 requests is answered in order`() throws {
    let server = try EchoServer()
    let client = try server.client()
    let requests = (0..<100_000).flatMap { TestClient.frame("e\($0)") }
    // The replies fit what the kernel and the server keep for a client that writes before it reads.
    try client.write(requests)
    for number in 0..<100_000 where try client.receiveText() != "e\(number)" {
      Issue.record("reply \(number) is out of order")
      return
    }
  }

  @Test(arguments: [100_000, 3_000_000, 10_000_000]) func `a large message survives`(_ size: Int) throws {
    let server = try EchoServer()
    let client = try server.client()
    let payload = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
    let writer = Writer(client, TestClient.frame(payload) + TestClient.frame("e behind it"))
    #expect(try client.receive() == payload)
    #expect(try client.receiveText() == "e behind it")
    writer.join()
  }
}

/// Writes on a thread of its own while the test reads.
final class Writer: @unchecked Sendable {
  private let client: TestClient
  private let bytes: [UInt8]
  private var thread: pthread_t = 0

  init(_ client: TestClient, _ bytes: [UInt8]) {
    self.client = client
    self.bytes = bytes
    pthread_create(&thread, nil, runWriter, Unmanaged.passRetained(self).toOpaque())
  }

  fileprivate func run() { try? client.write(bytes) }
  func join() { pthread_join(thread, nil) }
}

private func runWriter(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  Unmanaged<Writer>.fromOpaque(context!).takeRetainedValue().run()
  return nil
}
