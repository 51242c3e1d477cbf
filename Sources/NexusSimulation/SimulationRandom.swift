/// The only source of chance in a simulated world (SplitMix64: Steele, Lea, Flood 2014). Equal seeds, equal worlds.
public struct SimulationRandom: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Below `bound`, which is at least 1.
  public mutating func below(_ bound: UInt64) -> UInt64 { next().multipliedFullWidth(by: bound).high }

  public mutating func below(_ bound: Int) -> Int { Int(below(UInt64(bound))) }

  public mutating func within(_ range: ClosedRange<UInt64>) -> UInt64 {
    range.lowerBound + below(range.upperBound - range.lowerBound + 1)
  }

  /// True with this probability. Draws even for 0 and 1, so that a changed probability moves no later draw.
  public mutating func chance(_ probability: Double) -> Bool {
    Double(next() >> 11) * 0x1p-53 < probability
  }

  /// An independent stream: what is drawn from it moves no draw of this one.
  public mutating func fork() -> SimulationRandom { SimulationRandom(seed: next()) }
}
