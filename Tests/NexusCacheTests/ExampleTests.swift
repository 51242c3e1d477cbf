import Glibc
import NexusTestSupport
import Testing

@Suite("The example program") struct ExampleTests {
  @Test("shows two nodes that load a value once, and ends by itself") func scores() throws {
    let output = "/tmp/nexuscache-scores-\(getpid())-\(UInt32.random(in: 0 ... .max)).txt"
    defer { unlink(output) }
    let ports = NexusServer.freePorts(2)
    let program = try ChildProcess(
      Environment.productsDirectory + "/Scores", ports.map { "\($0)" }, output: output)
    #expect(eventually(seconds: 30) { program.exitStatus() != nil }, "it has not ended: \(program.output)")
    #expect(program.exitStatus() == 0)
    #expect(
      program.output == """
        two nodes are a cluster
        Tom = 630
        calls of the database: 1
        Nobody = nothing
        Tom = 700 after a write
        the origin broken failed: the database is on fire
        stopped

        """)
  }
}
