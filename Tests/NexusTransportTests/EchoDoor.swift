import Glibc
import NexusModel
import NexusService
import Synchronization

@testable import NexusTransport

/// Length-prefixed messages: four bytes (little-endian) of length, then the payload, whose first byte says what to do.
///
/// Answers in the same framing. `e` echoes; `x` echoes and asks to be closed; `s` suspends until the test resumes;
/// `b` and a number of four bytes answers so many bytes; `k` has itself killed; `p` pushes to itself, then answers;
/// `o` leaves it to the test to answer later.
final class EchoDoor: StreamDoor {
  final class Session {
    let id: ConnectionID
    let peer: PeerAddress
    var isSuspended = false
    init(_ id: ConnectionID, _ peer: PeerAddress) {
      self.id = id
      self.peer = peer
    }
  }

  /// What the test looks at, from its own thread.
  final class Journal: Sendable {
    let opened = Guarded<[ConnectionID]>([])
    let peers = Guarded<[PeerAddress]>([])
    let closed = Guarded<[CloseReason]>([])
    let suspended = Guarded<[(EpollLoop, ConnectionID)]>([])
    let owed = Guarded<[ConnectionID]>([])
    let messages = Atomic<Int>(0)
    let receives = Atomic<Int>(0)
    let turns = Atomic<Int>(0)
    let mostOffered = Atomic<Int>(0)
  }

  let loop: EpollLoop
  let journal: Journal
  var refusesAll = false
  var hasMoreToDo = false

  init(_ loop: EpollLoop, _ journal: Journal) {
    self.loop = loop
    self.journal = journal
  }

  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? {
    if refusesAll {
      farewell.append("not today")
      return nil
    }
    journal.opened.withLock { $0.append(id) }
    journal.peers.withLock { $0.append(peer) }
    return Unmanaged.passRetained(Session(id, peer)).toOpaque()
  }

  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    let session = Unmanaged<Session>.fromOpaque(session).takeUnretainedValue()
    journal.receives.wrappingAdd(1, ordering: .relaxed)
    if input.count > journal.mostOffered.load(ordering: .relaxed) {
      journal.mostOffered.store(input.count, ordering: .relaxed)
    }
    var position = 0
    while position + 4 <= input.count {
      let length = Int(input.loadUnaligned(fromByteOffset: position, as: UInt32.self))
      guard position + 4 + length <= input.count else { return Received(consumed: position, expected: 4 + length) }
      let payload = UnsafeRawBufferPointer(rebasing: input[(position + 4)..<(position + 4 + length)])
      if payload.first == UInt8(ascii: "s") && !session.isSuspended {
        session.isSuspended = true
        journal.suspended.withLock { $0.append((loop, session.id)) }
        return Received(consumed: position, next: .suspend)
      }
      session.isSuspended = false
      position += 4 + length
      if let next = answer(session, payload, &output) { return Received(consumed: position, next: next) }
    }
    return Received(consumed: position)
  }

  private func answer(
    _ session: Session, _ payload: UnsafeRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received.Next? {
    journal.messages.wrappingAdd(1, ordering: .relaxed)
    switch payload.first {
    case UInt8(ascii: "b"):
      let count = Int(payload.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
      Self.frame(count, &output)
      output.reserve(count)
      memset(output.base + output.count, 0x62, count)
      output.count += count
    case UInt8(ascii: "o"):
      loop.owesReplies(session.id, true)
      journal.owed.withLock { $0.append(session.id) }
    case UInt8(ascii: "k"):
      loop.close(session.id, afterFlush: false)
    case UInt8(ascii: "p"):
      [UInt8]("pushed".utf8).withUnsafeBytes { _ = loop.send($0, to: session.id) }
      fallthrough
    default:
      Self.frame(payload.count, &output)
      output.append(payload)
    }
    if payload.first == UInt8(ascii: "x") { return .closeAfterFlush }
    return output.count >= Received.yieldOutputBytes ? .yield : nil
  }

  private static func frame(_ count: Int, _ output: inout OutputBuffer) {
    withUnsafeBytes(of: UInt32(count)) { output.append($0) }
  }

  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) {
    Unmanaged<Session>.fromOpaque(session).release()
    journal.closed.withLock { $0.append(reason) }
  }

  func turnEnded(now: UnixMilliseconds) -> Bool {
    journal.turns.wrappingAdd(1, ordering: .relaxed)
    return hasMoreToDo
  }

  func refuse(_ farewell: inout OutputBuffer) { farewell.append("too many") }
}

/// A running runtime with echo doors, stopped when it goes.
final class EchoServer {
  let runtime: Runtime
  let journal = EchoDoor.Journal()
  let gauge = MemoryGauge()
  /// 0 without TCP.
  let port: UInt16

  init(
    loops: Int = 1, addresses: [String] = ["127.0.0.1"], unixPath: String? = nil, tcp: Bool = true,
    limits: RuntimeConfiguration.Limits = .init()
  ) throws {
    var configuration = RuntimeConfiguration(listeners: [
      .init(name: "echo", addresses: addresses, port: tcp ? 0 : nil, unixSocketPath: unixPath)
    ])
    configuration.threads = loops
    configuration.limits = limits
    runtime = try Runtime(configuration: configuration, gauge: gauge, log: SilentLog())
    try runtime.start { [journal] _, loop in EchoDoor(loop, journal) }
    port = runtime.endpoints.compactMap(\.port).first ?? 0
  }

  deinit { runtime.stop(graceMilliseconds: 0) }

  /// What the gauge may show while nothing is held for any client: each loop's shared buffers, and its records, which
  /// come in chunks of 512.
  func restingBytes(clients: Int = 1) -> Int {
    let chunks = 1 + clients / ConnectionTable.chunkRecords
    return runtime.loops.reduce(0) {
      $0 + $1.sharedBytes + chunks * ConnectionTable.chunkRecords * ConnectionTable.recordBytes
    }
  }

  func client(receiveBufferBytes: Int32? = nil) throws -> TestClient {
    try TestClient(port: port, receiveBufferBytes: receiveBufferBytes)
  }

  /// What a loop has counted by the end of its turn.
  func counted(
    by loop: Int = 0, _ read: @escaping @Sendable (borrowing LoopStatistics) -> UInt64
  ) -> UInt64 {
    onLoop(loop) { read($0.state.pointee.statistics.pointee) }
  }

  /// Runs on the loop's thread and waits for the answer.
  func onLoop<T: Sendable>(_ index: Int = 0, _ work: @escaping @Sendable (EpollLoop) -> T) -> T {
    let answer = Guarded<T?>(nil)
    let loop = runtime.loops[index]
    loop.post { [unowned loop] in
      let value = work(loop)
      answer.withLock { $0 = value }
    }
    while true {
      if let value = answer.withLock({ $0 }) { return value }
      usleep(200)
    }
  }
}
