import NexusModel

/// The arguments of a batch of requests, one after another in raw memory that is used again for the next batch.
///
/// A plain value: copy it to a local for a batch and store it back. Exactly one owner calls `deallocate`.
public struct ArgumentArena: BitwiseCopyable {
  /// Invariant: room for `capacity` arguments, of which the first `count` are initialised. Moves when it grows:
  /// requests remember offsets, never pointers.
  public private(set) var base: UnsafeMutablePointer<Argument>
  public var count: Int
  public private(set) var capacity: Int

  public init(capacity: Int = 1024) {
    base = .allocate(capacity: capacity)
    self.capacity = capacity
    count = 0
  }

  public func deallocate() { base.deallocate() }

  @inlinable @inline(__always) public mutating func append(_ argument: Argument) {
    if count == capacity { grow(to: capacity * 2) }
    (base + count).initialize(to: argument)
    count &+= 1
  }

  @usableFromInline @inline(never) mutating func grow(to newCapacity: Int) {
    let larger = UnsafeMutablePointer<Argument>.allocate(capacity: newCapacity)
    larger.initialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity = newCapacity
  }

  /// Empties it, and gives memory back after an unusually long request.
  public mutating func reset(keeping limit: Int = 16 * 1024) {
    count = 0
    if capacity > limit {
      base.deallocate()
      base = .allocate(capacity: 1024)
      capacity = 1024
    }
  }
}
