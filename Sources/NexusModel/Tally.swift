import Synchronization

/// A count that one thread writes and any thread reads: for reports, where a value a moment old is good enough.
///
/// Costs what a plain word costs, for the only writer needs no locked instruction; and a reader on another thread is no
/// data race. Invariant: at most one thread at a time calls `add`, `subtract` and `set`.
public struct Tally: ~Copyable, Sendable {
  @usableFromInline let word: Atomic<UInt64>

  @inlinable public init(_ value: UInt64 = 0) { word = Atomic(value) }

  @inlinable @inline(__always) public var value: UInt64 { word.load(ordering: .relaxed) }

  @inlinable @inline(__always) public func add(_ amount: UInt64 = 1) {
    word.store(word.load(ordering: .relaxed) &+ amount, ordering: .relaxed)
  }
  /// For what is a figure of now.
  @inlinable @inline(__always) public func set(_ value: UInt64) { word.store(value, ordering: .relaxed) }
  @inlinable @inline(__always) public func subtract(_ amount: UInt64 = 1) {
    word.store(word.load(ordering: .relaxed) &- amount, ordering: .relaxed)
  }
}
