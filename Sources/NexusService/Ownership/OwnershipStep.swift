import NexusModel

/// The membership and the placement that follows from it, as this node sees them now.
public struct OwnershipView: Sendable {
  public struct Seat: Hashable, Sendable {
    public var number: MemberNumber
    public var id: MemberID

    public init(number: MemberNumber, id: MemberID) {
      self.number = number
      self.id = id
    }
  }

  /// Where no live member has a place for a slot.
  public static let nobody = MemberNumber.max

  /// Where two members' versions differ, they exchange their membership if that holds something up.
  public var version: PlacementVersion
  /// Alive or suspected, this node among them, also those without places.
  public let live: [Seat]
  /// For each slot, its first live member; `nobody` where there is none. Slots that nobody has a place for may be left
  /// out at the end, as in simulated worlds of a few slots.
  public var owners: [MemberNumber]

  public init(version: PlacementVersion, live: [Seat], owners: [MemberNumber]) {
    precondition(owners.count <= Slot.count, "a view has \(owners.count) owners; there are \(Slot.count) slots")
    self.version = version
    self.live = live
    self.owners = owners
    liveDigest = Self.digest(live)
  }

  /// Of the ids of the live members: equal on all nodes that see the same ones.
  public let liveDigest: UInt64

  /// FNV-1a over the ids, each with its length before it.
  private static func digest(_ live: [Seat]) -> UInt64 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for id in live.map(\.id).sorted() {
      hash = (hash ^ UInt64(id.text.utf8.count)) &* 0x100_0000_01B3
      for byte in id.text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }
    return hash
  }
}

public enum OwnershipInput: Sendable {
  /// The membership or the placement changed. The first one says that this node belongs to its cluster (or makes one
  /// by itself); before it nothing is executed.
  case view(OwnershipView)
  case received(OwnershipMessage, from: MemberNumber)
  /// Everything of these slots that a `pull` asked for has come and is in the store.
  case arrived(SlotSet, pull: UInt64, from: MemberNumber)
  /// Something of this pull has come: it is not asked for again yet.
  case progressed(pull: UInt64)
  /// The others took this node for dead, so they may execute what it does: as if it had been away.
  case away
  /// The membership has been exchanged with another member since `refresh` was asked for, and the views that follow
  /// from it were given; or there is no other member.
  case refreshed
  /// Hand everything over, for at most so long; the placement is told by others.
  case leave(limitMilliseconds: UInt64)
  /// At least every `tickMilliseconds`.
  case tick
}

/// What this node's store has of a slot that is not settled, beside what a holder has.
public enum LocalCopy: Hashable, Sendable {
  /// It stays: only what is missing is put.
  case newer
  /// An entry replaces it, an absence removes it. Also where there can be none.
  case older
  /// Of another history: an entry replaces it, but that there is none says nothing about it.
  case other
}

/// In the order in which they are to be carried out, each done before the next one begins.
public enum OwnershipOutput: Hashable, Sendable {
  /// Under the lock of each slot's stripe: the route is `route` from now on. The entries stay, and so does the set of
  /// settled keys where the slot was incoming: both are the holding of this number. What waits for keys of these
  /// slots is answered as not here; what arrives for them is dropped.
  case stop(SlotSet, holding: UInt64, route: SlotRoute)
  /// The entries of these slots and their settled sets are removed; streams of them end. Never of executed slots.
  case forget(SlotSet)
  /// Under the lock of each slot's stripe: the route is `incoming`, or `here` if there are no sources. Without
  /// `keepsSettled`, a new set of settled keys begins; with it, the one that the slot had goes on.
  case execute(SlotSet, sources: [KeySource], keepsSettled: Bool)
  /// The sources of incoming slots are others now.
  case sources(SlotSet, [KeySource])
  /// Under the lock of each slot's stripe: the route is `here` and the settled set ends.
  case whole(SlotSet)
  /// Slots that are not executed here.
  case route(SlotSet, SlotRoute)
  /// Entries with this pull's id may be put into these slots, and with no earlier id; `local` says what they are beside
  /// unsettled ones of this node's store.
  case expect(SlotSet, pull: UInt64, from: MemberNumber, local: LocalCopy)
  case send(OwnershipMessage, to: MemberNumber)
  /// Send the entries of these slots, and (where the slot was not whole) the names of settled keys that are absent. A
  /// later pull of the same member replaces an earlier one.
  case stream(SlotSet, holding: UInt64, pull: UInt64, to: MemberNumber)
  /// Exchange the membership with this member.
  case synchronize(MemberNumber)
  /// This node was away: exchange the membership with any member, then `OwnershipInput.refreshed`.
  case refresh
  /// Nothing is left to hand over, or the time is over: these were not moved.
  case drained(unmoved: SlotSet)
}

/// Milliseconds.
public struct OwnershipSettings: Sendable {
  public var tickMilliseconds: UInt64 = 100
  /// Without a step for so long, the node was away: shorter than what the failure detector takes to call it dead.
  public var awayMilliseconds: UInt64 = 500
  public var claimRetryMilliseconds: UInt64 = 200
  public var offerMilliseconds: UInt64 = 1000
  /// A pull without progress is asked again.
  public var pullRetryMilliseconds: UInt64 = 2000
  public var slotsPerPull = 128
  public var pullsPerMember = 2

  public init() {}
}

/// How far rebalancing is, in slots.
public struct OwnershipProgress: Hashable, Sendable {
  public var executed = 0
  /// This node's by placement, executed by another or by none yet.
  public var awaited = 0
  /// Executed here, not received whole.
  public var incoming = 0
  /// Executed here, another's by placement.
  public var misplaced = 0
  /// Kept until their new owner has them.
  public var held = 0

  public var isAtRest: Bool { awaited == 0 && incoming == 0 && misplaced == 0 && held == 0 }
}
