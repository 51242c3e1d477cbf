import Glibc
import NexusModel
import NexusService
import Testing

@testable import NexusTransport

@Suite struct `Where clients come in` {
  private func path(_ name: String) -> String { "/tmp/nexus-\(getpid())-\(name).sock" }

  @Test func `IPv4 and IPv6 stand side by side on one port`() throws {
    let server = try EchoServer(addresses: ["127.0.0.1", "-::1"])
    #expect(try server.client().echo("e4") == "e4")
    guard server.runtime.endpoints.count == 2 else { return }  // a machine without IPv6
    #expect(server.runtime.endpoints[1].address == "[::1]:\(server.port)")
    #expect(try TestClient(port: server.port, host: "::1").echo("e6") == "e6")
    let peer = server.journal.peers.withLock { $0[1] }
    #expect(peer.local == "[::1]:\(server.port)" && peer.remote.hasPrefix("[::1]:") && !peer.isUnixSocket)
  }

  @Test func `a port in use stops the start with a sentence that helps`() throws {
    let server = try EchoServer()
    var configuration = RuntimeConfiguration(listeners: [.init(name: "echo", port: server.port)])
    configuration.threads = 2
    let second = try Runtime(configuration: configuration, gauge: MemoryGauge(), log: SilentLog())
    let error = #expect(throws: TransportError.self) {
      try second.start { _, loop in EchoDoor(loop, EchoDoor.Journal()) }
    }
    let text =
      "cannot listen on 127.0.0.1:\(server.port): address already in use; another process uses this port: stop it, "
    #expect(error?.description.hasPrefix(text) == true)
  }

  @Test(arguments: ["192.0.2.77", "no such host", "1.2.3"]) func `an address that is not ours is refused`(
    _ address: String
  ) {
    #expect(throws: TransportError.self) { _ = try EchoServer(addresses: [address]) }
  }

  @Test func `a Unix socket serves all loops in turn`() throws {
    let path = path("turn")
    let server = try EchoServer(loops: 2, unixPath: path, tcp: false)
    let clients = try (0..<6).map { _ in try TestClient(unixPath: path) }
    for client in clients { #expect(try client.echo("e local") == "e local") }
    #expect(server.counted(by: 0) { $0.connectionsAccepted.value } == 3)
    #expect(server.counted(by: 1) { $0.connectionsAccepted.value } == 3)
    let peer = server.journal.peers.withLock { $0[0] }
    #expect(peer.remote == path + ":0" && peer.isUnixSocket)
    var status = stat()
    #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o700)
    clients[0].finishWriting()
    #expect(try clients[0].readToEnd().isEmpty)
    server.runtime.stop()
    #expect(stat(path, &status) != 0)
  }

  @Test func `a Unix socket that a dead process left is replaced, a living one and a plain file are not`() throws {
    let path = path("stale")
    let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(SocketAddress(unixPath: path)!.withSockaddr { bind(left, $0, $1) } == 0)
    close(left)
    let server = try EchoServer(unixPath: path, tcp: false)
    #expect(try TestClient(unixPath: path).echo("e") == "e")
    let error = #expect(throws: TransportError.self) { _ = try EchoServer(unixPath: path, tcp: false) }
    #expect(error?.description.contains("another process listens there") == true)
    #expect(try TestClient(unixPath: path).echo("e still") == "e still")
    server.runtime.stop()
    close(open(path, O_CREAT | O_WRONLY, 0o600))
    defer { unlink(path) }
    let second = #expect(throws: TransportError.self) { _ = try EchoServer(unixPath: path, tcp: false) }
    #expect(second?.description.contains("not a socket") == true)
  }

  @Test func `a path too long for a socket is named`() {
    let error = #expect(throws: TransportError.self) {
      _ = try EchoServer(unixPath: "/tmp/" + String(repeating: "x", count: 200), tcp: false)
    }
    #expect(error?.description.contains("1 to 107 bytes") == true)
  }
}
