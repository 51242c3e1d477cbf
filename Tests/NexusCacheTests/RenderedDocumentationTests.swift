import Glibc
import NexusTestSupport
import Testing

@Suite("The library's documentation") struct RenderedDocumentationTests {
  @Test("renders without a network and without a warning", .enabled(if: Environment.find(program: "docc") != nil))
  func renders() throws {
    let folder = Environment.makeTemporaryDirectory()
    let script = #filePath.split(separator: "/").dropLast(3).reduce("") { "\($0)/\($1)" } + "/scripts/docc"
    let run = try ChildProcess(
      script, [Environment.productsDirectory, "\(folder)/pages"], output: "\(folder)/output")
    #expect(run.waitForExit(seconds: 120) == 0, "\(run.output)")
    for page in ["index.html", "data/documentation/nexuscache/clusters.json"] {
      #expect(access("\(folder)/pages/\(page)", R_OK) == 0, "there is no \(page)")
    }
    _ = try ChildProcess("/bin/rm", ["-rf", folder], output: "/dev/null").waitForExit(seconds: 10)
  }
}
