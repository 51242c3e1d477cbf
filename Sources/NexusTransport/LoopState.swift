import NexusModel
import NexusService

/// What every event touches, in raw memory: no exclusivity checks, no reference counting.
///
/// Invariant: belongs to one loop, touched by its thread only.
struct LoopState {
  /// The wall clock, read once per turn.
  var now: UnixMilliseconds
  /// The output of the batch being executed. Taken into a local for the batch.
  var output: OutputBuffer
  /// What was sent to the connection being received from; goes behind the batch's replies.
  var selfOutput: OutputBuffer
  /// The connection being received from.
  var current: ConnectionPointer?
  var currentWasResumed = false
  var currentIsToClose = false
  /// Invariant: `doorCount` initialised references, each retained until the loop lets go of its doors.
  let doors: UnsafeMutablePointer<Unmanaged<DoorHolder>>
  var doorCount = 0
  /// Invariant: points to a value that outlives the loop and that only this loop writes.
  var statistics: UnsafeMutablePointer<LoopStatistics>

  static let mostDoors = 16
}

/// Keeps a door so that it can be called without being retained for the call: the property of a borrowed object is
/// itself borrowed.
final class DoorHolder {
  let door: any StreamDoor
  init(_ door: any StreamDoor) { self.door = door }

  @inline(never) func receive(
    _ session: UnsafeMutableRawPointer, _ input: UnsafeMutableRawBufferPointer, _ output: inout OutputBuffer
  ) -> Received {
    door.receive(session, input, &output)
  }

  @inline(never) func foresee(_ session: UnsafeMutableRawPointer, _ input: UnsafeRawBufferPointer) {
    door.foresee(session, input)
  }

  @inline(never) func foreseen() { door.foreseen() }

  @inline(never) func produce(_ session: UnsafeMutableRawPointer, _ output: inout OutputBuffer) -> Bool {
    door.produce(session, &output)
  }

  @inline(never) func turnEnded(now: UnixMilliseconds) -> Bool { door.turnEnded(now: now) }
}
