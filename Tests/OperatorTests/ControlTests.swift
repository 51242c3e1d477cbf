import Foundation
import NexusTestSupport
import Testing

/// What an operator sees who looks after a cluster from the command line.
@Suite struct ControlStories {
  private func run(_ arguments: [String], environment: [String] = []) throws -> (status: Int?, output: String) {
    try ChildProcess.run(NexusServer.executable, arguments, environment: environment, seconds: 60)
  }
  private func ctl(_ server: NexusServer, _ arguments: String...) throws -> (status: Int?, output: String) {
    try run(["ctl"] + arguments + ["--http", "127.0.0.1:\(server.httpPort)"])
  }

  @Test(arguments: [
    (["ctl", "membres"], 2, "nexuscache: there is no 'ctl membres'"),
    (["ctl", "join"], 2, "nexuscache: write whom to join"),
    (["ctl", "members", "--http", "nowhere"], 2, "nexuscache: --http cannot be 'nowhere'"),
    (["ctl", "members", "--http", "127.0.0.1:1"], 1, "nexuscache: cannot reach 127.0.0.1:1: Connection refused."),
    (["demo", "--nodes", "0"], 2, "nexuscache: --nodes cannot be '0': give a number from 1 to 16"),
    (["demo", "--redis-port", "7000"], 2, "nexuscache: --redis-port is chosen by 'demo'"),
    (["demo", "--max-memory", "64zb"], 1, "nexuscache: --max-memory cannot be '64zb'"),
  ])
  func mistakesEndWithOneLine(_ arguments: [String], _ status: Int, _ beginning: String) throws {
    let result = try run(arguments)
    #expect(result.status == status)
    #expect(result.output.hasPrefix(beginning), "\(result.output)")
    #expect(result.output.split(separator: "\n").count == 1, "\(result.output)")
  }

  @Test func aNodeByItselfSaysHowToMakeItAMember() throws {
    let server = try NexusServer()
    for command in ["status", "members", "slots", "leave", "rebalance"] {
      let result = try ctl(server, command)
      #expect(result.status == 1)
      #expect(result.output.contains("This node is by itself: start it with peer-port"), "\(result.output)")
    }
  }

  @Test func whatIsNoNodeIsNotTakenForOne() throws {
    let server = try NexusServer()
    let result = try run(["ctl", "members", "--http", "127.0.0.1:\(server.redisPort)"])
    #expect(result.status == 1 && result.output.hasPrefix("nexuscache: "), "\(result.output)")
  }
}
