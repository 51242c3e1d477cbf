import Glibc
import NexusCache
import NexusService
import NexusTestSupport
import Testing

/// A program that embeds a node gets everything back when the node has stopped, however long the program goes on.
@Suite("A node that has stopped")
struct LettingGoTests {
  private struct Silence: Log {
    var minimum: LogLevel { .error }
    func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {}
  }

  private static func configuration(_ settings: (String, String)...) throws -> Configuration {
    var configuration = Configuration()
    configuration.log = Silence()
    for (name, value) in [("max-memory", "32mb"), ("threads", "2")] + settings {
      try configuration.set(name, to: value)
    }
    return configuration
  }

  @Test("by itself: nothing of it is left")
  func alone() throws {
    weak var node: Node?
    do {
      let ports = NexusServer.freePorts(2)
      let server = try NexusCacheServer(
        Self.configuration(("redis-port", "\(ports[0])"), ("http-port", "\(ports[1])"))
      ).start()
      node = server.node
      #expect(try RESPClient(.tcp(port: ports[0])).ask("SET", "k", "v") == .simple(Array("OK".utf8)))
      server.stop()
    }
    #expect(node == nil)
  }

  @Test("in a cluster, with clients whose operations ran elsewhere: nothing of it is left")
  func clustered() throws {
    weak var first: Node?
    weak var second: Node?
    do {
      let ports = NexusServer.freePorts(6)
      let servers = try (0..<2).map { number in
        try NexusCacheServer(
          Self.configuration(
            ("node-id", "n\(number)"), ("redis-port", "\(ports[3 * number])"),
            ("http-port", "\(ports[3 * number + 1])"), ("peer-port", "\(ports[3 * number + 2])"),
            ("cluster-secret", "of two in one process"), ("join", number == 0 ? "" : "127.0.0.1:\(ports[2])"))
        ).start()
      }
      (first, second) = (servers[0].node, servers[1].node)
      let clients = try (0..<2).map { try RESPClient(.tcp(port: ports[3 * $0])) }
      #expect(
        eventually {
          servers.allSatisfy { $0.node.cluster?.picture.members.count == 2 && $0.node.cluster!.picture.isReady }
        })
      for index in 0..<50 {
        let (key, value) = ("k\(index)", "\(index)")
        #expect(try clients[index % 2].ask("SET", key, value) == .simple(Array("OK".utf8)))
        #expect(try clients[(index + 1) % 2].ask("GET", key) == .text(value))
      }
      for server in servers { server.stop() }
    }
    #expect(first == nil)
    #expect(second == nil)
  }

  @Test("that could not start, as a door's port is taken: nothing of it is left")
  func unstarted() throws {
    weak var node: Node?
    do {
      let taken = try NexusServer()
      let ports = NexusServer.freePorts(2)
      let server = try NexusCacheServer(
        Self.configuration(
          ("redis-port", "\(taken.redisPort)"), ("http-port", "\(ports[0])"), ("peer-port", "\(ports[1])"),
          ("cluster-secret", "of one")))
      node = server.node
      #expect(throws: StartFailure.self) { try server.start() }
    }
    #expect(node == nil)
  }
}
