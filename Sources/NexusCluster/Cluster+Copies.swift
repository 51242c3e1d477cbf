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
    let isAway = { (record: MemberRecord) in
      !record.status.isLive && !(record.status == .left && record.member.isLeaving)
    }
    keeper.awayMembers.note(
      away: records.lazy.filter(isAway).map(\.member.id), present: records.lazy.filter { !isAway($0) }.map(\.member.id),
      now: now)
    keeper.view(view.version, sets)
  }
}
