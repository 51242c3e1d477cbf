import NexusModel

/// How long what an origin gave is good, and what happens then. Milliseconds.
public struct FreshnessRules: Sendable, Equatable {
  /// What an origin gives without a lifetime of its own is fresh for so long; 0: for ever.
  public var freshFor: Int64 = 0
  /// After that, for so long, the old value answers while one load runs (RFC 5861, section 3).
  public var staleWhileRevalidate: Int64 = 0
  /// And for so long it answers where a load fails (RFC 5861, section 4).
  public var staleIfError: Int64 = 0
  /// That a key is not there is remembered for so long; 0: not at all.
  public var absentFor: Int64 = 0
  /// How early a value may be loaded anew: the factor beta of XFetch; 0: never before its time, 1: the usual.
  public var earlyRefresh: Double = 0

  public init() {}

  /// An entry has to know when it ceases to be fresh: its expiry alone does not tell.
  public var needsFreshUntil: Bool { keptStale > 0 || earlyRefresh > 0 }
  /// How long the value is kept beyond its freshness.
  public var keptStale: Int64 { max(staleWhileRevalidate, staleIfError) }
}

public enum FreshnessVerdict: Sendable, Equatable {
  case fresh
  /// Answer with it, and have it loaded anew meanwhile.
  case refreshing
  /// Load before answering; the old value answers only if that fails.
  case stale
}

extension FreshnessRules {
  /// - Parameters:
  ///   - freshUntil: of the value at hand; 0: for ever.
  ///   - loadMilliseconds: what a load takes, usually.
  ///   - chance: any number, equally likely.
  public func judge(
    freshUntil: UnixMilliseconds, now: UnixMilliseconds, loadMilliseconds: Double, chance: UInt64
  ) -> FreshnessVerdict {
    guard freshUntil > 0 else { return .fresh }
    if now >= freshUntil { return now < freshUntil + staleWhileRevalidate ? .refreshing : .stale }
    guard earlyRefresh > 0 else { return .fresh }
    // XFetch (Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015):
    // refresh when now - delta * beta * ln(u) passes the end, u in (0, 1].
    let share = Double((chance >> 11) + 1) / Double(1 << 53)
    return Double(now) + loadMilliseconds * earlyRefresh * -naturalLogarithm(share) >= Double(freshUntil)
      ? .refreshing : .fresh
  }

  /// When a value that came now is no longer fresh, and when it goes; 0: never.
  /// - Parameters:
  ///   - lifetime: as the origin says; nil: it does not.
  ///   - jitter: the largest share (0...1) by which a lifetime of ours is shortened, and `chance` by how much.
  public func term(
    lifetime: Int64?, staleWindow: Int64?, jitter: Double, now: UnixMilliseconds, chance: UInt64
  ) -> (freshUntil: UnixMilliseconds, expiresAt: UnixMilliseconds) {
    var length = lifetime ?? freshFor
    guard length > 0 || lifetime != nil else { return (0, 0) }
    if lifetime == nil, jitter > 0 {
      length -= Int64(Double(length) * min(1, jitter) * (Double(chance >> 11) / Double(1 << 53)))
    }
    length = max(1, min(length, TimeToLive.longestMilliseconds))
    let window = min(max(0, staleWindow ?? keptStale), TimeToLive.longestMilliseconds)
    return (now + length, now + length + window)
  }
}

/// ln of a number in (0, 1], by its binary exponent and the series of the inverse hyperbolic tangent: cores import no
/// mathematics library. Exact to 1e-12.
func naturalLogarithm(_ value: Double) -> Double {
  guard value > 0 else { return -.infinity }
  let mantissa = value.significand
  let ratio = (mantissa - 1) / (mantissa + 1)
  let square = ratio * ratio
  var term = ratio
  var sum = 0.0
  var divisor = 1.0
  while term > 1e-18 {
    sum += term / divisor
    term *= square
    divisor += 2
  }
  return Double(value.exponent) * 0.693_147_180_559_945_3 + 2 * sum
}
