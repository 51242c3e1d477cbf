import Glibc
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusTransport

@Suite struct `Stopping` {
  @Test func `what has been received is answered, then everything closes`() throws {
    let server = try EchoServer(loops: 2)
    let clients = try (0..<10).map { _ in try server.client(receiveBufferBytes: 8192) }
    for client in clients { #expect(try client.echo("e") == "e") }
    // More output than the kernel takes, so that some of it is still waiting when the stop begins.
    for client in clients { try client.write(TestClient.ask(8_000_000) + TestClient.frame("e last")) }
    let stopper = Thread { [runtime = server.runtime] in runtime.stop(graceMilliseconds: 30_000) }
    for client in clients {
      #expect(try client.receive().count == 8_000_000)
      #expect(try client.receiveText() == "e last")
      #expect(try client.readToEnd().isEmpty)
    }
    stopper.join()
    #expect(server.journal.closed.withLock { $0.count == 10 && $0.allSatisfy { $0 == .shutdown } })
    #expect(throws: ClientFailure.self) { _ = try server.client() }
    #expect(server.gauge.bytes <= server.restingBytes())
  }

  @Test func `a client that never reads cannot hold the stop beyond its grace`() throws {
    let server = try EchoServer()
    let client = try server.client(receiveBufferBytes: 8192)
    try client.write(TestClient.ask(40_000_000))
    #expect(eventually { server.onLoop { $0.pendingOutputBytes(ConnectionID(slot: 0, generation: 1)) } > 0 })
    server.runtime.stop(graceMilliseconds: 50)
    #expect(server.journal.closed.withLock { $0 == [.shutdown] })
  }

  @Test func `a suspended request is answered when it is resumed within the grace`() throws {
    let server = try EchoServer()
    let client = try server.client()
    try client.send("s slow")
    #expect(eventually { server.journal.suspended.withLock({ $0.count }) == 1 })
    let stopper = Thread { [runtime = server.runtime] in runtime.stop(graceMilliseconds: 10_000) }
    let (loop, id) = server.journal.suspended.withLock { $0[0] }
    loop.post { [unowned loop] in loop.after(milliseconds: 20) { [unowned loop] in loop.resume(id) } }
    #expect(try client.receiveText() == "s slow")
    #expect(try client.readToEnd().isEmpty)
    stopper.join()
  }

  @Test func `signals wake the waiter`() throws {
    let isReady = Atomic<Bool>(false)
    let seen = Guarded<[SignalWaiter.Signal]>([])
    let waiting = Thread {
      let waiter = SignalWaiter()
      isReady.store(true, ordering: .releasing)
      for _ in 0..<2 {
        let signal = waiter.wait()
        seen.withLock { $0.append(signal) }
      }
    }
    // To that thread alone, and once its mask is in force: other threads of the test process block no signals.
    #expect(eventually { isReady.load(ordering: .acquiring) })
    pthread_kill(waiting.handle, SIGHUP)
    #expect(eventually { seen.withLock { $0 == [.hangUp] } })
    pthread_kill(waiting.handle, SIGTERM)
    waiting.join()
    #expect(seen.withLock { $0 == [.hangUp, .terminate] })
  }
}
