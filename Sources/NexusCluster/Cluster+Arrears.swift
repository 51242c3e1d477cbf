import NexusModel
import NexusReplication
import NexusService

/// What loops could not bring to other members goes to the keeper of the copies.
extension Cluster: Arrears {
  func mark(_ slots: SlotSet, for member: MemberNumber, loop index: Int, number: UInt64) {
    loop.post { [self] in
      guard let keeper = replicaKeeper else { return }
      keeper.owe(member, loop: index, number: number)
      keeper.run(.marked(slots, member))
    }
  }

  func hint(_ keys: HintedKeys, for member: MemberNumber, loop index: Int, number: UInt64) {
    loop.post { [self] in
      guard let keeper = replicaKeeper else { return }
      keeper.owe(member, loop: index, number: number)
      keeper.note(keys, for: member)
    }
  }

  func merged(_ slots: SlotSet, from member: MemberNumber) {
    loop.post { [self] in replicaKeeper?.run(.merged(slots, from: member)) }
  }

  /// The loop may count what it wrote as brought to the member.
  func settleArrears(of member: MemberNumber, loop index: Int, through number: UInt64) {
    guard let copies, index < copies.ofLoops.count else { return }
    let replicator = copies.ofLoops[index]
    peers[index].loop.post { replicator.settle(member, through: number) }
  }
}
