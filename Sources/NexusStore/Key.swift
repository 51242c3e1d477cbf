import NexusModel

/// A key prepared for the store: hashed, and placed in its slot. Borrows the caller's bytes.
public struct Key: BitwiseCopyable {
  public let base: UnsafeRawPointer
  public let count: Int
  public let hash: UInt64
  public let slot: UInt16
  public let namespace: NamespaceNumber

  @inlinable @inline(__always)
  init(base: UnsafeRawPointer, count: Int, hash: UInt64, slot: UInt16, namespace: NamespaceNumber) {
    self.base = base
    self.count = count
    self.hash = hash
    self.slot = slot
    self.namespace = namespace
  }

  @inlinable public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}

/// Who holds a lock: a loop's index + 1, or a number of its own for any other thread that touches the store.
/// Locks are re-entrant for their holder, so that a transaction holds its stripes while its commands lock theirs.
public typealias Worker = UInt32

/// What an entry's value is. The numbers are the entries' own and travel between members; 0 to 5 fit.
public enum ValueType: UInt8, Sendable, BitwiseCopyable {
  case string = 0
  /// A filter of NexusSketch, byte for byte.
  case cuckooFilter = 1
}

/// What becomes of an entry's expiry when its value is written.
public enum Expiry: Sendable, BitwiseCopyable {
  /// Keeps what the entry has (nothing for a new one).
  case keep
  /// No TTL.
  case none
  /// Gone at this moment.
  case at(UnixMilliseconds)
}

public enum WriteOutcome: Sendable, BitwiseCopyable {
  case stored
  /// The namespace's or the node's memory is full and its policy evicts nothing, or nothing is left to evict.
  case outOfMemory
}
