import NexusModel
import NexusService

/// Keeps operations as letters.
final class FakeRouter: OperationRouter {
  /// Not held: the cluster holds its nodes, and they this.
  private weak var cluster: FakeCluster?
  private let node: Int
  private let loop: Int

  init(_ cluster: FakeCluster, node: Int, loop: Int) {
    self.cluster = cluster
    self.node = node
    self.loop = loop
  }

  var losses: UInt32 { cluster?.losses ?? 0 }
  func wasLost(_ member: MemberNumber, since losses: UInt32) -> Bool { self.losses > losses }

  func route(
    _ operation: Operation, for requester: any OperationRequester, ticket: UInt64
  ) -> MemberNumber? {
    keep(operation, nil, requester, ticket)
    return cluster?.nodes[node].node.routes[operation.slot].member
  }

  func ask(_ member: MemberNumber, _ operation: Operation, for requester: any OperationRequester, ticket: UInt64) {
    keep(operation, member, requester, ticket)
  }

  private func keep(
    _ operation: Operation, _ member: MemberNumber?, _ requester: any OperationRequester, _ ticket: UInt64
  ) {
    guard let cluster else { return }
    cluster.given += 1
    cluster.underWay.append(
      .init(
        cluster.given, operation, from: node, loop: loop, to: member, ticket: ticket, requester: requester))
  }
}

/// The membership as a node sees it: all of them alive, their numbers those of the nodes.
final class FakeFace: ClusterFace, @unchecked Sendable {
  let myself: MemberID
  let picture: ClusterPicture

  init(_ count: Int, _ index: Int) {
    myself = MemberID("n\(index)")!
    var picture = ClusterPicture()
    picture.clusterName = "test"
    picture.members = (0..<count).map { number in
      let member = Member(
        id: MemberID("n\(number)")!, host: "10.0.0.\(number + 1)", peerPort: 7946, redisPort: 6379, clusterPort: 6380)
      return .init(
        number: MemberNumber(number), record: MemberRecord(member: member, incarnation: 1, status: .alive),
        slotCount: Slot.count / count)
    }
    picture.places = (0..<Slot.count).map { MemberNumber($0 * count / Slot.count) }
    self.picture = picture
  }

  func join(_ addresses: [String]) throws(ClusterRefusal) { throw ClusterRefusal("a test's cluster is complete") }
  func leave() {}
}
