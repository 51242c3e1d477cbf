/// How hard an origin is asked, and when it is given up.
public struct OriginLimits: Hashable, Sendable {
  /// Asked at the same time: one thread and one connection each, or one task for a closure.
  public var connections = 8
  /// Requests that may wait for a connection; more are refused.
  public var queue = 1024
  /// For one attempt. A request's own deadline may be shorter, and covers all its attempts.
  public var timeoutMilliseconds = 2000
  /// Further attempts after one that failed in a way that may pass.
  public var retries = 2
  public var backoffMilliseconds = 50
  public var backoffLimitMilliseconds = 1000
  /// Failed requests among the last `breakerWindow` that open the circuit breaker; 0: it never opens.
  public var breakerFailures = 10
  /// 1...64.
  public var breakerWindow = 20
  /// How long it stays open at first, and at most.
  public var breakerOpenMilliseconds = 1000
  public var breakerOpenLimitMilliseconds = 30_000
  /// A larger value is a failure.
  public var valueLimitBytes = 16 << 20
  /// A connection and its thread that had nothing to do for so long are let go.
  public var idleMilliseconds = 30_000

  public init() {}

  var backoff: Backoff {
    Backoff(firstMilliseconds: backoffMilliseconds, longestMilliseconds: backoffLimitMilliseconds)
  }
  var breakerPolicy: CircuitBreaker.Policy {
    CircuitBreaker.Policy(
      failures: breakerFailures, window: breakerWindow,
      open: Backoff(
        firstMilliseconds: breakerOpenMilliseconds, longestMilliseconds: breakerOpenLimitMilliseconds))
  }
}
