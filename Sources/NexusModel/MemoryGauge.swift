import Synchronization

/// Bytes held outside the store's own arenas (connection buffers, replication queues) that count against the
/// node's one memory ceiling. Any thread may add and subtract.
public final class MemoryGauge: Sendable {
  private let heldBytes = Atomic<Int>(0)

  public init() {}

  public func add(_ byteCount: Int) { heldBytes.wrappingAdd(byteCount, ordering: .relaxed) }
  public func subtract(_ byteCount: Int) { heldBytes.wrappingSubtract(byteCount, ordering: .relaxed) }
  public var bytes: Int { heldBytes.load(ordering: .relaxed) }
}
