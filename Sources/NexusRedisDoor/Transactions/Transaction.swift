import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// The commands queued since MULTI, copied out of the input.
final class Transaction {
  struct Queued {
    let command: Int
    let firstArgument: Int
    let count: Int
  }

  private(set) var commands: [Queued] = []
  /// Every queued argument's place in `bytes`.
  private var spans: [(start: Int, count: Int)] = []
  private var bytes = OutputBuffer(capacity: 256)
  private let gauge: MemoryGauge
  private var counted = 0
  /// A command was refused when it should have been queued: EXEC discards everything.
  var isAborted = false
  private(set) var writes = false
  /// The slot of its keys, in a cluster of several members.
  var slot: UInt16?
  private(set) var needsCensus = false
  /// Bytes that its `denyOOM` commands bring.
  private(set) var grownBytes = 0

  /// The queue counts against the node's memory ceiling.
  init(_ gauge: MemoryGauge) {
    self.gauge = gauge
    count()
  }

  deinit {
    bytes.deallocate()
    gauge.subtract(counted)
  }

  var memoryBytes: Int {
    bytes.capacity + spans.capacity * MemoryLayout<(Int, Int)>.stride
      + commands.capacity * MemoryLayout<Queued>.stride
  }

  private func count() {
    gauge.add(memoryBytes - counted)
    counted = memoryBytes
  }

  func append(
    _ command: Int, _ arguments: UnsafeMutablePointer<Argument>, _ argumentCount: Int,
    _ slot: UnsafePointer<CommandTable.Slot>
  ) {
    commands.append(Queued(command: command, firstArgument: spans.count, count: argumentCount))
    for index in 0..<argumentCount {
      spans.append((bytes.count, arguments[index].count))
      bytes.append(arguments[index].bytes)
      if slot.pointee.flags.contains(.denyOOM) { grownBytes += arguments[index].count }
    }
    if slot.pointee.flags.contains(.write) || slot.pointee.traits.contains(.publishes) { writes = true }
    // Inside EXEC nothing can wait for other loops.
    let findsClient = slot.pointee.traits.contains(.findsClient) && argumentCount > 4
    if slot.pointee.traits.contains(.needsCensus) || findsClient { needsCensus = true }
    count()
  }

  /// All arguments as vectors. The caller deallocates; valid while the transaction lives and nothing is appended.
  func makeArguments() -> UnsafeMutablePointer<Argument> {
    let arguments = UnsafeMutablePointer<Argument>.allocate(capacity: max(spans.count, 1))
    for (index, span) in spans.enumerated() {
      (arguments + index).initialize(to: Argument(base: UnsafeRawPointer(bytes.base + span.start), count: span.count))
    }
    return arguments
  }
}

/// The keys that a session watches.
final class Watch {
  struct WatchedKey {
    let database: Int
    let bytes: [UInt8]
    let slot: UInt16
    /// When the key was going to expire as WATCH saw it, 0 for never: past that moment it has changed.
    let expiresAt: UnixMilliseconds
  }

  let token = WatchToken()
  var keys: [WatchedKey] = []

  func isDirty(now: UnixMilliseconds) -> Bool {
    token.isDirty || keys.contains { $0.expiresAt != 0 && $0.expiresAt <= now }
  }
}
