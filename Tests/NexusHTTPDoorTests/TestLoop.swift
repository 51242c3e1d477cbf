import Glibc
import NexusModel
import NexusService
import NexusStore
import Synchronization

@testable import NexusHTTPDoor

/// The least of an event loop: polls one door's descriptor on a thread of its own.
final class TestLoop: EventLoop, @unchecked Sendable {
  let index = 0
  var now: UnixMilliseconds { clock.load(ordering: .relaxed) }
  let clock = Atomic<Int64>(1_700_000_000_000)

  var monotonicNanoseconds: UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
  func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool { false }
  func close(_ id: ConnectionID, afterFlush: Bool) {}
  func resume(_ id: ConnectionID) {}
  func pendingOutputBytes(_ id: ConnectionID) -> Int { 0 }
  func pendingInputBytes(_ id: ConnectionID) -> Int { 0 }
  func after(milliseconds: Int, _ work: @escaping @Sendable () -> Void) {}

  private let mailbox = Guarded<[@Sendable () -> Void]>([])
  /// A pipe: whoever posts writes a byte.
  private let bell: (read: Int32, write: Int32) = {
    var ends: [Int32] = [-1, -1]
    precondition(pipe(&ends) == 0)
    for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
    return (ends[0], ends[1])
  }()
  func post(_ work: @escaping @Sendable () -> Void) {
    mailbox.withLock { $0.append(work) }
    var byte: UInt8 = 1
    _ = write(bell.write, &byte, 1)
  }
  func runPosted() {
    var rung = [UInt8](repeating: 0, count: 256)
    _ = read(bell.read, &rung, rung.count)
    let posted = mailbox.withLock { work in
      defer { work = [] }
      return work
    }
    for work in posted { work() }
  }
  /// Waits for the descriptor or the mailbox.
  func wait(for descriptor: Int32, milliseconds: Int) {
    var watched = [
      pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0),
      pollfd(fd: bell.read, events: Int16(POLLIN), revents: 0),
    ]
    poll(&watched, 2, Int32(milliseconds))
  }
  deinit {
    _ = Glibc.close(bell.read)
    _ = Glibc.close(bell.write)
  }
}

/// A node with an HTTP door on a free port of 127.0.0.1, its loop running until `stop`.
final class TestServer: @unchecked Sendable {
  let node: Node
  let loop = TestLoop()
  let door: HTTPDoor
  private let stopping = Atomic<Bool>(false)
  private var thread = pthread_t()

  init(
    store: StoreConfiguration = StoreConfiguration(), settings: [String: String] = [:],
    _ change: (inout HTTPConfiguration) -> Void = { _ in }, prepare: (Node) -> Void = { _ in }
  ) throws {
    node = testNode(store)
    prepare(node)
    var configuration = HTTPConfiguration()
    configuration.port = 0
    change(&configuration)
    for (name, text) in settings { try node.settings.configure(name, to: text, from: .flag) }
    door = try HTTPDoor(node: node, loop: loop, configuration: configuration)
    let context = Unmanaged.passUnretained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        Unmanaged<TestServer>.fromOpaque(context!).takeUnretainedValue().run()
        return nil
      }, context)
  }

  /// Hangs up on everybody; afterwards the door's accounts may be read.
  func stop() {
    if stopping.exchange(true, ordering: .acquiringAndReleasing) { return }
    pthread_join(thread, nil)
    door.stop()
  }

  private func run() {
    while !stopping.load(ordering: .acquiring) {
      // At most 10 ms, so that `stop` is noticed.
      loop.wait(for: door.descriptor, milliseconds: min(10, door.nextTimeout() ?? 10))
      loop.runPosted()
      door.ready()
    }
  }

  func connect(timeoutSeconds: Int = 20) -> TestClient { TestClient(port: door.port, timeoutSeconds: timeoutSeconds) }

  /// One request on a connection of its own.
  func ask(_ request: String, body: [UInt8] = []) -> TestReply {
    let client = connect()
    defer { client.close() }
    client.send(request, body: body)
    return client.reply(toHead: request.hasPrefix("HEAD"))
  }
}

func testNode(_ store: StoreConfiguration = StoreConfiguration()) -> Node {
  Node(
    store: try! Store(store), loopCount: 1, log: SilentLog(), startedAt: 1_699_999_990_000,
    runID: String(repeating: "0", count: 40))
}

struct TestReply: Equatable {
  var status = 0
  var headers: [String: String] = [:]
  var body: [UInt8] = []
  var text: String { String(decoding: body, as: UTF8.self) }
}

/// A blocking client that speaks just enough HTTP.
final class TestClient {
  let descriptor: Int32
  private var received: [UInt8] = []

  init(port: UInt16, timeoutSeconds: Int = 20) {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var timeout = timeval(tv_sec: timeoutSeconds, tv_usec: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
    withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        _ = Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
  }

  func close() { _ = Glibc.close(descriptor) }

  /// `GET /path` with headers after line feeds; Host, and a Content-Length where there is a body, are added.
  func send(_ request: String, body: [UInt8] = [], raw: Bool = false) {
    if raw { return send(bytes: Array(request.utf8)) }
    var lines = request.split(separator: "\n").map(String.init)
    lines[0] += " HTTP/1.1"
    lines.append("Host: test")
    if !body.isEmpty && !request.contains("Content-Length") { lines.append("Content-Length: \(body.count)") }
    send(bytes: Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
  }

  func send(bytes: [UInt8]) {
    var sent = 0
    while sent < bytes.count {
      let count = bytes.withUnsafeBytes {
        Glibc.send(descriptor, $0.baseAddress! + sent, $0.count - sent, Int32(MSG_NOSIGNAL))
      }
      if count <= 0 { return }
      sent += count
    }
  }

  /// Status 0 where the server hung up first.
  func reply(toHead: Bool = false) -> TestReply {
    var reply = TestReply()
    guard let headEnd = receive(until: { Self.find($0, Array("\r\n\r\n".utf8)) }) else { return reply }
    let lines = String(decoding: received[..<headEnd], as: UTF8.self).split(separator: "\r\n")
    received.removeFirst(headEnd + 4)
    reply.status = Int(lines[0].split(separator: " ")[1]) ?? 0
    for line in lines.dropFirst() {
      let colon = line.firstIndex(of: ":")!
      reply.headers[line[..<colon].lowercased()] = line[line.index(after: colon)...].drop { $0 == " " }.description
    }
    if reply.status == 100 { return self.reply(toHead: toHead) }
    let length = toHead ? 0 : Int(reply.headers["content-length"] ?? "0") ?? 0
    guard receive(until: { $0.count >= length ? 0 : nil }) != nil else { return TestReply() }
    reply.body = Array(received[..<length])
    received.removeFirst(length)
    return reply
  }

  /// Everything up to the end of this text; nil where the server hangs up before, or says nothing for too long.
  func received(through text: String) -> String? {
    guard let start = receive(until: { Self.find($0, Array(text.utf8)) }) else { return nil }
    let end = start + text.utf8.count
    defer { received.removeFirst(end) }
    return String(decoding: received[..<end], as: UTF8.self)
  }

  /// True if the server has hung up and nothing is left to read.
  var isAtEnd: Bool { received.isEmpty && receive(until: { $0.isEmpty ? nil : 0 }) == nil }

  private func receive(until done: ([UInt8]) -> Int?) -> Int? {
    while true {
      if let result = done(received) { return result }
      let chunk = [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
        count = max(0, recv(descriptor, buffer.baseAddress, buffer.count, 0))
      }
      if chunk.isEmpty { return nil }
      received += chunk
    }
  }

  private static func find(_ bytes: [UInt8], _ pattern: [UInt8]) -> Int? {
    guard bytes.count >= pattern.count else { return nil }
    return (0...(bytes.count - pattern.count)).first { bytes[$0..<($0 + pattern.count)].elementsEqual(pattern) }
  }
}
