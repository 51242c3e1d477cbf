import NexusModel
import NexusService
import Synchronization

/// The streams that are open between this node and other members, both ways, for reports.
final class LinkBoard: Sendable {
  final class Link: Sendable {
    let direction: PeerLinkReport.Direction
    let member: MemberID
    let openedAt: UnixMilliseconds
    /// Written by the stream's own loop, when it sends and when what waited has left.
    private let queued = Atomic<Int>(0)

    init(_ direction: PeerLinkReport.Direction, _ member: MemberID, _ openedAt: UnixMilliseconds) {
      (self.direction, self.member, self.openedAt) = (direction, member, openedAt)
    }

    func note(queuedBytes: Int) { queued.store(queuedBytes, ordering: .relaxed) }
    var report: PeerLinkReport {
      PeerLinkReport(
        direction: direction, member: member, openedAt: openedAt, queuedBytes: queued.load(ordering: .relaxed))
    }
  }

  private let links = Guarded<[ObjectIdentifier: Link]>([:])

  func open(_ direction: PeerLinkReport.Direction, _ member: MemberID, at now: UnixMilliseconds) -> Link {
    let link = Link(direction, member, now)
    links.withLock { $0[ObjectIdentifier(link)] = link }
    return link
  }

  func close(_ link: inout Link?) {
    guard let closed = link else { return }
    _ = links.withLock { $0.removeValue(forKey: ObjectIdentifier(closed)) }
    link = nil
  }

  var reports: [PeerLinkReport] { links.withLock { links in links.values.map(\.report) } }
}
