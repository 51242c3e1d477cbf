/// The generator of Steele, Lea and Flood (OOPSLA 2014): one addition and two multiplications per number, and any
/// seed will do. Chance here is always a seed that the report prints.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  @inline(__always) public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  /// Uniform in 0..<bound. The bias of the multiplication is below bound / 2^64.
  @inline(__always) public mutating func below(_ bound: UInt64) -> UInt64 {
    next().multipliedFullWidth(by: bound).high
  }

  /// Uniform in 0..<1, with 53 bits.
  @inline(__always) public mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }
}
