import NexusModel

/// What one member asks another to run, in the words of the door that it came through.
public struct Operation: BitwiseCopyable {
  public enum Kind: UInt8, Sendable, BitwiseCopyable {
    /// A Redis command: name and arguments. The reply is RESP in the asked version.
    case command = 0
    /// MULTI ... EXEC of one slot: the number of the watch that it depends on in decimal (0 for none), then for each
    /// queued command the count of its arguments in decimal and these.
    case transaction = 1
    /// An HTTP request that names a key, as the HTTP door puts it down.
    case http = 2
    /// WATCH of keys of one slot: a number that the asking member has chosen, in decimal, then the keys. The member
    /// that executes it watches them for a `transaction` with that number.
    case watch = 3
    /// The number of a watch that is not needed any more, in decimal.
    case unwatch = 4
    /// WAIT for copies of everything that came over this stream before it: for how many, and how many milliseconds at
    /// most, in decimal. The reply is how many there are, as an integer of the Redis protocol.
    case count = 5
    /// FLUSHDB (the database's number) or FLUSHALL (`*`) with this stamp in decimal. 0: the reply is the highest stamp
    /// that the member has met.
    case flush = 6
    /// A value read, written, deleted or loaded anew for a program that embeds a node (`ValueRequest`).
    case value = 7
    /// A copy of a hot key for a short while (`HotKeeper`): the namespace's number in decimal, then the key. The member
    /// that executes its slot says what it has (`HotAnswer`), and over the same stream when that changes.
    case hotCopy = 8
  }

  public struct Flags: OptionSet, Sendable, BitwiseCopyable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }
    /// Changes nothing: may be asked again, and of a replica.
    public static let readOnly = Flags(rawValue: 1 << 0)
    /// Means the receiving node alone, whatever its keys: its share of DBSIZE, SCAN, KEYS, FLUSHALL.
    public static let thisNode = Flags(rawValue: 1 << 1)
    /// CLIENT NO-TOUCH.
    public static let noTouch = Flags(rawValue: 1 << 2)
    /// Its keys lie in several slots, all of which the asking node takes for the same member's. Where that member
    /// does not execute them all, it fails with `OperationFailure.moved` and is not sent on: the door that gave it
    /// away divides it anew.
    public static let severalSlots = Flags(rawValue: 1 << 3)
    /// Who executes the slot does not answer: a read that the receiver's own copy answers, where that is good.
    public static let fromReplica = Flags(rawValue: 1 << 4)
    /// Its client has others under way on the slot, which it must not pass.
    public static let ordered = Flags(rawValue: 1 << 5)
    /// Its client keeps what it reads (CLIENT TRACKING): the asking stream is told of the next change of each key.
    public static let tracked = Flags(rawValue: 1 << 6)
    /// Within one node: a quorum of its keys' copies has been compared just now, and the newest is here.
    public static let compared = Flags(rawValue: 1 << 15)
  }

  public var kind: Kind
  public var flags: Flags
  /// As the asking client has selected it: a database, 0...15, or a namespace's number (`Databases`).
  public var database: UInt16
  /// 2 or 3.
  public var protocolVersion: UInt8
  public var slot: Slot
  /// From now on, until the asking client is told that it failed; 0: the setting `forward-timeout`.
  public var timeoutMilliseconds: UInt32
  /// Valid during the call only.
  public var arguments: UnsafeBufferPointer<Argument>

  public init(
    kind: Kind = .command, flags: Flags = [], database: UInt16, protocolVersion: UInt8, slot: Slot,
    timeoutMilliseconds: UInt32 = 0, arguments: UnsafeBufferPointer<Argument>
  ) {
    self.kind = kind
    self.flags = flags
    self.database = database
    self.protocolVersion = protocolVersion
    self.slot = slot
    self.timeoutMilliseconds = timeoutMilliseconds
    self.arguments = arguments
  }
}

/// How an operation that was given away ended.
public enum OperationReply {
  /// The reply's bytes as its door writes them; valid during the call.
  case payload(UnsafeRawBufferPointer)
  case failed(OperationFailure)
}

public enum OperationFailure: Error, Sendable, Equatable {
  /// Nobody ran it: no live member executes its slot, within the timeout. Safe to ask again.
  case noOwner(Slot)
  /// Nobody ran it: this member could not be reached within the timeout. Safe to ask again.
  case unreachable(MemberID)
  /// Nobody ran it: the queue to its owner is full.
  case overloaded(MemberID)
  /// A read got no answer in time.
  case timedOut(MemberID, milliseconds: Int)
  /// A write was sent and got no answer in time, or (nil) before the connection was lost: it may or may not have run.
  case outcomeUnknown(MemberID, milliseconds: Int?)
  /// Nobody ran it: of the slots of an operation with `severalSlots` not all are executed by this member.
  case moved(MemberID)
  /// It was run, and has fewer copies than its writer asked for.
  case tooFewCopies(String)
  /// The member refused it, in its own words.
  case refused(MemberID, String)

  /// For people, without the error code that a door puts in front.
  public var sentence: String {
    switch self {
    case .noOwner(let slot): "no live member serves slot \(slot.index) now; nothing was done, try again"
    case .unreachable(let id): "member \(id) cannot be reached; nothing was done, try again"
    case .overloaded(let id): "too much waits for member \(id) already; nothing was done, try again"
    case .timedOut(let id, let milliseconds): "member \(id) did not answer within \(milliseconds) ms"
    case .outcomeUnknown(let id, nil):
      "the outcome is unknown: member \(id) was sent this write, and the connection to it was lost before it answered"
    case .outcomeUnknown(let id, .some(let milliseconds)):
      "the outcome is unknown: member \(id) was sent this write and did not answer within \(milliseconds) ms"
    case .moved(let id): "member \(id) does not serve all of these slots any more; nothing was done, try again"
    case .tooFewCopies(let text): text
    case .refused(let id, let text): "member \(id) refused: \(text)"
    }
  }
}

/// Who gave an operation away, on the same loop.
public protocol OperationRequester: AnyObject {
  /// Once for every operation, on the loop's thread, never inside the call that gave it away.
  func replied(_ ticket: UInt64, _ reply: OperationReply)
  /// Many replies were given in a row, and this was the last for now: a chance to send what has gathered.
  func repliesEnded()
}

/// Runs operations where their slots are. One per loop, on the loop's thread only.
public protocol OperationRouter: AnyObject {
  /// Sends the operation to whoever executes its slot: another member, or (when the slot is on its way, or a key has
  /// to be fetched first) this node itself a little later. Operations of one slot from one requester keep their order.
  /// - Returns: the member that it was sent to; nil where it waits here first.
  @discardableResult
  func route(_ operation: Operation, for requester: any OperationRequester, ticket: UInt64) -> MemberNumber?
  /// Sends the operation to this member, whatever slots it has.
  func ask(_ member: MemberNumber, _ operation: Operation, for requester: any OperationRequester, ticket: UInt64)
  /// How often a connection to another member was lost.
  var losses: UInt32 { get }
  /// Whether one to this member was, since there were so many losses: what was sent to it before, it may not remember.
  func wasLost(_ member: MemberNumber, since losses: UInt32) -> Bool
  /// What operations that waited here first have written on this loop after all.
  var ownWrites: WriteRecord { get }
}

/// Of a node whose writes have no copies.
extension OperationRouter {
  public var losses: UInt32 { 0 }
  public func wasLost(_ member: MemberNumber, since losses: UInt32) -> Bool { false }
  public var ownWrites: WriteRecord { WriteRecord() }
}
