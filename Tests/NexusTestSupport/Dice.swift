/// Every random choice of a test, from one seed: the same seed makes the same choices.
///
/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
public struct Dice: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed &>> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed &>> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed &>> 31)
  }

  /// A number of `0..<bound`.
  public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
  public mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }
  public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  public mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }

  /// One of the choices, each as likely as its weight.
  public mutating func pick<Element>(_ choices: [(weight: Int, Element)]) -> Element {
    var rest = below(choices.reduce(0) { $0 + $1.weight })
    for (weight, choice) in choices {
      if rest < weight { return choice }
      rest -= weight
    }
    return choices[0].1
  }

  /// Some of the choices, each with this chance, in a random order.
  public mutating func some<Element>(_ choices: [Element], percent: Int) -> [Element] {
    var chosen = choices.filter { _ in chance(percent) }
    chosen.shuffle(using: &self)
    return chosen
  }

  /// `NEXUS_SEED` where it is set, otherwise a seed of this moment.
  public static func seed() -> UInt64 {
    if let text = Environment["NEXUS_SEED"], let seed = UInt64(text) { return seed }
    return UInt64.random(in: 0..<1_000_000_000_000)
  }
}
