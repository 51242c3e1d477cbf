import NexusModel
import Synchronization

/// Which namespace stands behind what a client of the Redis door has selected: one of 16 databases, or a namespace by
/// its number, which is 16 or more. Shared by all loops; SWAPDB exchanges two databases at once for everybody.
///
/// Sixteen numbers of four bits in one word, so that a reader never sees half an exchange.
public final class Databases: Sendable {
  public static let count = 16

  @usableFromInline let packed = Atomic<UInt64>(0xFEDC_BA98_7654_3210)

  public init() {}

  /// `database` is 0...15, or a namespace's number.
  @inlinable @inline(__always) public func namespace(of database: Int) -> NamespaceNumber {
    if database >= Self.count { return NamespaceNumber(truncatingIfNeeded: database) }
    return NamespaceNumber(truncatingIfNeeded: (word &>> UInt64(database &* 4)) & 0xF)
  }

  /// The database that shows this namespace.
  public func database(of namespace: NamespaceNumber) -> Int? {
    (0..<Self.count).first { self.namespace(of: $0) == namespace }
  }

  public func swap(_ first: Int, _ second: Int) {
    var old = packed.load(ordering: .relaxed)
    while true {
      let difference = ((old >> UInt64(first * 4)) ^ (old >> UInt64(second * 4))) & 0xF
      let new = old ^ (difference << UInt64(first * 4)) ^ (first == second ? 0 : difference << UInt64(second * 4))
      let outcome = packed.compareExchange(expected: old, desired: new, ordering: .acquiringAndReleasing)
      if outcome.exchanged { return }
      old = outcome.original
    }
  }

  @inlinable @inline(__always) var word: UInt64 { packed.load(ordering: .relaxed) }
}
