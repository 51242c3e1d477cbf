import NexusModel

/// Which of the slots that this node executes may lack what other members have, so that a key is asked of them before
/// it is read or changed: those of which nobody has handed over everything.
///
/// A slot is trusted only if its executing member handed it over, trusted it itself, and every holder that was named
/// then has sent all of its entries.
///
/// Pure; the outputs of `Ownership` are told in their order.
public struct SlotDoubts: Sendable {
  private struct Arrival {
    /// Holders that have not sent everything.
    var missing: Int
    /// Where one of them never does, it is as if nobody had handed the slot over.
    var isRelied: Bool
    /// They are asked for keys too, as long as the slot is unverified.
    var holders: [MemberNumber]
  }

  /// Executed, and perhaps not up to date.
  public private(set) var unverified = SlotSet()
  private var executed = SlotSet()
  /// By slot: executed, and not received whole.
  private var arrivals: [UInt16: Arrival] = [:]
  /// Given away, or kept, as they were: not known to be up to date.
  private var passedOn = SlotSet()
  /// Handed over by who trusts them, in the message that is being followed.
  private var handedOver = SlotSet()

  public init() {}

  // MARK: Messages

  /// Before a message is given to the ownership; nil after it.
  public mutating func follow(_ message: OwnershipMessage?) {
    handedOver = SlotSet()
    guard case .claimAnswer(let answer)? = message else { return }
    for held in answer.handedOver { handedOver.formUnion(held.slots) }
    handedOver.subtract(answer.unverified)
  }

  /// The message as it leaves: with what this node knows of the slots that it hands over.
  public func completed(_ message: OwnershipMessage) -> OwnershipMessage {
    guard case .claimAnswer(var answer) = message else { return message }
    for held in answer.handedOver { answer.unverified.formUnion(held.slots.intersection(passedOn)) }
    return .claimAnswer(answer)
  }

  // MARK: Coming

  /// Answers the slots that are taken over: to be verified from now on.
  public mutating func execute(_ slots: SlotSet, from holders: [MemberNumber]) -> SlotSet {
    let new = slots.subtracting(executed)
    // What comes late for a slot that is executed already changes nothing about it.
    let isRelied = { [arrivals] (slot: Slot) in new.contains(slot) || arrivals[slot.index]?.isRelied == true }
    slots.forEach {
      arrivals[$0.index] =
        holders.isEmpty
        ? nil : Arrival(missing: holders.count, isRelied: isRelied($0), holders: holders)
    }
    let takenOver = holders.isEmpty ? slots.subtracting(unverified) : new.subtracting(handedOver)
    executed.formUnion(slots)
    passedOn.subtract(slots)
    unverified.formUnion(takenOver)
    return takenOver
  }

  /// One holder has sent everything of the slot.
  public mutating func arrived(_ slot: Slot) { arrivals[slot.index]?.missing -= 1 }

  /// The ownership waits for no holder any more. Answers those of which one went away before it had sent everything:
  /// they are taken over now.
  public mutating func whole(_ slots: SlotSet) -> SlotSet {
    var takenOver = SlotSet()
    slots.forEach { slot in
      guard let arrival = arrivals.removeValue(forKey: slot.index), arrival.isRelied, arrival.missing > 0,
        !unverified.contains(slot)
      else { return }
      takenOver.insert(slot)
    }
    unverified.formUnion(takenOver)
    return takenOver
  }

  public func isWhole(_ slot: Slot) -> Bool { arrivals[slot.index] == nil }
  public func holders(of slot: Slot) -> [MemberNumber] { arrivals[slot.index]?.holders ?? [] }

  /// Everything that live members have of these is here. Answers those that were not known to be so.
  public mutating func verified(_ slots: SlotSet) -> SlotSet {
    let verified = slots.intersection(unverified)
    unverified.subtract(verified)
    return verified
  }

  // MARK: Going

  public mutating func stop(_ slots: SlotSet) {
    passedOn.formUnion(slots.intersection(unverified))
    unverified.subtract(slots)
    executed.subtract(slots)
    slots.forEach { arrivals[$0.index] = nil }
  }

  public mutating func forget(_ slots: SlotSet) { passedOn.subtract(slots.subtracting(executed)) }
}
