import NexusModel
import NexusService

/// An engine's second door, whose clients speak Redis Cluster.
final class RedirectingDoor: StreamDoor {
  private let engine: Engine

  init(_ engine: Engine) { self.engine = engine }

  func open(_ id: ConnectionID, _ peer: PeerAddress, farewell: inout OutputBuffer) -> UnsafeMutableRawPointer? {
    engine.open(id, peer, redirects: true)
  }

  func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received { engine.receive(session, input, &output) }

  func foresee(_ session: UnsafeMutableRawPointer, _ input: UnsafeRawBufferPointer) {
    engine.foresee(session, input)
  }
  func foreseen() { engine.foreseen() }
  func closed(_ session: UnsafeMutableRawPointer, _ reason: CloseReason) { engine.closed(session, reason) }
  func turnEnded(now: UnixMilliseconds) -> Bool { false }
  func refuse(_ farewell: inout OutputBuffer) { engine.refuse(&farewell) }
}
