import NexusModel

public enum RepairInput: Sendable {
  /// The placement or the set of live members changed. Every comparison begins anew. Entries of slots that this node
  /// neither has a place for nor executes are leftovers from here on.
  ///
  /// Where a member came back that may have executed slots meanwhile which this node executes as well, `execute` them
  /// again as taken over.
  case view(PlacementVersion, ReplicaSets)
  /// This node executes these slots from now on, and everything that was handed over to it is in its store.
  /// `isTakenOver`: nobody handed them over, so a single key is asked of the other members (`ReplicaReads`) before it
  /// is read or changed, until `verified` names the slot.
  case execute(SlotSet, isTakenOver: Bool)
  /// Another member executes them, or nobody.
  case stop(SlotSet)
  /// The member may lack something of these: its link broke with effects unconfirmed, hints of it were given up, it
  /// refused an effect.
  case marked(SlotSet, MemberNumber)
  /// Versions that came from this member were newer than what was here: whoever shares the slots may lack them. To be
  /// told of slots that are executed here, whatever brought them (repair, single keys, a former owner); and of others,
  /// where they came from another member than the one that executes them.
  case merged(SlotSet, from: MemberNumber)
  /// The process stood still or was taken for dead: others may have written to its slots.
  case away
  case received(ReplicationMessage, from: MemberNumber)
  /// A `push` has been carried out, with so many bytes.
  case pushed(bytes: Int, to: MemberNumber, answering: UInt64?)
  /// When `nextWake` has come, or every 100 ms.
  case tick
}

/// In the order in which they are to be carried out, each done before the next one begins.
public enum RepairOutput: Hashable, Sendable {
  case send(ReplicationMessage, to: MemberNumber)
  /// Send the versions that these keys have now as effects (nothing for a key that is not there), then tell `pushed`
  /// with the same `answering`.
  case push([SlotKeys], to: MemberNumber, answering: UInt64?)
  /// Remove each key unless its version is newer than the one named, without a tombstone.
  case remove([SlotDrops])
  /// Flush the namespace up to this stamp: another member has done it, and this one missed it.
  case flush(FlushStamp)
  /// Remove what is due of these slots: expired entries are not compared.
  case expire(SlotSet)
  /// Forget every entry and tombstone of these: this node has no place for them, and everyone who has one has them.
  case release(SlotSet)
  /// Everything that live members have of these taken-over slots is here.
  case verified(SlotSet)
  /// Whether all copies of this node have been compared since its view changed, and it has no leftovers.
  case settled(Bool)
  /// Slots executed here that are known to differ on another member.
  case divergent(Int)
  /// Exchange the membership with this member: it has another placement version.
  case synchronize(MemberNumber)
  /// This member has a version with a stamp so far ahead that it is not taken.
  case ahead(MemberNumber, Stamp)
}

public struct RepairSettings: Sendable {
  public var intervalMilliseconds: UInt64 = 2000
  /// A slot whose digests differ while it is written is looked at again after this, so many times.
  public var putOffMilliseconds: UInt64 = 1000
  public var putOffRounds = 5
  /// A question without an answer is asked again, so many times in all; then the member has a rest of an interval.
  public var retryMilliseconds: UInt64 = 500
  public var attempts = 4
  /// What was sent is given this long to arrive before the slot is compared again; less where clients wait for it.
  public var settleMilliseconds: UInt64 = 200
  public var urgentSettleMilliseconds: UInt64 = 20
  /// A slot that still differs after this many exchanges is left alone, for an interval at first, then for twice as
  /// long each time, up to the longest rest.
  public var exchanges = 3
  public var longestRestMilliseconds: UInt64 = 60_000
  public var leftoverMilliseconds: UInt64 = 2000
  /// Of entries, to and from other members; urgent work is not held back, and counted.
  public var bytesPerSecond = 64 << 20
  public var slotsPerDigests = 1024
  public var keysPerInventories = 4096
  public var keysPerPortion = 256

  public init() {}
}
