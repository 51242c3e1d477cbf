import Synchronization
import Testing

@testable import NexusBench

/// Whole runs against a server that answers a constant.
@Suite struct LoadRunTests {
  /// Bytes of `SET key:000000000000 <32 bytes>` and of `GET key:000000000000` in the Redis protocol.
  static let setBytes = 75
  static let getBytes = 36

  func workload(_ server: ConstantServer, _ options: String) throws -> Workload {
    let arguments = "--port \(server.port) --no-progress \(options)".split(separator: " ").map(String.init)
    return try #require(try Workload.parse(arguments))
  }

  @Test(arguments: ["", "--spin", "--threads 3"]) func loadingSendsEveryKeyOnce(mode: String) throws {
    let server = ConstantServer(requestBytes: Self.setBytes, reply: "+OK\r\n")
    defer { server.stop() }
    // 1,003 is no multiple of the pipeline: the last turn is shorter.
    let options = "--op load --keys 1003 --connections 5 --pipeline 7 \(mode)"
    let result = try LoadRun(workload(server, options)).perform()
    #expect(result.operations == 1003)
    #expect(result.counts.errors == 0)
    #expect(result.histogram.count == 1003)
    #expect(server.received.load(ordering: .relaxed) == 1003 * Self.setBytes)
  }

  @Test func readsCountHitsUntilTheTimeIsOver() throws {
    let server = ConstantServer(requestBytes: Self.getBytes, reply: "$3\r\nabc\r\n")
    defer { server.stop() }
    let options = "--op get --connections 3 --pipeline 4 --duration 100ms --warm-up 10ms"
    let result = try LoadRun(workload(server, options)).perform()
    #expect(result.operations > 0)
    #expect(result.counts.hits == result.operations)
    #expect(result.counts.misses == 0)
    #expect(result.histogram.count == UInt64(result.operations))
  }

  @Test func severalNodesAreAskedTogetherEachForItsShare() throws {
    let hit = ConstantServer(requestBytes: Self.getBytes, reply: "$3\r\nabc\r\n")
    let miss = ConstantServer(requestBytes: Self.getBytes, reply: "$-1\r\n")
    defer {
      hit.stop()
      miss.stop()
    }
    let line =
      "--node \(hit.port)=0-8191 --node \(miss.port)=8192-16383 --keys 100 --op get --connections 4 --threads 2"
      + " --duration 100ms --warm-up 0 --no-progress"
    let workload = try #require(try Workload.parse(line.split(separator: " ").map(String.init)))
    let result = try LoadRun(workload).perform()
    #expect(result.counts.hits > 0)
    #expect(result.counts.misses > 0)
    #expect(result.counts.hits + result.counts.misses == result.operations)
    #expect(workload.shares.map(\.port) == [hit.port, miss.port])
    #expect(Set(workload.shares[0].keyOffsets).isDisjoint(with: workload.shares[1].keyOffsets))
  }

  @Test func aFixedRateSendsNoMoreThanItsSchedule() throws {
    let server = ConstantServer(requestBytes: Self.getBytes, reply: "$-1\r\n")
    defer { server.stop() }
    let options = "--op get --connections 4 --rate 2000 --duration 250ms --warm-up 0"
    let startedAt = Clock.monotonic()
    let result = try LoadRun(workload(server, options)).perform()
    #expect(result.counts.misses == result.operations)
    // The schedule lies within the call; each connection may have one turn more than its share.
    #expect(Double(result.operations) <= 2000 * Double(Clock.monotonic() - startedAt) * 1e-9 + 8)
  }

  @Test func refusalsAreCountedAndTheFirstIsShown() throws {
    let server = ConstantServer(requestBytes: Self.setBytes, reply: "-OOM no room\r\n")
    defer { server.stop() }
    let load = try workload(server, "--op load --keys 10 --connections 1")
    let result = try LoadRun(load).perform()
    #expect(result.counts.errors == 10)
    #expect(Report(workload: load, result: result).text.contains("10 error replies, the first: OOM no room"))
  }

  @Test func aServerThatHangsUpEndsTheRunWithAReason() throws {
    let server = ConstantServer(requestBytes: Self.setBytes, reply: "+OK\r\n", closeAfter: 5)
    defer { server.stop() }
    let load = try workload(server, "--op load --keys 100 --connections 1")
    #expect {
      _ = try LoadRun(load).perform()
    } throws: { error in
      (error as? RunFailure)?.message.contains("127.0.0.1:\(server.port)") == true
    }
  }

  @Test func anotherProtocolEndsTheRunWithAReason() throws {
    let server = ConstantServer(requestBytes: Self.setBytes, reply: "HTTP/1.1 400 Bad Request\r\n")
    defer { server.stop() }
    let load = try workload(server, "--op load --keys 100 --connections 1")
    #expect {
      _ = try LoadRun(load).perform()
    } throws: { error in
      let message = (error as? RunFailure)?.message ?? ""
      return message.contains("does not speak resp: it answered 'HTTP/1.1 400 Bad Request'")
    }
  }

  @Test func aClosedPortIsNamed() throws {
    let server = ConstantServer(requestBytes: 1, reply: "x")
    let load = try workload(server, "--op load --keys 1 --connections 1")
    var closed = load
    closed.unixSocket = "/nonexistent/nexuscache.sock"
    #expect {
      _ = try LoadRun(closed).perform()
    } throws: { error in
      (error as? RunFailure)?.message.hasPrefix("cannot connect to /nonexistent/nexuscache.sock") == true
    }
    server.stop()
  }

  @Test func theReportIsOneJSONObject() throws {
    let server = ConstantServer(requestBytes: Self.setBytes, reply: "+OK\r\n")
    defer { server.stop() }
    let load = try workload(server, "--op load --keys 10 --connections 1")
    let text = Report(workload: load, result: try LoadRun(load).perform()).json
    #expect(text.hasPrefix("{\"protocol\":\"resp\",\"op\":\"load\"") && text.hasSuffix("}\n"))
    #expect(text.contains("\"operations\":10,"))
    #expect(text.contains("\"p999_us\":"))
  }
}
