import NexusModel
import NexusService
import NexusStore

/// A loop's share of the store's background work, done at the end of each of its turns: expired entries, growth in
/// steps, flushed memory. It has no clients.
final class Maintenance: StreamDoor {
  /// A turn may take this long for it: with a millisecond between turns of an idle loop, at most a seventh of a core.
  private static let budgetNanoseconds = 160_000

  private let store: Store
  private let loop: Int
  private let worker: Worker

  init(_ store: Store, _ loop: Int) {
    self.store = store
    self.loop = loop
    worker = Node.worker(ofLoop: loop)
  }

  func turnEnded(now: UnixMilliseconds) -> Bool {
    store.maintain(loop: loop, as: worker, now: now, budgetNanoseconds: Self.budgetNanoseconds)
  }

  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? { nil }

  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    Received(consumed: input.count, next: .closeAfterFlush)
  }

  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) {}
}
