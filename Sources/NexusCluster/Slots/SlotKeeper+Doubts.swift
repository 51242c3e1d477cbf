import NexusModel
import NexusService
import NexusStore

// Slots that may lack what other members have.

extension SlotKeeper {
  /// Where nobody handed slots over that had everything, other members may have newer versions of their keys: these are
  /// asked first.
  func takeOver(_ slots: SlotSet, from sources: [KeySource]) {
    guard let copies else { return }
    let holders = sources.compactMap { source in
      if case .holder(let holding) = source { cluster.number(of: holding.member) } else { nil }
    }
    let takenOver = doubts.execute(slots, from: holders)
    if !takenOver.isEmpty { copies.execute(takenOver, isTakenOver: true) }
  }

  func becomeWhole(_ slots: SlotSet) {
    let deserted = doubts.whole(slots)
    each(slots) { slot in
      if deserted.contains(slot) { node.incoming.begin(slot) }
      guard !doubts.unverified.contains(slot) else { return }
      node.incoming.end(slot)
      node.routes.set(slot, .here)
    }
    guard let copies else { return }
    if !deserted.isEmpty { copies.execute(deserted, isTakenOver: true) }
    copies.received(slots.subtracting(deserted))
  }

  /// Everything that live members have of these is here.
  func verified(_ slots: SlotSet) {
    let slots = doubts.verified(slots)
    guard !slots.isEmpty else { return }
    // What holders have sent of the others by now was not taken for all that there is: those keys are asked for again.
    each(slots) { slot in
      guard doubts.isWhole(slot) else { return }
      node.incoming.end(slot)
      node.routes.set(slot, .here)
    }
    cluster.routesChanged()
  }

  /// What one holder has is not enough where others have to be asked.
  func settle(_ key: Key) {
    if !doubts.unverified.contains(Slot(index: key.slot)) { node.incoming.settle(key) }
  }
}
