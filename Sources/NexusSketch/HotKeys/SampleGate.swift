/// Lets one of N through, on average: at random distances, so that a pattern in what passes meets no pattern here.
public struct SampleGate: Sendable {
  public let oneIn: Int
  private var state: UInt64
  @usableFromInline var left: Int

  public init(oneIn: Int, seed: UInt64) {
    precondition(oneIn > 0)
    self.oneIn = oneIn
    state = seed
    left = 0
    draw()
  }

  /// Costs one subtraction nearly every time.
  @inlinable @inline(__always) public mutating func admits() -> Bool {
    left &-= 1
    if left > 0 { return false }
    draw()
    return true
  }

  /// The same for so many that pass together: which of them is let through, counted from 0; nil: none. One at most.
  @inlinable @inline(__always) public mutating func admitted(of count: Int) -> Int? {
    left &-= count
    if left > 0 { return nil }
    let index = max(0, count &+ left &- 1)
    draw()
    return index
  }

  /// Any distance from 1 to 2N - 1, each as likely: N on average.
  @usableFromInline mutating func draw() {
    state &+= 0x9E37_79B9_7F4A_7C15
    let mixed = CuckooItem.mix(state)
    left = 1 + Int(truncatingIfNeeded: mixed.multipliedFullWidth(by: UInt64(oneIn * 2 - 1)).high)
  }
}
