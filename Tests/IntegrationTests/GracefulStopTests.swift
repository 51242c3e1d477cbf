import Glibc
import NexusTestSupport
import Testing

@Suite("Stopping", .serialized)
struct GracefulStopTests {
  @Test(
    "SIGTERM: what is in flight is answered, then the process ends with 0 within five seconds",
    arguments: [SIGTERM, SIGINT])
  func signals(_ signal: Int32) throws {
    let server = try NexusServer()
    let client = try server.connect()
    let idle = try server.connect()
    try client.ask("PING")
    try client.send(String(repeating: "PING\r\n", count: 500))
    #expect(try client.read() == .simple(Array("PONG".utf8)))
    server.process.signal(signal)
    // What arrived before the signal is answered; nothing is answered half.
    let rest = try client.readToEnd()
    #expect(rest.count % 7 == 0)
    #expect(server.process.waitForExit(seconds: 5) == 0, "\(server.process.output)")
    #expect(idle.isClosedByServer())
  }

  @Test("SHUTDOWN stops the server without a reply")
  func shutdownCommand() throws {
    for words in [["SHUTDOWN"], ["SHUTDOWN", "NOSAVE"], ["shutdown", "now"]] {
      let server = try NexusServer()
      let client = try server.connect()
      try client.send(RESPClient.encode(words.map { Array($0.utf8) }))
      #expect(try client.readToEnd() == [])
      #expect(server.process.waitForExit(seconds: 5) == 0, "\(server.process.output)")
    }
  }

  @Test("after a stop the ports are free for the next start")
  func portsAreFreeAfterwards() throws {
    let server = try NexusServer()
    let port = server.redisPort
    #expect(server.process.stop() == 0)
    #expect(throws: (any Error).self) { try RESPClient(.tcp(port: port)) }
  }
}
