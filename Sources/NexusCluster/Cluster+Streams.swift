import NexusGossip
import NexusModel
import NexusService
import NexusWire

/// What gossip asks over streams: the whole membership, and names.
extension Cluster {
  func synchronize(withMember number: MemberNumber) {
    guard let id = roster.id(of: number), let record = gossip.record(of: id) else { return }
    synchronize(with: record.member.gossipAddress)
  }

  /// This node was away: it asks some members what it has missed. The first answer will do; not everybody need be able
  /// to give one.
  func refreshMembership() {
    let others = gossip.records.filter { $0.status.isLive && $0.member.id != identity.id }
    if others.isEmpty { return slots.refreshed() }
    for other in others.shuffled().prefix(3) { synchronize(with: other.member.gossipAddress) }
  }

  func number(of id: MemberID) -> MemberNumber? { gossip.record(of: id) == nil ? nil : roster.number(of: id) }
  func id(of number: MemberNumber) -> MemberID? { roster.id(of: number) }

  func synchronize(with address: NetworkAddress) {
    let question = Membership(records: gossip.records, isRequest: true, digest: gossip.membershipDigest)
    exchange(with: address, question) { [unowned self] answer in
      switch answer {
      case .state(let membership, let other): merge(membership, from: other)
      case .name: step(.streamFailed(address, isRefused: false))
      case .failed(let isRefused): step(.streamFailed(address, isRefused: isRefused))
      }
    }
  }

  func ping(_ address: NetworkAddress, _ sequence: UInt32) {
    exchange(with: address, nil) { [unowned self] answer in
      switch answer {
      case .name(let id), .state(_, let id): step(.streamAnswered(sequence: sequence, by: id))
      case .failed(let isRefused): step(.streamFailed(address, isRefused: isRefused))
      }
    }
  }

  private func exchange(
    with address: NetworkAddress, _ question: Membership?, _ answered: @escaping (StateExchange.Answer) -> Void
  ) {
    let handler = StateExchange(
      identity, question: question,
      refused: { [unowned self] reason in refused(address.description, reason) }, answered: answered)
    streams.open(
      to: address, path: PeerIdentity.path, headers: [],
      timeoutMilliseconds: 5000, handler)
  }

  func merge(_ membership: Membership, from other: MemberID) {
    guard let sender = membership.records.first(where: { $0.member.id == other })?.member else {
      return complain("a member's list does not name itself: it was not merged", other.text)
    }
    heed(membership.records)
    step(.state(GossipState(sender: sender.gossipSender, records: membership.records)))
    slots.refreshed()
  }
}

extension Member {
  var gossipSender: GossipSender { GossipSender(id: id, startedAt: startedAt, address: gossipAddress) }
}
