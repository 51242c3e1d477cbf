import NexusModel
import Synchronization

/// Where a namespace's misses are filled from, and by which rules. Shared by all loops.
public final class FillSource: Sendable {
  public let origin: any Origin
  public let rules: FreshnessRules
  /// The share by which lifetimes of ours are shortened (`NamespaceSettings.ttlJitter`).
  public let jitter: Double
  /// What a request waits for a load at most.
  public let timeoutMilliseconds: Int
  /// What loads take, as a moving mean: the bits of a Double.
  private let meanLoad = Atomic<UInt64>(0)

  public let loads = Atomic<Int>(0)
  /// Requests that waited for a load which another had begun.
  public let joins = Atomic<Int>(0)
  public let refreshes = Atomic<Int>(0)
  public let failures = Atomic<Int>(0)
  /// Answered with a value that is no longer fresh.
  public let staleAnswers = Atomic<Int>(0)
  /// Answered without asking the origin: the key's absence was remembered, or its guard does not know it.
  public let absentAnswers = Atomic<Int>(0)
  public let guardedAnswers = Atomic<Int>(0)

  public init(
    _ origin: any Origin, _ rules: FreshnessRules, jitter: Double = 0, timeoutMilliseconds: Int = 2000
  ) {
    self.origin = origin
    self.rules = rules
    self.jitter = jitter
    self.timeoutMilliseconds = timeoutMilliseconds
  }

  public var loadMilliseconds: Double { Double(bitPattern: meanLoad.load(ordering: .relaxed)) }

  /// Two loads that end at once may count as one: it is a mean.
  func tookMilliseconds(_ milliseconds: UInt64) {
    let mean = loadMilliseconds
    let next = mean == 0 ? Double(milliseconds) : mean + (Double(milliseconds) - mean) / 8
    meanLoad.store(next.bitPattern, ordering: .relaxed)
  }
}
