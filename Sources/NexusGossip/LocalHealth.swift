/// How far this node trusts its own ears: 0 is good (Lifeguard, section IV-A: the local health multiplier). What it
/// waits for is scaled by `factor`, so that a node that is short of processor time or network accuses less.
struct LocalHealth: Sendable {
  private(set) var score = 0
  let limit: Int

  init(limit: Int) { self.limit = limit }

  var factor: UInt64 { UInt64(score) + 1 }

  mutating func improve() { score = max(0, score - 1) }

  mutating func worsen(by amount: Int = 1) { score = min(limit, score + amount) }
}
