/// How often each command ran on one loop and how long it took, by the command's index in the table.
///
/// Invariant: written by its own loop's thread only; reports of other loops read values that may be a moment old.
public struct CommandCounters: @unchecked Sendable {
  struct Row {
    var calls: UInt64 = 0
    var nanoseconds: UInt64 = 0
    /// Refused before they ran: arity, rights, memory.
    var rejected: UInt64 = 0
    /// Ran and answered with an error.
    var failed: UInt64 = 0
    /// Made with the first call, so that unused commands cost nothing.
    var histogram: LatencyHistogram?
  }

  let rows: UnsafeMutablePointer<Row>
  let count: Int

  init(commandCount: Int) {
    count = commandCount
    rows = .allocate(capacity: max(1, commandCount))
    rows.initialize(repeating: Row(), count: max(1, commandCount))
  }

  func deallocate() {
    for index in 0..<count { rows[index].histogram?.deallocate() }
    rows.deallocate()
  }

  /// A command ran to its end.
  @inline(__always) public func record(_ command: Int, nanoseconds: UInt64) {
    let row = rows + command
    row.pointee.calls &+= 1
    row.pointee.nanoseconds &+= nanoseconds
    if let histogram = row.pointee.histogram {
      histogram.record(nanoseconds: nanoseconds)
    } else {
      start(row, nanoseconds)
    }
  }

  /// So many calls ran, each of them this long.
  @inline(__always) public func record(_ command: Int, nanoseconds: UInt64, calls: UInt64) {
    let row = rows + command
    row.pointee.calls &+= calls &- 1
    row.pointee.nanoseconds &+= nanoseconds &* (calls &- 1)
    row.pointee.histogram?.record(nanoseconds: nanoseconds, calls: calls &- 1)
    record(command, nanoseconds: nanoseconds)
  }

  @inline(never) private func start(_ row: UnsafeMutablePointer<Row>, _ nanoseconds: UInt64) {
    let histogram = LatencyHistogram()
    histogram.record(nanoseconds: nanoseconds)
    row.pointee.histogram = histogram
  }

  /// A command that ran replied an error.
  public func noteFailed(_ command: Int) { rows[command].failed &+= 1 }
  /// A command was refused before it ran.
  public func noteRejected(_ command: Int) { rows[command].rejected &+= 1 }
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

  mutating func add(_ row: CommandCounters.Row) {
    calls += row.calls
    nanoseconds += row.nanoseconds
    rejected += row.rejected
    failed += row.failed
    if let histogram = row.histogram { latency.add(histogram) }
  }

  mutating func subtract(_ other: CommandTotals) {
    calls -= min(calls, other.calls)
    nanoseconds -= min(nanoseconds, other.nanoseconds)
    rejected -= min(rejected, other.rejected)
    failed -= min(failed, other.failed)
    latency.subtract(other.latency)
  }
}
