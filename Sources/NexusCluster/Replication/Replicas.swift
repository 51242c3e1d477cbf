import NexusGossip
import NexusModel
import NexusRing
import NexusService
import NexusStore

/// The replicators of a node's loops, and of its control loop, which the store tells of changes.
final class Replicas: @unchecked Sendable {
  let configuredCopies: Int
  /// As `Cluster.peers`. Set once.
  private(set) var ofLoops: [LoopReplicator] = []
  /// The same, for the store. Invariant: constant from `attach` on, and valid as long as this.
  private var byWorker: UnsafeMutablePointer<Unmanaged<LoopReplicator>>?

  // Of the control loop.
  private var sets = CopySets()
  private var map: CopyMap?
  private var version: PlacementVersion?

  init(configuredCopies: Int) { self.configuredCopies = configuredCopies }

  deinit { byWorker?.deallocate() }

  /// Before any loop runs.
  func attach(_ peers: [PeerLoop], _ arrears: any Arrears, _ store: Store) {
    let fences = StreamFences()
    ofLoops = peers.map { LoopReplicator($0, arrears, fences, configuredCopies: configuredCopies) }
    for (peer, replicator) in zip(peers, ofLoops) { peer.replicator = replicator }
    let table = UnsafeMutablePointer<Unmanaged<LoopReplicator>>.allocate(capacity: ofLoops.count)
    for (index, replicator) in ofLoops.enumerated() {
      (table + index).initialize(to: Unmanaged.passUnretained(replicator))
    }
    byWorker = table
    let all = Table(start: table, count: UInt32(ofLoops.count))
    store.changeTap = { change, worker in
      // Whoever is no loop changes settings, which may evict: repair finds that.
      guard worker &- 1 < all.count else { return }
      all.start[Int(worker &- 1)]._withUnsafeGuaranteedRef { $0.note(change) }
    }
  }

  private struct Table: @unchecked Sendable {
    let start: UnsafeMutablePointer<Unmanaged<LoopReplicator>>
    let count: UInt32
  }

  /// Once no loop runs.
  func letGo(_ store: Store) { store.changeTap = nil }

  /// What the placement and the membership mean for copies. On the control loop's thread.
  func copyMap(_ placement: Placement, _ records: [MemberRecord], _ roster: Roster) -> CopyMap {
    if let map, version == placement.version { return map }
    let (places, copies) = roster.places(placement)
    let live = Set(records.filter { $0.status.isLive }.compactMap { roster.knownNumber(of: $0.member.id) })
    let made = sets.map(places, copies: copies, myself: 0, live: live, configuredCopies: configuredCopies)
    (map, version) = (made, placement.version)
    return made
  }

  /// Whether this node has a place for the slot. On the control loop's thread.
  func isMine(_ slot: Slot) -> Bool { map?.isMine(slot.index) ?? false }

  /// How long the oldest effect has waited for its confirmation, as the loops last said.
  var oldestLagMilliseconds: UInt64 {
    ofLoops.reduce(0) { oldest, loop in
      loop.lags.withLock { lags in lags.values.reduce(oldest) { max($0, $1.milliseconds) } }
    }
  }

  // MARK: Reports

  /// From any thread.
  func report(_ picture: ClusterPicture) -> ReplicationReport {
    var report = ReplicationReport()
    var lags: [MemberNumber: (effects: Int, bytes: Int, milliseconds: UInt64)] = [:]
    for replicator in ofLoops {
      let tallies = replicator.tallies
      report.sent += tallies.pointee.sent.value
      report.hinted += tallies.pointee.hinted.value
      report.refusedThere += tallies.pointee.refusedThere.value
      report.applied += tallies.pointee.applied.value
      report.older += tallies.pointee.older.value
      report.refusedHere += tallies.pointee.refusedHere.value
      report.tooFarAhead += tallies.pointee.tooFarAhead.value
      for (member, lag) in replicator.lags.withLock({ $0 }) {
        let sum = lags[member] ?? (0, 0, 0)
        lags[member] = (sum.effects + lag.effects, sum.bytes + lag.bytes, max(sum.milliseconds, lag.milliseconds))
      }
    }
    let withPlaces = Set(picture.places)
    for member in picture.members where member.number != 0 && withPlaces.contains(member.number) {
      var replica = ReplicationReport.Replica(
        id: member.record.member.id, number: member.number, isLive: member.record.status.isLive)
      if let lag = lags[member.number] {
        (replica.lagEffects, replica.lagBytes, replica.lagMilliseconds) = lag
      }
      report.replicas.append(replica)
    }
    return report
  }
}
