import NexusModel
import NexusService
import NexusStore

@testable import NexusRedisDoor

/// A node without threads and sockets: its loops run when the test says so, on the clock that the test sets.
///
/// Lives as long as the test holds it or one of its clients, and then ends as a node does that is stopped: node, loops
/// and engines hold one another in a circle, which only the end of the loops breaks.
final class FakeNode {
  let node: Node
  let door: RedisDoor
  let loops: [FakeLoop]
  private var connectionCount: UInt32 = 0

  /// - Parameter prepare: changes the node before its engines are made.
  init(
    loops count: Int = 1, password: String = "", now: UnixMilliseconds = 1_000_000,
    prepare: (Node, [FakeLoop]) -> Void = { _, _ in }
  ) {
    let settings = Settings()
    if !password.isEmpty { try! settings.change([(id: .password, text: password)]) }
    node = Node(
      store: try! Store(StoreConfiguration()), loopCount: count, log: SilentLog(), startedAt: now,
      runID: String(repeating: "0", count: 40), settings: settings)
    door = RedisDoor(node: node)
    loops = (0..<count).map { FakeLoop(index: $0, now: now) }
    node.attach(loops)
    prepare(node, loops)
    for loop in loops { loop.engine = door.makeEngine(loop) }
  }

  deinit {
    // An engine may post to every other's loop while its clients leave: all loops stay until none has clients.
    for loop in loops { loop.hangUp() }
    for loop in loops { loop.letGo() }
    node.detach()
  }

  func connect(loop index: Int = 0, redirects: Bool = false) -> FakeClient {
    let engine = loops[index].engine!
    let connection = FakeConnection(
      loops[index], redirects ? door.makeRedirectingDoor(engine) : engine, number: connectionCount)
    connectionCount += 1
    connection.open()
    return FakeClient(self, connection)
  }

  /// Runs what this node's loops have to do, and other nodes with it where there are some.
  var settleEverything: () -> Void = {}

  /// Runs what loops have posted to each other until nothing is left.
  func settle() {
    var isMore = true
    while isMore || loops.contains(where: { !$0.mailbox.isEmpty }) {
      isMore = false
      for loop in loops {
        let work = loop.mailbox
        loop.mailbox = []
        for item in work { item() }
        for task in loop.tasks where task.turnEnding() { isMore = true }
        if loop.engine?.turnEnded(now: loop.now) == true { isMore = true }
      }
    }
  }

  /// Moves every loop's clock on, and runs the timers that are due.
  func advance(milliseconds: Int) {
    for loop in loops { loop.now += Int64(milliseconds) }
    for loop in loops {
      let due = loop.timers.filter { $0.at <= loop.now }
      loop.timers.removeAll { $0.at <= loop.now }
      for timer in due { timer.work() }
    }
    settle()
  }
}

final class FakeLoop: EventLoop, @unchecked Sendable {
  let index: Int
  var now: UnixMilliseconds
  /// Rises by a microsecond with every look, or by what the test says.
  var clockStep: UInt64 = 1000
  private var clock: UInt64 = 0
  var engine: Engine!
  var connections: [ConnectionID: FakeConnection] = [:]
  var mailbox: [@Sendable () -> Void] = []
  var tasks: [any TurnTask] = []
  var timers: [(at: UnixMilliseconds, work: @Sendable () -> Void)] = []

  init(index: Int, now: UnixMilliseconds) {
    self.index = index
    self.now = now
  }

  var monotonicNanoseconds: UInt64 {
    clock += clockStep
    return clock
  }

  func send(_ bytes: UnsafeRawBufferPointer, to id: ConnectionID) -> Bool {
    guard let connection = connections[id] else { return false }
    connection.received += Array(bytes)
    return true
  }

  func close(_ id: ConnectionID, afterFlush: Bool) { connections[id]?.close(.killed) }
  func resume(_ id: ConnectionID) { connections[id]?.resume() }
  func pendingOutputBytes(_ id: ConnectionID) -> Int { 0 }
  func pendingInputBytes(_ id: ConnectionID) -> Int { connections[id]?.input.count ?? 0 }
  func after(milliseconds: Int, _ work: @escaping @Sendable () -> Void) {
    timers.append((now + Int64(milliseconds), work))
  }
  func post(_ work: @escaping @Sendable () -> Void) { mailbox.append(work) }
  func atTurnEnd(_ task: any TurnTask) { tasks.append(task) }

  func hangUp() {
    for connection in connections.values { connection.close(.shutdown) }
  }

  func letGo() {
    engine = nil
    mailbox = []
    tasks = []
    timers = []
  }
}

/// A client's end of a connection. Keeps the node: a test may hold on to either alone.
struct FakeClient {
  private let node: FakeNode
  private let transport: FakeConnection
  /// What the node is a part of, where it is.
  var whole: FakeCluster?

  init(_ node: FakeNode, _ transport: FakeConnection) {
    self.node = node
    self.transport = transport
  }

  var connection: ConnectionID { transport.connection }
  var received: [UInt8] { transport.received }
  var isSuspended: Bool { transport.isSuspended }
  var isClosed: Bool { transport.isClosed }
  var offeredBytes: Int { transport.offeredBytes }

  /// Sends lines as they are typed (inline requests), runs all loops, and answers what came back.
  @discardableResult func say(_ lines: String...) -> String {
    push(Array(lines.map { $0 + "\r\n" }.joined().utf8))
    node.settle()
    return take()
  }

  /// The same where replies come from other nodes too.
  @discardableResult func ask(_ lines: String...) -> String {
    push(Array(lines.map { $0 + "\r\n" }.joined().utf8))
    node.settleEverything()
    return take()
  }

  /// What came back since the last look, every line end as `|`.
  func take() -> String {
    defer { transport.received = [] }
    return String(decoding: transport.received, as: UTF8.self)
      .split(separator: "\r\n", omittingEmptySubsequences: false).joined(separator: "|")
  }

  func push(_ bytes: [UInt8]) { transport.push(bytes) }
  func close(_ reason: CloseReason) { transport.close(reason) }
}

/// What a transport keeps about a connection. Held by its loop while it is open.
final class FakeConnection {
  let connection: ConnectionID
  /// Not held: the loop goes last, and hangs up before.
  private unowned let loop: FakeLoop
  private let door: any StreamDoor
  private var session: UnsafeMutableRawPointer?
  var input: [UInt8] = []
  var received: [UInt8] = []
  private(set) var isSuspended = false
  private(set) var isClosed = false
  /// Bytes given to the engine, counted again whenever they are offered again.
  private(set) var offeredBytes = 0

  init(_ loop: FakeLoop, _ door: any StreamDoor, number: UInt32) {
    self.loop = loop
    self.door = door
    connection = ConnectionID(slot: number, generation: 1)
  }

  func open() {
    var farewell = OutputBuffer(capacity: 64)
    defer { farewell.deallocate() }
    let peer = PeerAddress(
      remote: "127.0.0.1:\(50_000 + connection.slot)", local: "127.0.0.1:6379", descriptor: 9, isUnixSocket: false)
    loop.connections[connection] = self
    session = door.open(connection, peer, farewell: &farewell)
  }

  func push(_ bytes: [UInt8]) {
    input += bytes
    if !isSuspended { offer() }
  }

  func resume() {
    guard isSuspended, !isClosed else { return }
    isSuspended = false
    offer()
  }

  func close(_ reason: CloseReason) {
    guard !isClosed else { return }
    isClosed = true
    loop.connections[connection] = nil
    if let session { door.closed(session, reason) }
    session = nil
  }

  private func offer() {
    while let session, !input.isEmpty {
      var output = OutputBuffer(capacity: 64)
      defer { output.deallocate() }
      let count = input.count
      offeredBytes += count
      // The engine gets bytes of its own, so that a read past the end is an address sanitizer's find.
      let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 1)
      defer { bytes.deallocate() }
      bytes.copyBytes(from: input)
      let result = door.receive(session, bytes, &output)
      precondition(result.consumed <= count)
      received += Array(output.bytes)
      input.removeFirst(result.consumed)
      switch result.next {
      case .proceed: return
      case .yield: continue
      case .suspend:
        isSuspended = true
        return
      case .closeAfterFlush:
        close(.byDoor)
        return
      }
    }
  }
}

/// A request as client libraries send it.
func request(_ words: String...) -> [UInt8] { request(words.map { Array($0.utf8) }) }

func request(_ words: [[UInt8]]) -> [UInt8] {
  var bytes = Array("*\(words.count)\r\n".utf8)
  for word in words { bytes += Array("$\(word.count)\r\n".utf8) + word + [13, 10] }
  return bytes
}
