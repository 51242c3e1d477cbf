import NexusModel
import NexusService

/// What a node remembers of the commands it ran, over all loops: counters, latencies, errors, slow commands, rates.
///
/// The dispatcher feeds it: `counters(ofLoop:)` for every command, `noteSlow` for those that `Engine.isNotable` picks,
/// `noteError` for every error reply, `turnEnded` once a turn. INFO, SLOWLOG and LATENCY read it.
public final class Diagnostics: @unchecked Sendable {
  public let slowlog = Slowlog()
  public let latency = LatencyHistory()
  private let node: Node
  private let rates: Rates
  /// Invariant: one per loop, each written by its loop only, alive as long as this object.
  private let counters: [CommandCounters]
  private let errors: [ErrorCounts]
  private let baseline = Guarded(Baseline())

  /// Only its own loop adds; the lock is for reports, and else never contended.
  private final class ErrorCounts: Sendable {
    let byCode = Guarded<[String: UInt64]>([:])
  }

  /// The counters at the last CONFIG RESETSTAT: reports subtract them, so that no thread writes another's counters.
  struct Baseline: Sendable {
    var commands: [Int: CommandTotals] = [:]
    var loops = LoopTotals()
    var evictedKeys = 0
    var expiredKeys = 0
  }

  /// Error codes told apart; what a client can make up (through scripts, say) must not grow this without bound.
  static let errorCodeLimit = 128

  public init(node: Node, commandCount: Int) {
    self.node = node
    counters = (0..<node.loopCount).map { _ in CommandCounters(commandCount: commandCount) }
    errors = (0..<node.loopCount).map { _ in ErrorCounts() }
    rates = Rates(startedAt: node.startedAt)
  }

  deinit { for counters in counters { counters.deallocate() } }

  // MARK: Fed by the dispatcher

  public func counters(ofLoop index: Int) -> CommandCounters { counters[index] }

  /// Enters a command that took long into the slow log and the latency history, as far as their thresholds say.
  @inline(never) public func noteSlow(_ call: Call, nanoseconds: UInt64, client: String, clientName: String) {
    let command = call.door.commands.command(at: call.commandIndex)
    let microseconds = Int(nanoseconds / 1000)
    let seconds = Int(call.now / 1000)
    let slow = node.settings.slowlogThresholdMicroseconds
    if slow >= 0, microseconds >= slow, !command.flags.contains(.skipSlowlog) {
      slowlog.add(
        Slowlog.shorten(call.count) { call[$0] }, microseconds: microseconds, unixSeconds: seconds, client: client,
        clientName: clientName, capacity: node.settings.slowlogMaxLength)
    }
    let milliseconds = microseconds / 1000
    let threshold = node.settings.latencyThresholdMilliseconds
    if threshold > 0, milliseconds >= threshold {
      let event = command.flags.contains(.fast) ? "fast-command" : "command"
      latency.add(event, milliseconds: milliseconds, unixSeconds: seconds)
    }
  }

  /// Counts an error reply under its first word.
  public func noteError(_ text: String, loop: Int) {
    let code = String(text.prefix { $0 != " " }.prefix(32))
    errors[loop].byCode.withLock { counts in
      if counts.count < Self.errorCodeLimit || counts[code] != nil { counts[code, default: 0] &+= 1 }
    }
  }

  /// Once a turn of each loop.
  @inline(__always) public func turnEnded(now: UnixMilliseconds) { rates.sampleIfDue(node, now: now) }

  // MARK: Read by reports

  func totals() -> LoopTotals {
    let now = LoopTotals(node)
    return baseline.withLock { now.since($0.loops) }
  }

  func perSecond(now: UnixMilliseconds) -> Rates.PerSecond { rates.perSecond(node, now: now) }

  func totals(ofCommand index: Int) -> CommandTotals {
    var totals = rawTotals(ofCommand: index)
    if let earlier = baseline.withLock({ $0.commands[index] }) { totals.subtract(earlier) }
    return totals
  }

  private func rawTotals(ofCommand index: Int) -> CommandTotals {
    counters.reduce(into: CommandTotals()) { $0.add($1.rows[index]) }
  }

  /// Error replies by code, sorted by code.
  func errorCounts() -> [(code: String, count: UInt64)] {
    var sums: [String: UInt64] = [:]
    for loop in errors { sums.merge(loop.byCode.withLock { $0 }, uniquingKeysWith: +) }
    return sums.map { (code: $0.key, count: $0.value) }.sorted { $0.code < $1.code }
  }

  var evictedKeys: Int { storeTotals().evicted - baseline.withLock { $0.evictedKeys } }
  var expiredKeys: Int { storeTotals().expired - baseline.withLock { $0.expiredKeys } }

  private func storeTotals() -> (evicted: Int, expired: Int) {
    var totals = (evicted: 0, expired: 0)
    for number in node.store.configuredNumbers {
      let statistics = node.store.statistics(of: number)
      totals.evicted += statistics.evictions
      totals.expired += statistics.expirations
    }
    return totals
  }

  /// CONFIG RESETSTAT.
  func reset(now: UnixMilliseconds) {
    var next = Baseline(loops: LoopTotals(node))
    (next.evictedKeys, next.expiredKeys) = storeTotals()
    for index in 0..<(counters.first?.count ?? 0) {
      let totals = rawTotals(ofCommand: index)
      if totals.calls > 0 || totals.rejected > 0 { next.commands[index] = totals }
    }
    baseline.withLock { [next] in $0 = next }
    for loop in errors { loop.byCode.withLock { $0 = [:] } }
    rates.reset(node, now: now)
  }
}
