import Glibc

/// Ranks 0..<n with probability proportional to 1 / (rank + 1)^theta, by rejection-inversion (W. Hörmann and
/// G. Derflinger, "Rejection-inversion to generate variates from monotone discrete distributions", ACM TOMACS
/// 6(3), 1996): no table, so that ten million keys cost no start-up time and no cache lines; more than 9 of 10
/// draws are accepted at once for any theta.
public struct Zipf: Sendable {
  public let count: UInt64
  public let theta: Double
  private let integralAtFirst: Double
  private let integralAtLast: Double
  private let acceptance: Double

  /// `theta` of 0 or more; 1 is allowed. `count` of at least 1.
  public init(count: UInt64, theta: Double) {
    self.count = count
    self.theta = theta
    integralAtFirst = Self.integral(1.5, theta) - 1
    integralAtLast = Self.integral(Double(count) + 0.5, theta)
    acceptance = 2 - Self.inverse(Self.integral(2.5, theta) - Self.density(2, theta), theta)
  }

  private static func density(_ x: Double, _ theta: Double) -> Double { exp(-theta * log(x)) }

  /// The integral of the density: (x^(1 - theta) - 1) / (1 - theta), which tends to log x as theta tends to 1.
  private static func integral(_ x: Double, _ theta: Double) -> Double {
    let logarithm = log(x)
    let power = (1 - theta) * logarithm
    return abs(power) > 1e-8 ? expm1(power) / (1 - theta) : logarithm * (1 + power / 2)
  }

  private static func inverse(_ y: Double, _ theta: Double) -> Double {
    let argument = Swift.max(-1, y * (1 - theta))
    return abs(argument) > 1e-8 ? exp(log1p(argument) / (1 - theta)) : exp(y * (1 - argument / 2))
  }

  @inline(__always) public func sample(_ random: inout SplitMix64) -> UInt64 {
    while true {
      let y = integralAtLast + random.unit() * (integralAtFirst - integralAtLast)
      let x = Self.inverse(y, theta)
      let rank = Swift.min(Swift.max((x + 0.5).rounded(.down), 1), Double(count))
      if rank - x <= acceptance || y >= Self.integral(rank + 0.5, theta) - Self.density(rank, theta) {
        return UInt64(rank) - 1
      }
    }
  }
}
