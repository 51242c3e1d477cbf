import NexusModel
import NexusService
import NexusStore

/// A loop's share of the store's background work, done at the end of each of its turns: expired entries, growth in
/// steps, flushed memory. It has no clients.
final class Maintenance: StreamDoor {
  /// A loop that has nothing to do comes again this soon by itself.
  private static let idleMilliseconds = 200

  private let store: Store
  /// Invariant: the loop outlives its doors.
  private unowned let loop: any EventLoop
  private let index: Int
  private let worker: Worker
  /// When the timer that was set last ends the loop's sleep.
  private var wakesAt: UnixMilliseconds = 0

  init(_ store: Store, _ loop: any EventLoop) {
    self.store = store
    self.loop = loop
    index = loop.index
    worker = Node.worker(ofLoop: loop.index)
  }

  func turnEnded(now: UnixMilliseconds) -> Bool {
    let rest = store.maintain(loop: index, as: worker, now: now) { loop.monotonicNanoseconds }
    if rest <= 1 { return true }
    // A timer that is set for later, or for a time that has passed, wakes nobody at the right moment.
    if rest < Self.idleMilliseconds, wakesAt <= now || wakesAt > now + Int64(rest) {
      wakesAt = now + Int64(rest)
      loop.after(milliseconds: rest) {}
    }
    return false
  }

  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? { nil }

  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    Received(consumed: input.count, next: .closeAfterFlush)
  }

  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) {}
}
