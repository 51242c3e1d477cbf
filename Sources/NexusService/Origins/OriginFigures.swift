/// What an origin has done since it began, for metrics and reports.
public struct OriginFigures: Hashable, Sendable {
  public enum Breaker: String, Hashable, Sendable {
    case closed, open
    /// One request finds out whether the origin is well again.
    case halfOpen = "half-open"
  }

  public var loads = 0
  /// Of `loads`: answered with a failure, those refused at once included.
  public var loadFailures = 0
  public var stores = 0
  public var storeFailures = 0
  /// Of all failures: answered because their time was over.
  public var timeouts = 0
  /// Of all failures: refused without asking, because of the breaker or a full queue.
  public var refused = 0
  /// Times that the origin itself was asked, retries included.
  public var attempts = 0
  /// Now: asking the origin, and waiting for a connection.
  public var running = 0
  public var waiting = 0
  public var breaker = Breaker.closed
  /// Write-behind: writes acknowledged and not made yet, and those that never will be (each was logged).
  public var pendingWrites = 0
  public var lostWrites = 0

  public init() {}
}
