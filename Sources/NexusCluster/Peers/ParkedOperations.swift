import NexusModel
import NexusService
import NexusStore
import NexusWire

/// An operation that waits on this node: for its slot, for a key, for a connection.
struct ParkedOperation {
  /// The operation as it goes over the wire. Its own.
  var bytes: [UInt8]
  var flags: Operation.Flags
  var slot: Slot
  var ticket: UInt64
  var requester: UInt16
  var deadline: UInt64
  var attempts: UInt8
  /// Sent by `ask`: to this member and to no other. Of a read from a copy: this node.
  var direct: MemberNumber?
  /// As in `PendingOperation`.
  var isFromCopy = false
  var copiesTried: UInt8 = 0
  /// Which member asks: this node's own number where it is one of its own clients.
  var origin: MemberNumber
  /// What it reads is being loaded: it is not tried before this number is woken. 0: it waits for something else.
  var filling: UInt64 = 0
  /// How long that may take.
  var fillingMilliseconds = 0
  var quorum = Quorum.notAsked

  /// Of a read that more than half of the copies have a say in.
  enum Quorum: Equatable {
    case notAsked
    /// By the number of the question.
    case asked(UInt64)
    case reached
  }

  /// An own client is given the origin's time, once, where that is longer than the other members'.
  mutating func wait(for filling: (number: UInt64, milliseconds: Int), now: UInt64, isOurs: Bool) {
    if self.filling == 0, isOurs { deadline = max(deadline, now + UInt64(filling.milliseconds)) }
    (self.filling, fillingMilliseconds) = filling
  }
}

/// What the slots wait for whose first operation waits for a load, in one pass. Those behind it wait for it too, as
/// long as it may take: they are not tried before, and are not out of time earlier.
struct AwaitedLoads {
  private var first: [UInt16: (number: UInt64, milliseconds: Int)] = [:]

  mutating func note(_ operation: ParkedOperation) {
    guard operation.filling != 0, first[operation.slot.index] == nil else { return }
    first[operation.slot.index] = (operation.filling, operation.fillingMilliseconds)
  }

  func join(_ operation: inout ParkedOperation, now: UInt64, isOurs: Bool) {
    if let load = first[operation.slot.index] { operation.wait(for: load, now: now, isOurs: isOurs) }
  }

  mutating func removeAll() { first.removeAll(keepingCapacity: true) }
}

extension PeerLoop {
  func outOfTime(_ operation: ParkedOperation) -> OperationFailure {
    if operation.filling != 0 { return .refused(identity.id, "the origin did not answer in time") }
    if let member = operation.direct, let entry = directory.entry(member) { return .unreachable(entry.id) }
    return .noOwner(operation.slot)
  }
}
