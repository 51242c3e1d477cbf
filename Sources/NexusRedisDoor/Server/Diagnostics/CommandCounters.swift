import NexusModel
import Synchronization

/// How often each command ran on one loop and how long it took, by the command's index in the table.
///
/// Invariant: written by its own loop's thread only; reports of other loops read values that may be a moment old.
public struct CommandCounters: @unchecked Sendable {
  struct Row: ~Copyable {
    let calls = Tally()
    let nanoseconds = Tally()
    /// Refused before they ran: arity, rights, memory.
    let rejected = Tally()
    /// Ran and answered with an error.
    let failed = Tally()
    /// Made with the first call, so that unused commands cost nothing. Published with release: who finds it, finds its
    /// zeros.
    private let published = Atomic<UnsafeMutablePointer<Tally>?>(nil)

    /// For its own loop.
    @inline(__always) var histogram: LatencyHistogram? { published.load(ordering: .relaxed).map(LatencyHistogram.init) }
    /// For every other thread.
    var histogramOfOthers: LatencyHistogram? { published.load(ordering: .acquiring).map(LatencyHistogram.init) }
    func publish(_ histogram: LatencyHistogram) { published.store(histogram.counts, ordering: .releasing) }
  }

  let rows: UnsafeMutablePointer<Row>
  let count: Int

  init(commandCount: Int) {
    count = commandCount
    rows = .allocate(capacity: max(1, commandCount))
    for index in 0..<max(1, commandCount) { (rows + index).initialize(to: Row()) }
  }

  func deallocate() {
    for index in 0..<count { rows[index].histogram?.deallocate() }
    rows.deinitialize(count: max(1, count))
    rows.deallocate()
  }

  /// A command ran to its end.
  @inline(__always) public func record(_ command: Int, nanoseconds: UInt64) {
    let row = rows + command
    row.pointee.calls.add()
    row.pointee.nanoseconds.add(nanoseconds)
    if let histogram = row.pointee.histogram {
      histogram.record(nanoseconds: nanoseconds)
    } else {
      start(row, nanoseconds)
    }
  }

  /// So many calls ran, each of them this long.
  @inline(__always) public func record(_ command: Int, nanoseconds: UInt64, calls: UInt64) {
    let row = rows + command
    row.pointee.calls.add(calls &- 1)
    row.pointee.nanoseconds.add(nanoseconds &* (calls &- 1))
    row.pointee.histogram?.record(nanoseconds: nanoseconds, calls: calls &- 1)
    record(command, nanoseconds: nanoseconds)
  }

  @inline(never) private func start(_ row: UnsafeMutablePointer<Row>, _ nanoseconds: UInt64) {
    let histogram = LatencyHistogram()
    histogram.record(nanoseconds: nanoseconds)
    row.pointee.publish(histogram)
  }

  /// A command that ran replied an error.
  public func noteFailed(_ command: Int) { rows[command].failed.add() }
  /// A command was refused before it ran.
  public func noteRejected(_ command: Int) { rows[command].rejected.add() }
}

/// One command over all loops.
struct CommandTotals {
  var calls: UInt64 = 0
  var nanoseconds: UInt64 = 0
  var rejected: UInt64 = 0
  var failed: UInt64 = 0
  var latency = LatencySummary()

  var microseconds: UInt64 { nanoseconds / 1000 }
  var microsecondsPerCall: Double { calls == 0 ? 0 : Double(nanoseconds) / 1000 / Double(calls) }

  mutating func add(_ row: borrowing CommandCounters.Row) {
    calls += row.calls.value
    nanoseconds += row.nanoseconds.value
    rejected += row.rejected.value
    failed += row.failed.value
    if let histogram = row.histogramOfOthers { latency.add(histogram) }
  }

  mutating func subtract(_ other: CommandTotals) {
    calls -= min(calls, other.calls)
    nanoseconds -= min(nanoseconds, other.nanoseconds)
    rejected -= min(rejected, other.rejected)
    failed -= min(failed, other.failed)
    latency.subtract(other.latency)
  }
}
