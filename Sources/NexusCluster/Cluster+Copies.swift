import NexusModel
import NexusReplication
import NexusRing
import NexusService

extension Cluster {
  /// The view, as copies are about it: before the ownership acts on it.
  func tellCopies(
    _ keeper: ReplicaKeeper, _ view: OwnershipView, _ records: [MemberRecord], _ placement: Placement
  ) {
    guard keeper.sets == nil || keeper.viewed != view.version else { return }
    let (places, copies) = roster.places(placement)
    guard places.count == Slot.count * copies else { return }
    let sets = ReplicaSets(
      me: 0, copies: copies, places: places, owners: view.owners, live: view.live.map(\.number))
    // Who was given up and did not leave by itself may come back with what it had.
    let isAnyoneAway = records.contains { !$0.status.isLive && !($0.status == .left && $0.member.isLeaving) }
    keeper.view(view.version, sets, isAnyoneAway: isAnyoneAway)
  }
}
