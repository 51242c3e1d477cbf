import CMicrohttpd
import Glibc
import NexusModel
import NexusService
import Synchronization

/// The event streams of one loop (`text/event-stream`, as the HTML standard has it).
///
/// A reader holds a place in what the node remembers of its events, and the one event that is being sent: however slow
/// it is, that is all. While it has everything its connection is suspended. Belongs to the loop's thread, but for what
/// the bus calls.
final class EventStreams: @unchecked Sendable {
  /// One stream.
  final class Reader {
    let number: UInt64
    let connection: OpaquePointer
    let topics: [Bool]
    /// Of the last event that it has been given, or that it does not want.
    var position: UInt64
    /// What is being sent, and how much of it the library has taken.
    var text: [UInt8]
    var taken = 0
    var isSuspended = false
    var owesBeat = false
    unowned let streams: EventStreams

    init(
      _ number: UInt64, _ connection: OpaquePointer, _ topics: [Bool], after position: UInt64, _ text: String,
      _ streams: EventStreams
    ) {
      (self.number, self.connection, self.topics, self.position) = (number, connection, topics, position)
      self.text = Array(text.utf8)
      self.streams = streams
    }
  }

  private let node: Node
  private unowned let loop: any EventLoop
  private let configuration: HTTPConfiguration
  private var readers: [UInt64: Reader] = [:]
  private var lastNumber: UInt64 = 0
  /// As many as `readers`, for whoever announces something.
  private let count = Atomic<Int>(0)
  private var listener = 0
  private var isEnding = false
  /// Lets the library go on with connections that have been resumed.
  private var run: () -> Void = {}
  /// Monotonic milliseconds.
  private var beatAt: UInt64 = 0

  init(_ node: Node, loop: any EventLoop, _ configuration: HTTPConfiguration) {
    self.node = node
    self.loop = loop
    self.configuration = configuration
  }

  private var statistics: UnsafeMutablePointer<LoopStatistics> { node.statistics + loop.index }
  private var milliseconds: UInt64 { loop.monotonicNanoseconds / 1_000_000 }

  /// From now on readers are told what the node announces; until `stop`.
  func begin(run: @escaping () -> Void) {
    self.run = run
    listener = node.events.listen { [unowned self, loop] _ in
      // Whoever opens a stream is counted before it looks for events: it sees this one, or is woken for it.
      if count.load(ordering: .sequentiallyConsistent) > 0 { loop.post { self.wake() } }
    }
  }

  // MARK: Coming and going

  /// Answers the request with a stream. Nil: there are too many.
  func open(_ query: EventQuery, _ connection: OpaquePointer) -> UInt64? {
    guard readers.count < configuration.eventReadersMost else { return nil }
    if readers.isEmpty { beatAt = milliseconds + UInt64(configuration.heartbeatMilliseconds) }
    lastNumber += 1
    count.add(1, ordering: .sequentiallyConsistent)
    let start = start(query)
    let reader = Reader(lastNumber, connection, query.topics, after: start.position, start.text, self)
    let response = MHD_create_response_from_callback(
      UInt64.max, 4096,
      { reader, _, buffer, most in
        let reader = Unmanaged<Reader>.fromOpaque(reader!).takeUnretainedValue()
        return reader.streams.give(reader, UnsafeMutableRawBufferPointer(start: buffer, count: most))
      }, Unmanaged.passRetained(reader).toOpaque(), { Unmanaged<Reader>.fromOpaque($0!).release() })
    guard let response else {
      Unmanaged.passUnretained(reader).release()
      count.subtract(1, ordering: .relaxed)
      return nil
    }
    defer { MHD_destroy_response(response) }
    MHD_add_response_header(response, "Content-Type", "text/event-stream")
    MHD_add_response_header(response, "Cache-Control", "no-store")
    guard MHD_queue_response(connection, 200, response) == .YES else {
      count.subtract(1, ordering: .relaxed)
      return nil
    }
    readers[reader.number] = reader
    statistics.pointee.eventReadersNow.add()
    return reader.number
  }

  /// Where a reader begins, and what it is told first.
  private func start(_ query: EventQuery) -> (position: UInt64, text: String) {
    let last = node.events.last
    let greeting = ": from here on, after \(node.events.run)-\(last)\nretry: 1000\n\n"
    guard let id = query.lastEventID, !id.isEmpty else { return (last, greeting) }
    let parts = id.split(separator: "-", omittingEmptySubsequences: false)
    if parts.count == 2, parts[0] == node.events.run, let sequence = UInt64(parts[1]), sequence <= last {
      return (sequence, greeting)
    }
    return (last, greeting + gap(through: last, ",\"reason\":\"another process\""))
  }

  /// The connection is gone, or its stream has ended.
  func closed(_ number: UInt64) {
    guard readers.removeValue(forKey: number) != nil else { return }
    count.subtract(1, ordering: .relaxed)
    statistics.pointee.eventReadersNow.subtract()
  }

  /// Every stream ends where it is.
  func end() {
    isEnding = true
    wake()
  }

  /// The library is about to stop: nobody may be suspended, and nobody calls any more.
  func stop() {
    node.events.forget(listener)
    run = {}
    isEnding = true
    for reader in readers.values { resume(reader) }
  }

  // MARK: Heartbeats

  /// Milliseconds; nil where nobody reads.
  var untilBeat: Int? {
    if readers.isEmpty { return nil }
    let now = milliseconds
    return Int(beatAt - min(beatAt, now))
  }

  func beatIfDue() {
    guard !readers.isEmpty, milliseconds >= beatAt else { return }
    beatAt = milliseconds + UInt64(configuration.heartbeatMilliseconds)
    for reader in readers.values where reader.isSuspended {
      reader.owesBeat = true
      resume(reader)
    }
  }

  // MARK: Giving

  private func wake() {
    var hasResumed = false
    for reader in readers.values where reader.isSuspended {
      resume(reader)
      hasResumed = true
    }
    if hasResumed { run() }
  }

  private func resume(_ reader: Reader) {
    guard reader.isSuspended else { return }
    reader.isSuspended = false
    MHD_resume_connection(reader.connection)
  }

  /// As libmicrohttpd's content readers: how many bytes are given, 0 for none yet, -1 at the end.
  private func give(_ reader: Reader, _ room: UnsafeMutableRawBufferPointer) -> Int {
    if reader.taken == reader.text.count {
      reader.taken = 0
      reader.text = next(reader) ?? []
    }
    if reader.text.isEmpty {
      if isEnding { return -1 }
      reader.isSuspended = true
      MHD_suspend_connection(reader.connection)
      return 0
    }
    let count = min(room.count, reader.text.count - reader.taken)
    reader.text.withUnsafeBytes { text in
      room.copyMemory(from: UnsafeRawBufferPointer(rebasing: text[reader.taken..<(reader.taken + count)]))
    }
    reader.taken += count
    return count
  }

  private func next(_ reader: Reader) -> [UInt8]? {
    while true {
      switch node.events.read(after: reader.position) {
      case .event(let event):
        reader.position = event.sequence
        guard reader.topics[event.topic.rawValue] else { continue }
        let head = "id: \(node.events.run)-\(event.sequence)\nevent: \(event.topic.name)\ndata: "
        return Array(head.utf8) + event.text + [10, 10]
      case .missed(let through):
        let missed = through - reader.position
        statistics.pointee.eventsMissed.add(missed)
        reader.position = through
        return Array(gap(through: through, ",\"missed\":\(missed),\"reason\":\"too late\"").utf8)
      case .nothing:
        defer { reader.owesBeat = false }
        return reader.owesBeat ? Array(": heartbeat\n\n".utf8) : nil
      }
    }
  }

  /// Says that there were events which this reader does not get.
  private func gap(through sequence: UInt64, _ facts: String) -> String {
    let run = node.events.run
    var out = OutputBuffer(capacity: 256)
    defer { out.deallocate() }
    out.append("id: \(run)-\(sequence)\nevent: gap\ndata: {\"type\":\"gap\",\"node\":")
    out.appendJSONString(node.name)
    out.append(",\"run\":\"\(run)\",\"sequence\":\(sequence)\(facts)}\n\n")
    return String(decoding: out.bytes, as: UTF8.self)
  }
}
