import NexusGossip
import NexusModel
import NexusService
import NexusWire

extension Cluster: PeerControl {
  func lostConnection(to member: MemberNumber) {
    loop.post { [self] in
      guard let id = roster.id(of: member), let record = gossip.record(of: id), record.status.isLive else { return }
      step(.streamBroken(record.member.gossipAddress))
    }
  }

  func sawOtherPlacement(of member: MemberID, _ version: PlacementVersion) {
    loop.post { [self] in
      guard version != placement?.version, let record = gossip.record(of: member) else { return }
      guard complaints.note("placement \(member)", now: now, every: 200) != nil else { return }
      synchronize(with: record.member.gossipAddress)
    }
  }

  func received(_ kind: FrameKind, _ bytes: [UInt8], from member: MemberID, _ answer: PeerAnswer?) {
    loop.post { [self] in
      do throws(WireError) { try handle(kind, bytes, from: member, answer) } catch {
        complain("a member's message cannot be understood", member.text, ("reason", "\(error)"))
      }
    }
  }

  private func handle(
    _ kind: FrameKind, _ bytes: [UInt8], from member: MemberID, _ answer: PeerAnswer?
  ) throws(WireError) {
    switch kind {
    case .membership:
      let membership = try bytes.reading { bytes throws(WireError) in try Membership(decoding: bytes) }
      merge(membership, from: member)
      if membership.isRequest {
        answer?.answer(Membership(records: gossip.records, isRequest: false, digest: gossip.membershipDigest))
      }
    default:
      let number = roster.number(of: member)
      try slots.received(kind, bytes, from: number)
      isPictureOld = true
    }
  }

  func settle(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable () -> Void) {
    loop.post { [self] in slots.settle(slot, keys, done) }
  }

  func askQuorum(_ slot: Slot, _ keys: [SettledKey], _ done: @escaping @Sendable (String?) -> Void) {
    loop.post { [self] in
      guard let replicaKeeper else { return done(nil) }
      replicaKeeper.askQuorum(slot, keys, done)
    }
  }

  func refused(_ address: String, _ reason: String) {
    loop.post { [self] in complain("a peer was turned away", address, ("reason", "it \(reason)")) }
  }
}
