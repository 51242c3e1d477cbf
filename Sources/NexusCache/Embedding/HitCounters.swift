import NexusModel
import NexusService
import NexusStore
import Synchronization

/// Hits that a program's threads count, each in a place of its own as long as there are not too many: on a cache line
/// that no other thread wants, counting costs nothing to speak of.
final class HitCounters: @unchecked Sendable {
  /// Words of a place; the first one counts.
  private static let stride = 16
  private static let places = 64

  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  /// Of the loop that adds them to its own counts.
  private var told: UInt64 = 0

  init() {
    words = .allocate(capacity: Self.places * Self.stride)
    for index in 0..<Self.places * Self.stride { (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    words.deinitialize(count: Self.places * Self.stride)
    words.deallocate()
  }

  @inline(__always) func add(_ thread: Worker) {
    let place = Int(truncatingIfNeeded: thread) & (Self.places - 1)
    words[place &* Self.stride].wrappingAdd(1, ordering: .relaxed)
  }

  var total: UInt64 {
    (0..<Self.places).reduce(0) { $0 &+ words[$1 * Self.stride].load(ordering: .relaxed) }
  }

  /// What has come since it was asked last. One caller.
  func news() -> UInt64 {
    let total = total
    defer { told = total }
    return total - told
  }
}

/// Adds what the program's threads have counted to the counts of a loop, so that INFO and the metrics tell of it.
///
/// Belongs to its loop's thread, but for `add`.
final class HitReporter: TurnTask, @unchecked Sendable {
  private static let intervalMilliseconds: Int64 = 100

  private let statistics: UnsafeMutablePointer<LoopStatistics>
  /// Invariant: the loop outlives its tasks.
  private unowned let loop: any EventLoop
  private let counters = Guarded<[HitCounters]>([])
  private var reportedAt: UnixMilliseconds = 0

  /// - Parameter statistics: of this loop; outlives it.
  init(_ statistics: UnsafeMutablePointer<LoopStatistics>, _ loop: any EventLoop) {
    self.statistics = statistics
    self.loop = loop
  }

  func add(_ more: HitCounters) { counters.withLock { $0.append(more) } }

  func turnEnding() -> Bool {
    let now = loop.now
    // The second condition: the wall clock was set back.
    guard now >= reportedAt + Self.intervalMilliseconds || now < reportedAt else { return false }
    reportedAt = now
    let news = counters.withLock { $0.reduce(0) { $0 + $1.news() } }
    if news > 0 {
      statistics.pointee.keyspaceHits.add(news)
      statistics.pointee.getHits.add(news)
    }
    return false
  }
}
