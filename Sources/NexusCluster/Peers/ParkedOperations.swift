import NexusModel
import NexusService
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

  /// An own client is given the origin's time, once, where that is longer than the other members'.
  mutating func wait(for filling: (number: UInt64, milliseconds: Int), now: UInt64, isOurs: Bool) {
    if self.filling == 0, isOurs { deadline = max(deadline, now + UInt64(filling.milliseconds)) }
    self.filling = filling.number
  }
}
