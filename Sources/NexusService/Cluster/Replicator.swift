import NexusModel

/// A wait for copies of what was just written. Good for one `notify`.
public struct ReplicaHold: Hashable, Sendable, BitwiseCopyable {
  public let number: UInt64
  public init(number: UInt64) { self.number = number }
}

/// A write that is done, and has not so many copies as its writer asked for.
public struct ReplicaShortfall: Error, Sendable, Equatable {
  /// Members that certainly have it, its owner among them.
  public var confirmed: Int
  public var needed: Int
  /// Those that the slot shall have in all.
  public var configured: Int

  public init(confirmed: Int, needed: Int, configured: Int) {
    self.confirmed = confirmed
    self.needed = needed
    self.configured = configured
  }

  /// For people, without the error code that a door puts in front.
  public var sentence: String {
    "the write is done on its owner, and confirmed by \(confirmed) of \(configured) copies where \(needed) were asked "
      + "for: it may or may not survive the loss of a member"
  }
}

/// Who waits for copies, on the same loop, which it lives as long as.
public protocol ReplicaWaiter: AnyObject {
  /// Once for each hold that it was notified of, on the loop's thread, never inside the call that asked. Nil: there are
  /// as many copies as were asked for.
  func copied(_ ticket: UInt64, _ shortfall: ReplicaShortfall?)
  /// The answer to `Replicator.count`: members beside the owner.
  func counted(_ ticket: UInt64, _ copies: Int)
  /// Many were told in a row, and this was the last for now.
  func copiesEnded()
}

/// Brings this loop's writes to the other members that have copies of their slots. One per loop, on its thread only.
///
/// A write reaches it from the store, under the lock of its stripe; what a door does here is to ask for waits. All of a
/// turn's writes leave together at its end, so a wait is never over within the call that began it.
public protocol Replicator: AnyObject {
  /// Of each slot, its owner's included: as many as `replicas` says.
  var configuredCopies: Int { get }
  /// How many members that have a place for the slot are alive, this one included.
  func liveCopies(of slot: UInt16) -> Int

  // MARK: What has been written

  /// From now on is a new piece of work: `hasWritten` and `hold` are about what comes.
  func beginWork()
  /// Something that other members shall have has been written since.
  var hasWritten: Bool { get }
  /// From now on is written what belongs to one record: all pieces of work until it is taken.
  func beginRecord()
  var hasRecord: Bool { get }
  func takeRecord(into record: inout WriteRecord)

  // MARK: Taking

  /// Takes a version of a key from elsewhere than another member's stream, as one of those is taken: if it is newer
  /// than what is here. False: it was refused, because this node has no copy of the slot, its stamp is too far ahead,
  /// or there is no room.
  func take(_ effect: ForeignEffect) -> Bool

  // MARK: Waiting

  /// A wait for this piece of work's writes.
  func hold(_ acknowledgement: Acknowledgement) -> ReplicaHold
  /// Tells the waiter when the wait is over. A hold that nobody is notified of ends unheard.
  /// - Parameter timeoutMilliseconds: at most; 0: the setting `ack-timeout`.
  func notify(_ waiter: any ReplicaWaiter, _ ticket: UInt64, of hold: ReplicaHold, timeoutMilliseconds: Int)
  /// How many members beside the owner have all of the record's writes, whichever of them has the fewest: told when it
  /// is at least `enough`, or when the time is over.
  func count(
    _ record: WriteRecord, enough: Int, timeoutMilliseconds: Int, for waiter: any ReplicaWaiter, ticket: UInt64)
}

/// One version of a key. Borrows its bytes.
public struct ForeignEffect: BitwiseCopyable {
  public var namespace: NamespaceNumber
  public var key: UnsafeRawBufferPointer
  /// Nil: it was deleted.
  public var value: UnsafeRawBufferPointer?
  /// 0: never.
  public var expiresAt: UnixMilliseconds
  public var stamp: Stamp

  public init(
    namespace: NamespaceNumber, key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer?,
    expiresAt: UnixMilliseconds, stamp: Stamp
  ) {
    self.namespace = namespace
    self.key = key
    self.value = value
    self.expiresAt = expiresAt
    self.stamp = stamp
  }
}

extension Replicator {
  public func take(_ effect: ForeignEffect) -> Bool { false }

  /// Whether as many members live as a write at this level needs: otherwise it is refused before anything is done.
  @inlinable public func canWrite(_ slot: UInt16, _ acknowledgement: Acknowledgement) -> Bool {
    liveCopies(of: slot) >= acknowledgement.copiesNeeded(of: configuredCopies)
  }
}

/// What somebody has written through one loop, in the loop's own terms: between which of its turns, and into slots of
/// which sets of members.
public struct WriteRecord: BitwiseCopyable, Sendable {
  /// 0: nothing.
  public var firstTurn: UInt64 = 0
  public var lastTurn: UInt64 = 0
  /// A bit for each set, by its number modulo 256: two sets that share a bit make an answer too careful, never wrong.
  public var sets: InlineArray<4, UInt64> = .init(repeating: 0)

  public init() {}

  public var isEmpty: Bool { lastTurn == 0 }
  public func has(set: Int) -> Bool { sets[set >> 6 & 3] >> UInt64(set & 63) & 1 != 0 }

  public mutating func note(set: Int, turn: UInt64) {
    sets[set >> 6 & 3] |= 1 << UInt64(set & 63)
    if firstTurn == 0 { firstTurn = turn }
    lastTurn = turn
  }

  public mutating func add(_ other: WriteRecord) {
    if other.isEmpty { return }
    for index in 0..<4 { sets[index] |= other.sets[index] }
    firstTurn = isEmpty ? other.firstTurn : min(firstTurn, other.firstTurn)
    lastTurn = max(lastTurn, other.lastTurn)
  }
}
