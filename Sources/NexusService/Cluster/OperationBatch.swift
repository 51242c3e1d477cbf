import NexusModel
import NexusStore

/// What became of an operation that a door was given to execute.
public enum OperationOutcome: BitwiseCopyable {
  /// Its reply ends at this place of the batch's output, and begins where the one before it ended.
  case replied(end: Int)
  /// As `replied`; the reply is given once the hold ends well.
  case held(end: Int, ReplicaHold)
  /// Not run: its slot is not executed here (any more, or yet).
  case notHere
  /// Not run: these of its arguments are keys that have to be settled first (`IncomingSlots.isSettled`): so many of
  /// `OperationBatch.missing`, from `first` on.
  case keysMissing(first: Int, count: Int)
  /// Not run: what it reads is being loaded. It is offered again when this number is woken (`LoopFiller.wake`), for so
  /// long at most.
  case filling(number: UInt64, milliseconds: Int)
}

/// Operations that a door executes together: looked ahead at together, replied to in one buffer.
public struct OperationBatch {
  public static let largest = 64

  /// Invariant: `count` operations, at most `largest`; they and what they point to live as long as the call.
  public let operations: UnsafePointer<Operation>
  public let outcomes: UnsafeMutablePointer<OperationOutcome>
  public let count: Int
  public var out: OutputBuffer
  /// Keys that must be settled, in the namespaces that the door has looked in.
  public var missing: [Key] = []

  public init(
    operations: UnsafePointer<Operation>, outcomes: UnsafeMutablePointer<OperationOutcome>, count: Int,
    out: OutputBuffer
  ) {
    self.operations = operations
    self.outcomes = outcomes
    self.count = count
    self.out = out
  }
}

/// A door that can execute what came through the same door of another member. One per loop and kind.
public protocol OperationExecutor: AnyObject {
  /// Sets an outcome for each operation. Runs one only while its slot is executed here, which it checks under the
  /// lock of the slot's stripe (`Operation.Flags.thisNode` goes without).
  /// - Parameter requester: which member asks.
  func execute(_ batch: inout OperationBatch, for requester: MemberNumber)
  /// The member is dead or has left: what is kept on its behalf is let go.
  func forgetPeer(_ member: MemberNumber)
}

extension OperationExecutor {
  public func forgetPeer(_ member: MemberNumber) {}
}
