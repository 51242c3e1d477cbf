import Glibc
import NexusModel
import NexusService
import NexusTestSupport
import NexusTransport
import Testing

/// Our message streams and Google's grpcio, both ways.
@Suite("gRPC with grpcio", .serialized, .enabled(if: hasGRPC, "scripts/venv makes .venv with grpcio"))
struct GRPCTests {
  private static let script = ClientTests.repository + "/Tests/Clients/grpc_streams.py"
  private static let environment = ["PYTHONDONTWRITEBYTECODE=1", "GRPC_VERBOSITY=ERROR"]

  @Test("grpcio calls: unary, many at once, streams, a slow reader, every kind of end")
  func grpcioCalls() throws {
    let echo = try EchoRuntime(loops: 2)
    let result = try ChildProcess.run(
      ClientTests.python, [Self.script, "client", "\(echo.port)"], environment: Self.environment, seconds: 240)
    #expect(result.status == 0, "\(result.output)")
  }

  @Test("grpcio serves: unary calls, errors, a deadline, a stream")
  func grpcioServes() throws {
    let directory = Environment.makeTemporaryDirectory()
    let server = try ChildProcess(
      ClientTests.python, [Self.script, "serve"], environment: Self.environment, output: directory + "/out")
    defer { server.stop(with: SIGKILL) }
    #expect(eventually(seconds: 60) { server.output.contains("port ") && server.output.hasSuffix("\n") })
    let port = try #require(UInt16(server.output.split(separator: " ")[1].dropLast()), "\(server.output)")
    let caller = try EchoRuntime(loops: 1, serves: false)
    let address = NetworkAddress(host: "127.0.0.1", port: port)
    for size in [0, 1, 100, 16_384, 100_000, 3_000_000] {
      let message = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
      #expect(try caller.call(address, "/test.Echo/Once", message)?.get() == message)
    }
    #expect(caller.call(address, "/test.Echo/Nowhere", [])?.end?.status.code == .unimplemented)
    let failed = caller.call(address, "/test.Echo/Fails", [])?.end
    #expect(failed == CallEnd(CallStatus(.failedPrecondition, "100% größer"), .served))
    let late = caller.call(address, "/test.Echo/Never", [1], timeoutMilliseconds: 200)?.end
    #expect(late?.status.code == .deadlineExceeded)
    let counted = caller.stream(address, "/test.Echo/Stream", messages: 2000, bytes: 5000)
    #expect(counted.end?.status == .ok)
    #expect(counted.messages == 2000 && counted.bytes == 10_000_000)
    server.stop(with: SIGKILL)
    #expect(caller.call(address, "/test.Echo/Once", [1])?.end?.status.code == .unavailable)
  }
}

private let hasGRPC =
  access(ClientTests.python, X_OK) == 0
  && (try? ChildProcess.run(ClientTests.python, ["-c", "import grpc"], seconds: 60).status) == 0

/// A runtime of this process that serves echoes and calls others.
private final class EchoRuntime {
  private let runtime: Runtime
  private let door: HTTP2Door
  let port: UInt16

  init(loops: Int, serves: Bool = true) throws {
    var configuration = RuntimeConfiguration(listeners: serves ? [.init(name: "grpc", port: 0)] : [])
    configuration.threads = loops
    let gauge = MemoryGauge()
    runtime = try Runtime(configuration: configuration, gauge: gauge, log: SilentLog())
    try runtime.start { _, loop in
      let door = HTTP2Door(loop: loop, limits: MessageStreamLimits(), gauge: gauge, log: SilentLog())
      Self.serve(door)
      return door
    }
    door = HTTP2Door(loop: runtime.loops[0], limits: MessageStreamLimits(), gauge: gauge, log: SilentLog())
    port = runtime.endpoints.first?.port ?? 0
  }

  deinit { runtime.stop(graceMilliseconds: 0) }

  private static func serve(_ door: HTTP2Door) {
    door.serve("/test.Echo/Stream") { _ in .taken(by: Echo(first: false)) }
    door.serve("/test.Echo/First") { _ in .taken(by: Echo(first: true)) }
    door.serveUnary("/test.Echo/Once") { _, message, stream in
      _ = stream.send(message)
      stream.finish(.ok)
    }
    door.serveUnary("/test.Echo/Never") { _, _, _ in }
    door.serveUnary("/test.Echo/Fails") { _, _, stream in
      stream.finish(CallStatus(.failedPrecondition, "100% größer"))
    }
  }

  /// A unary call, awaited.
  func call(
    _ address: NetworkAddress, _ path: String, _ message: [UInt8], timeoutMilliseconds: Int = 30_000
  ) -> Result<[UInt8], CallEnd>? {
    let box = Box()
    runtime.loops[0].post { [door] in
      message.withUnsafeBytes { bytes in
        _ = door.call(to: address, path: path, timeoutMilliseconds: timeoutMilliseconds, message: bytes) { result in
          box.answer.withLock { $0 = result }
        }
      }
    }
    _ = eventually(seconds: 60) { box.answer.withLock { $0 != nil } }
    return box.answer.withLock { $0 }
  }

  /// Sends messages as the queue drains, and waits for the end.
  func stream(_ address: NetworkAddress, _ path: String, messages: Int, bytes: Int)
    -> (messages: Int, bytes: Int, end: CallEnd?)
  {
    let sender = Sender(messages: messages, bytes: bytes)
    runtime.loops[0].post { [door] in
      _ = door.open(to: address, path: path, headers: [], timeoutMilliseconds: nil, sender)
    }
    _ = eventually(seconds: 60) { sender.outcome.withLock { $0.end != nil } }
    return sender.outcome.withLock { $0 }
  }
}

private final class Box: Sendable {
  let answer = Guarded<Result<[UInt8], CallEnd>?>(nil)
}

extension Result where Failure == CallEnd {
  fileprivate var end: CallEnd? { if case .failure(let end) = self { end } else { nil } }
}

private final class Echo: MessageStreamHandler {
  private var stream: (any MessageStream)?
  private let first: Bool
  init(first: Bool) { self.first = first }
  func opened(_ stream: any MessageStream) { self.stream = stream }

  func received(_ message: UnsafeRawBufferPointer) {
    guard let stream else { return }
    _ = stream.send(message)
    if first { stream.finish(.ok) }
    // What the caller does not read is not read from it either.
    if stream.queuedBytes > 1_000_000 { stream.pause() }
  }

  func drained() { stream?.resume() }
  func finished() { stream?.finish(.ok) }
  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) { stream = nil }
}

/// Invariant: the hooks run on the loop's thread; the test reads `outcome` only.
private final class Sender: MessageStreamHandler, @unchecked Sendable {
  let outcome = Guarded<(messages: Int, bytes: Int, end: CallEnd?)>((0, 0, nil))
  private var left: Int
  private let bytes: Int
  private var stream: (any MessageStream)?

  init(messages: Int, bytes: Int) {
    left = messages
    self.bytes = bytes
  }

  func opened(_ stream: any MessageStream) {
    self.stream = stream
    drained()
  }

  func drained() {
    guard let stream, left > 0 else { return }
    let message = [UInt8](repeating: 7, count: bytes)
    while left > 0 && stream.queuedBytes < 200_000 {
      _ = message.withUnsafeBytes { stream.send($0) }
      left -= 1
    }
    if left == 0 { stream.finish(.ok) }
  }

  func received(_ message: UnsafeRawBufferPointer) {
    outcome.withLock {
      $0.messages += 1
      $0.bytes += message.count
    }
  }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    stream = nil
    outcome.withLock { $0.end = end }
  }
}
