import NexusModel

/// What a member kept of slots that it executed before and does so no more. A slot's name for it is (member, number):
/// no member gives a number twice, not even after a restart, so an old message never means a later holding.
public struct Holding: Hashable, Sendable {
  public var member: MemberID
  public var number: UInt64

  public init(member: MemberID, number: UInt64) {
    self.member = member
    self.number = number
  }
}

/// Where the keys of a slot are looked for that its executing owner has not settled, in this order.
public enum KeySource: Hashable, Sendable {
  /// This node's own store, as far as its keys are not settled: what it kept from an earlier time. Stands once at most.
  case local
  case holder(Holding)
  /// What stands behind this comes of another history, told by nobody before it: of a half that was torn off, or of a
  /// member that was away. It may have what does not exist in theirs.
  case otherHistory
}

/// Slots that were executed by one member, with what there is to know about their keys.
public struct HeldSlots: Hashable, Sendable {
  public var slots: SlotSet
  public var holding: Holding
  /// Holders of what this one has not settled, the nearest first. Empty: what it does not have does not exist.
  public var behind: [Holding]
  /// These have given everything and may forget it, and have not been heard to do so.
  public var settled: [Holding]

  public init(slots: SlotSet, holding: Holding, behind: [Holding] = [], settled: [Holding] = []) {
    self.slots = slots
    self.holding = holding
    self.behind = behind
    self.settled = settled
  }
}

/// The placement gives these slots to the sender, which does not execute them.
public struct SlotClaim: Hashable, Sendable {
  /// The claimant's own: a later claim of the same slots has another one. The answer carries it.
  public var id: UInt64
  /// Of this message: the claim is asked again and again, and an old answer may come late.
  public var ask: UInt64
  public var version: PlacementVersion
  /// `OwnershipView.liveDigest`: only who sees the same members alive denies anything.
  public var live: UInt64
  public var slots: SlotSet

  public init(id: UInt64, ask: UInt64, version: PlacementVersion, live: UInt64, slots: SlotSet) {
    self.id = id
    self.ask = ask
    self.version = version
    self.live = live
    self.slots = slots
  }
}

/// Each slot of the claim is in one of `handedOver`, `notMine`, `later`.
public struct SlotClaimAnswer: Hashable, Sendable {
  public var id: UInt64
  public var ask: UInt64
  public var version: PlacementVersion
  /// Executed by the answering member until just now.
  public var handedOver: [HeldSlots] = []
  /// Neither executed nor claimed by the answering member, which sees the same members alive as the claimant.
  public var notMine = SlotSet()
  /// Of `notMine`: what the answering member keeps from an earlier time.
  public var held: [HeldSlots] = []
  /// Of `notMine`: when the answering member last stopped executing them, as a number that it gives once. To whom such
  /// a slot went may have denied it before, so a claimant that has not met the number asks everyone else again.
  public var stopped: [SlotsOfHolding] = []
  /// Ask again: the members do not agree about the owner yet, or the slot cannot be handed over now.
  public var later = SlotSet()
  /// Of `later`: the answering member executes them and will go on until it is asked again.
  public var executed = SlotSet()
  /// Of `handedOver`: the answering member took them over from nobody, and others may have what it lacks. The ownership
  /// hands it on; shells say it and heed it, for it is about copies.
  public var unverified = SlotSet()

  public init(id: UInt64, ask: UInt64, version: PlacementVersion) {
    self.id = id
    self.ask = ask
    self.version = version
  }
}

/// Reminds the owner by placement of what the sender has of its slots.
public struct SlotOffer: Hashable, Sendable {
  public var version: PlacementVersion
  /// Executed by the sender. May be empty: then it only asks for the claims that it had to put off.
  public var executed: SlotSet
  public var held: [HeldSlots]

  public init(version: PlacementVersion, executed: SlotSet = SlotSet(), held: [HeldSlots] = []) {
    self.version = version
    self.executed = executed
    self.held = held
  }
}

/// Slots of one holding.
public struct SlotsOfHolding: Hashable, Sendable {
  public var number: UInt64
  public var slots: SlotSet

  public init(number: UInt64, slots: SlotSet) {
    self.number = number
    self.slots = slots
  }
}

/// What ownerships say to one another. Entries and single keys (`KeyFetch`) travel between the shells.
public enum OwnershipMessage: Hashable, Sendable {
  case claim(SlotClaim)
  case claimAnswer(SlotClaimAnswer)
  case offer(SlotOffer)
  /// Send me everything of these slots; `id` is the receiver's and comes back with each entry.
  case pull(id: UInt64, SlotsOfHolding)
  /// The answer to a pull (or a fetch) of what is not kept any more.
  case gone(SlotsOfHolding)
  /// Everything has arrived: forget it.
  case confirm(SlotsOfHolding)
  /// It is forgotten.
  case forgotten(SlotsOfHolding)
}
