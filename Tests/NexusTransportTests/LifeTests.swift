import Glibc
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusTransport

@Suite struct `The life of a connection` {
  @Test func `a client that shuts down its writing side still gets its replies, then the end`() throws {
    let server = try EchoServer()
    let client = try server.client()
    var requests: [UInt8] = []
    for number in 0..<1000 { requests += TestClient.frame("e\(number)") }
    requests += [9, 0, 0, 0, 0x65]  // and half a request, which nobody will finish
    try client.write(requests)
    client.finishWriting()
    for number in 0..<1000 { #expect(try client.receiveText() == "e\(number)") }
    #expect(try client.readToEnd().isEmpty)
    #expect(eventually { server.journal.closed.withLock { $0 == [.byPeer] } })
  }

  @Test func `what a client sent before it went away is executed`() throws {
    let path = "/tmp/nexus-\(getpid())-away.sock"
    let server = try EchoServer(unixPath: path)
    for client in [try server.client(), try TestClient(unixPath: path)] {
      try client.write((0..<100).flatMap { TestClient.frame("e\($0)") })
    }
    #expect(eventually { server.journal.messages.load(ordering: .relaxed) == 200 })
    #expect(eventually { server.journal.closed.withLock { $0.count == 2 } })
  }

  @Test func `a door that asks to close has its last reply delivered first`() throws {
    let server = try EchoServer()
    let client = try server.client()
    // What comes behind the last request must not turn the close into a reset.
    try client.write(TestClient.frame("x bye") + [UInt8](repeating: 0x65, count: 1_000_000))
    #expect(try client.receiveText() == "x bye")
    #expect(try client.readToEnd().isEmpty)
    #expect(eventually { server.journal.closed.withLock { $0 == [.byDoor] } })
  }

  @Test func `suspended input waits for resume, and the order of replies holds`() throws {
    let server = try EchoServer()
    let client = try server.client()
    try client.write(TestClient.frame("e1") + TestClient.frame("s2") + TestClient.frame("e3"))
    #expect(try client.receiveText() == "e1")
    #expect(eventually { server.journal.suspended.withLock({ $0.count }) == 1 })
    try client.send("e4")
    #expect(try server.client().echo("e other") == "e other")
    let (loop, id) = server.journal.suspended.withLock { $0[0] }
    loop.post { [unowned loop] in loop.resume(id) }
    for text in ["s2", "e3", "e4"] { #expect(try client.receiveText() == text) }
  }

  @Test func `a client that has finished writing stays until it has the replies that it is owed`() throws {
    let server = try EchoServer()
    let client = try server.client()
    try client.send("o1")
    client.finishWriting()
    #expect(eventually { server.journal.owed.withLock { $0.count } == 1 })
    let id = server.journal.owed.withLock { $0[0] }
    #expect(eventually { server.onLoop { $0.table.find(id)?.pointee.flags.contains(.peerFinished) ?? true } })
    server.onLoop { loop in
      _ = TestClient.frame("later").withUnsafeBytes { loop.send($0, to: id) }
      loop.owesReplies(id, false)
    }
    #expect(try client.receiveText() == "later")
    #expect(try client.readToEnd().isEmpty)
  }

  @Test func `a suspended client that has finished writing is still answered`() throws {
    let server = try EchoServer()
    let client = try server.client()
    try client.write(TestClient.frame("s1") + TestClient.frame("e2"))
    client.finishWriting()
    #expect(eventually { server.journal.suspended.withLock({ $0.count }) == 1 })
    let (loop, id) = server.journal.suspended.withLock { $0[0] }
    loop.post { [unowned loop] in loop.resume(id) }
    #expect(try client.receiveText() == "s1")
    #expect(try client.receiveText() == "e2")
    #expect(try client.readToEnd().isEmpty)
  }

  @Test func `a killed client is closed at once, also in the middle of its own batch`() throws {
    let server = try EchoServer()
    let victim = try server.client()
    #expect(try victim.echo("e") == "e")
    let id = server.journal.opened.withLock { $0[0] }
    server.onLoop { $0.close(id, afterFlush: false) }
    #expect(try victim.readToEnd().isEmpty)
    let suicidal = try server.client()
    try suicidal.write(TestClient.frame("k"))
    #expect(try suicidal.readToEnd().isEmpty)
    #expect(eventually { server.journal.closed.withLock { $0 == [.killed, .killed] } })
    #expect(server.onLoop { $0.send(UnsafeRawBufferPointer(start: nil, count: 0), to: id) } == false)
  }

  @Test func `an old connection's name does not reach the slot's new holder`() throws {
    let server = try EchoServer()
    var old: TestClient? = try server.client()
    #expect(try old?.echo("e") == "e")
    let oldID = server.journal.opened.withLock { $0[0] }
    old = nil
    #expect(eventually { server.runtime.connectionCount == 0 })
    let new = try server.client()
    #expect(try new.echo("e") == "e")
    let newID = server.journal.opened.withLock { $0[1] }
    #expect(newID.slot == oldID.slot && newID.generation != oldID.generation)
    server.onLoop { $0.close(oldID, afterFlush: false) }
    #expect(try new.echo("e alive") == "e alive")
  }

  @Test func `pushes arrive whole and in order, those to oneself behind the batch's replies`() throws {
    let server = try EchoServer()
    let client = try server.client()
    #expect(try client.echo("e") == "e")
    let id = server.journal.opened.withLock { $0[0] }
    server.onLoop { loop in
      for number in 0..<1000 {
        TestClient.frame("push \(number)").withUnsafeBytes { _ = loop.send($0, to: id) }
      }
    }
    for number in 0..<1000 { #expect(try client.receiveText() == "push \(number)") }
    try client.write(TestClient.frame("p1") + TestClient.frame("e2"))
    #expect(try client.receiveText() == "p1")
    #expect(try client.receiveText() == "e2")
    #expect(try client.read(6) == Array("pushed".utf8))
  }

  @Test func `a door may refuse with a farewell`() throws {
    let gauge = MemoryGauge()
    var configuration = RuntimeConfiguration(listeners: [.init(name: "echo", port: 0)])
    configuration.threads = 1
    let runtime = try Runtime(configuration: configuration, gauge: gauge, log: SilentLog())
    try runtime.start { _, loop in
      let door = EchoDoor(loop, EchoDoor.Journal())
      door.refusesAll = true
      return door
    }
    let client = try TestClient(port: runtime.endpoints[0].port!)
    #expect(try client.readToEnd() == Array("not today".utf8))
    runtime.stop(graceMilliseconds: 0)
  }

  @Test func `a connection reset by its peer is the end of that connection only`() throws {
    let server = try EchoServer()
    for _ in 0..<20 {
      let client = try server.client()
      var reset = linger(l_onoff: 1, l_linger: 0)
      setsockopt(client.descriptor, SOL_SOCKET, SO_LINGER, &reset, socklen_t(MemoryLayout<linger>.size))
      try client.write(TestClient.ask(1_000_000))
    }
    #expect(eventually { server.journal.closed.withLock({ $0.count }) == 20 })
    #expect(try server.client().echo("e fine") == "e fine")
  }
}
