import Glibc
import NexusModel
import NexusService
import Synchronization
import Testing

@testable import NexusTransport

/// Two runtimes with doors: one that serves echoes, one that calls.
final class DoorPair {
  let serving: Runtime
  let calling: Runtime
  let address: NetworkAddress
  /// The calling runtime's loop and its door.
  let loop: EpollLoop
  let door: HTTP2Door
  let log = Journal()
  let gauge = MemoryGauge()

  final class Journal: Log {
    let lines = Guarded<[String]>([])
    var minimum: LogLevel { .debug }

    func write(_ level: LogLevel, _ message: String, _ fields: [(String, String)]) {
      lines.withLock { $0.append(message + fields.map { " \($0.0)=\($0.1)" }.joined()) }
    }

    func has(_ text: String) -> Bool { lines.withLock { $0.contains { $0.contains(text) } } }
  }

  init(
    serving limits: MessageStreamLimits = .init(), calling: MessageStreamLimits = .init(), loops: Int = 1,
    clients: Int = 10_000
  ) throws {
    var configuration = RuntimeConfiguration(listeners: [.init(name: "grpc", port: 0)])
    configuration.threads = loops
    configuration.limits.clients = clients
    serving = try Runtime(configuration: configuration, gauge: gauge, log: log)
    try serving.start { [log, gauge] _, loop in
      let door = HTTP2Door(loop: loop, limits: limits, gauge: gauge, log: log)
      door.serve("/test.Echo/Stream") { _ in .taken(by: EchoHandler()) }
      door.serve("/test.Echo/Endless") { _ in .taken(by: EchoHandler(finishes: false)) }
      door.serveUnary("/test.Echo/Once") { head, message, stream in
        _ = stream.send(message)
        stream.finish(.ok)
      }
      door.serveUnary("/test.Echo/Never") { _, _, _ in }
      return door
    }
    address = NetworkAddress(host: "127.0.0.1", port: serving.endpoints[0].port!)
    var none = RuntimeConfiguration(listeners: [])
    none.threads = 1
    self.calling = try Runtime(configuration: none, gauge: gauge, log: log)
    loop = self.calling.loops[0]
    door = HTTP2Door(loop: loop, limits: calling, gauge: gauge, log: log)
    try self.calling.start { _, _ in preconditionFailure("nothing listens here") }
  }

  deinit {
    calling.stop(graceMilliseconds: 0)
    serving.stop(graceMilliseconds: 0)
  }

  /// A unary call, awaited.
  func call(_ path: String, _ message: [UInt8], to other: NetworkAddress? = nil, timeout: Int? = 10_000)
    -> Result<[UInt8], CallEnd>?
  {
    let answer = Guarded<Result<[UInt8], CallEnd>?>(nil)
    let address = other ?? address
    loop.post { [door] in
      message.withUnsafeBytes { bytes in
        _ = door.call(to: address, path: path, timeoutMilliseconds: timeout, message: bytes) { result in
          answer.withLock { $0 = result }
        }
      }
    }
    _ = eventually { answer.withLock { $0 != nil } }
    return answer.withLock { $0 }
  }

  /// A stream whose events the test reads, from its own thread.
  func stream(_ path: String, to other: NetworkAddress? = nil, _ prepare: @escaping @Sendable (SharedRecorder) -> Void)
    -> SharedRecorder
  {
    let recorder = SharedRecorder()
    let address = other ?? address
    loop.post { [door] in
      prepare(recorder)
      _ = door.open(to: address, path: path, headers: [], timeoutMilliseconds: nil, recorder)
    }
    return recorder
  }
}

final class EchoHandler: MessageStreamHandler {
  private var stream: (any MessageStream)?
  private let finishes: Bool
  init(finishes: Bool = true) { self.finishes = finishes }
  func opened(_ stream: any MessageStream) { self.stream = stream }
  func received(_ message: UnsafeRawBufferPointer) { _ = stream?.send(message) }
  func finished() { if finishes { stream?.finish(.ok) } }
  func stopping() { if !finishes { stream?.finish(CallStatus(.unavailable, "stopping")) } }
  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) { stream = nil }
}

/// A handler whose counts the test's thread may read. Its hooks run on the loop's thread.
final class SharedRecorder: MessageStreamHandler, @unchecked Sendable {
  let messages = Atomic<Int>(0)
  let bytes = Atomic<Int>(0)
  let end = Guarded<CallEnd?>(nil)
  // Invariant: set before the stream is opened, used on the loop's thread.
  var onOpened: (any MessageStream) -> Void = { _ in }
  var onMessage: (any MessageStream, UnsafeRawBufferPointer) -> Void = { _, _ in }
  var onDrained: (any MessageStream) -> Void = { _ in }
  private(set) var stream: (any MessageStream)?

  func opened(_ stream: any MessageStream) {
    self.stream = stream
    onOpened(stream)
  }

  func received(_ message: UnsafeRawBufferPointer) {
    bytes.wrappingAdd(message.count, ordering: .relaxed)
    if let stream { onMessage(stream, message) }
    messages.wrappingAdd(1, ordering: .releasing)
  }

  func drained() { if let stream { onDrained(stream) } }

  func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {
    stream = nil
    // What a test does here may hold this.
    (onOpened, onMessage, onDrained) = ({ _ in }, { _, _ in }, { _ in })
    self.end.withLock { $0 = end }
  }

  var isClosed: Bool { end.withLock { $0 != nil } }
}

@Suite struct `Calls over real loops` {
  @Test func `a unary call is answered`() throws {
    let pair = try DoorPair(loops: 2)
    for number in 0..<50 {
      let message = Array("number \(number)".utf8)
      #expect(try pair.call("/test.Echo/Once", message)?.get() == message)
    }
    // All over one connection, which counts as no client of ours.
    #expect(pair.serving.connectionCount == 1)
    #expect(pair.calling.connectionCount == 0)
  }

  @Test func `a stream carries large and small messages both ways at once`() throws {
    let pair = try DoorPair()
    let total = 400
    let recorder = pair.stream("/test.Echo/Stream") { recorder in
      recorder.onOpened = { stream in
        for number in 0..<total {
          let count = number % 10 == 0 ? 700_000 : number
          _ = stream.send { output in
            output.reserve(count)
            memset(output.base + output.count, Int32(number & 127), count)
            output.count += count
          }
        }
        stream.finish(.ok)
      }
      recorder.onMessage = { _, message in
        let number = recorder.messages.load(ordering: .relaxed)
        #expect(message.count == (number % 10 == 0 ? 700_000 : number))
        #expect(message.allSatisfy { $0 == UInt8(number & 127) })
      }
    }
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0 } == CallEnd(.ok, .served))
    #expect(recorder.messages.load(ordering: .acquiring) == total)
  }

  @Test func `a flood is held back by who reads slowly, and arrives whole`() throws {
    var narrow = MessageStreamLimits()
    narrow.streamWindowBytes = 200_000
    let pair = try DoorPair(serving: narrow, calling: narrow)
    let recorder = pair.stream("/test.Echo/Stream") { recorder in
      var sent = 0
      func fill(_ stream: any MessageStream) {
        while sent < 3000 && stream.queuedBytes < 100_000 {
          let isTaken = [UInt8](repeating: 1, count: 5000).withUnsafeBytes { stream.send($0) }
          #expect(isTaken)
          sent += 1
        }
        if sent == 3000 { stream.finish(.ok) }
      }
      recorder.onOpened = fill
      recorder.onDrained = fill
    }
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0?.status } == .ok)
    #expect(recorder.bytes.load(ordering: .acquiring) == 15_000_000)
  }

  @Test func `nobody listens, nobody answers, no such address: nothing was sent`() throws {
    let pair = try DoorPair()
    let free = try freePort()
    let refused = pair.call("/test.Echo/Once", [1], to: NetworkAddress(host: "127.0.0.1", port: free))
    #expect(refused == .failure(CallEnd(refused!.end!.status, .notConnected(.refused))))
    #expect(refused?.end?.isUntouched == true)
    let named = pair.call("/test.Echo/Once", [1], to: NetworkAddress(host: "localhost", port: free))
    #expect(named?.end?.cause == .notConnected(.invalidAddress("localhost")))
  }

  @Test func `a call's time runs out while nobody answers`() throws {
    let pair = try DoorPair()
    let end = pair.call("/test.Echo/Never", [1], timeout: 30)?.end
    #expect(end?.status.code == .deadlineExceeded)
    #expect(end?.isUntouched == false)
    #expect(try pair.call("/test.Echo/Once", [1])?.get() == [1])
  }

  @Test func `a server that stops says so, ends what it serves, and is called anew when it is back`() throws {
    let pair = try DoorPair()
    let recorder = pair.stream("/test.Echo/Endless") { $0.onOpened = { _ = $0.send(text: "x") } }
    #expect(eventually { recorder.messages.load(ordering: .acquiring) == 1 })
    pair.serving.stop(graceMilliseconds: 8000)
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0?.status } == CallStatus(.unavailable, "stopping"))
    #expect(pair.call("/test.Echo/Once", [1])?.end?.cause == .notConnected(.refused))
  }

  @Test func `a server that is cut off leaves the outcome open`() throws {
    let pair = try DoorPair()
    let recorder = pair.stream("/test.Echo/Stream") { $0.onOpened = { _ = $0.send(text: "x") } }
    #expect(eventually { recorder.messages.load(ordering: .acquiring) == 1 })
    pair.serving.stop(graceMilliseconds: 0)
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0?.cause } == .lost)
    #expect(recorder.end.withLock { $0?.status.code } == .unavailable)
  }

  @Test func `a connection whose other side is silent is given up`() throws {
    var eager = MessageStreamLimits()
    eager.keepaliveIntervalMilliseconds = 30
    eager.keepaliveTimeoutMilliseconds = 30
    let pair = try DoorPair(calling: eager)
    // Listens, accepts by the kernel, and never says a word.
    let mute = try MuteListener()
    let recorder = pair.stream("/test.Echo/Stream", to: NetworkAddress(host: "127.0.0.1", port: mute.port)) { _ in }
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0?.status.message.contains("PING") } == true)
    // One that answers is kept, however long nothing is said.
    let alive = pair.stream("/test.Echo/Stream") { _ in }
    usleep(200_000)
    #expect(!alive.isClosed)
  }

  @Test func `a connection that is hung up ends its streams, and the next one makes another`() throws {
    let pair = try DoorPair()
    func hangUp(_ address: NetworkAddress, ifEstablished: Bool) {
      pair.loop.post { [door = pair.door] in door.hangUp(address, ifEstablished: ifEstablished) }
    }
    let recorder = pair.stream("/test.Echo/Stream") { $0.onOpened = { _ = $0.send(text: "x") } }
    #expect(eventually { recorder.messages.load(ordering: .acquiring) == 1 })
    hangUp(pair.address, ifEstablished: false)
    #expect(try pair.call("/test.Echo/Once", [1])?.get() == [1])
    #expect(!recorder.isClosed)
    hangUp(pair.address, ifEstablished: true)
    #expect(eventually { recorder.isClosed })
    #expect(recorder.end.withLock { $0?.cause } == .lost)
    #expect(try pair.call("/test.Echo/Once", [2])?.get() == [2])
    // One that is still being made: nobody takes it.
    let full = try MuteListener(backlog: 0)
    let fillers = try (0..<3).map { _ in try Filler(port: full.port) }
    let address = NetworkAddress(host: "127.0.0.1", port: full.port)
    let waiting = pair.stream("/test.Echo/Stream", to: address) { _ in }
    hangUp(address, ifEstablished: false)
    #expect(eventually { waiting.isClosed })
    #expect(waiting.end.withLock { $0?.isUntouched } == true)
    withExtendedLifetime(fillers) {}
  }

  @Test(arguments: ["GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\u{16}\u{3}\u{1} hello", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"])
  func `what does not speak HTTP/2 is turned away with a word in the log`(_ text: String) throws {
    let pair = try DoorPair()
    let client = try TestClient(port: pair.address.port)
    try client.write(Array(text.utf8))
    _ = try client.readToEnd()
    #expect(pair.log.has(text.hasPrefix("GET") ? "HTTP/1.1" : "does not speak HTTP/2"))
    #expect(try pair.call("/test.Echo/Once", [1])?.get() == [1])
  }

  @Test func `a connection that is not used is closed`() throws {
    var brief = MessageStreamLimits()
    brief.unusedConnectionMilliseconds = 20
    let pair = try DoorPair(calling: brief)
    #expect(try pair.call("/test.Echo/Once", [1])?.get() == [1])
    #expect(eventually { pair.serving.connectionCount == 0 })
    #expect(try pair.call("/test.Echo/Once", [2])?.get() == [2])
  }
}

extension Result where Failure == CallEnd {
  var end: CallEnd? { if case .failure(let end) = self { end } else { nil } }
}

/// A listening socket that nobody accepts from.
final class MuteListener {
  let descriptor: Int32
  let port: UInt16

  init(backlog: Int32 = 16) throws {
    let opened = try Listening.tcp(SocketAddress.resolve("127.0.0.1", port: 0)[0], loops: 1, backlog: backlog)
    descriptor = opened.descriptors[0]
    port = opened.address.port
  }

  deinit { close(descriptor) }
}

/// A port that nobody listens on.
func freePort() throws -> UInt16 { try MuteListener().port }
