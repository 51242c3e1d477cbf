import Glibc
import Synchronization
import Testing

@testable import NexusBench

@Suite struct TraceTests {
  func file(_ text: String) -> String {
    var template = Array("/tmp/nexuscache-trace-XXXXXX".utf8CString)
    let descriptor = mkstemp(&template)
    let bytes = Array(text.utf8)
    _ = write(descriptor, bytes, bytes.count)
    close(descriptor)
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  @Test func keysAloneAreRead() throws {
    let path = file("0\n1\n0\n2")
    defer { unlink(path) }
    let trace = try Trace(path: path)
    #expect(trace.keys == [0, 1, 0, 2])
    #expect(trace.objectCount == 3)
    #expect(!trace.hasSizes)
  }

  @Test func keysWithSizesAreRead() throws {
    let path = file("0 512\n1 1024\n0 512\n")
    defer { unlink(path) }
    let trace = try Trace(path: path)
    #expect(trace.sizes == [512, 1024])
    #expect(trace.totalBytes == 1536)
  }

  @Test func aLineThatIsNoRequestIsNamed() {
    let path = file("0\none\n")
    defer { unlink(path) }
    #expect {
      _ = try Trace(path: path)
    } throws: { error in
      "\(error)".contains("line 2")
    }
    #expect {
      _ = try Trace(path: "/nonexistent/trace.txt")
    } throws: { error in
      "\(error)".contains("cannot read /nonexistent/trace.txt")
    }
  }

  @Test func aReplayReadsEveryRequest() throws {
    let path = file("0\n1\n0\n2\n")
    defer { unlink(path) }
    let server = ConstantServer(requestBytes: 36, reply: "$1\r\nx\r\n")
    defer { server.stop() }
    let arguments = "--port \(server.port) --trace \(path) --pipeline 3 --json".split(separator: " ").map(String.init)
    let workload = try #require(try Workload.parse(arguments))
    let result = try TraceReplay.perform(workload, path: path)
    #expect(result.counts.hits == 4)
    #expect(result.operations == 4)
    #expect(server.received.load(ordering: .relaxed) == 4 * 36)
  }

  @Test func aReplayWritesWhatWasNotFound() throws {
    let path = file("0\n0\n")
    defer { unlink(path) }
    // It answers each request once: a read has 36 bytes, a write 43, and what is left over stays below 36.
    let server = ConstantServer(requestBytes: 36, reply: "$-1\r\n")
    defer { server.stop() }
    let arguments = "--port \(server.port) --trace \(path) --key-size 16 --value-size 1 --json".split(separator: " ")
    let workload = try #require(try Workload.parse(arguments.map(String.init)))
    let result = try TraceReplay.perform(workload, path: path)
    // Two reads that miss, and two writes of 43 bytes each.
    #expect(result.operations == 2)
    #expect(server.received.load(ordering: .relaxed) == 2 * 36 + 2 * 43)
  }
}
