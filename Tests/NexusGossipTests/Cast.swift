import NexusModel

@testable import NexusGossip

/// Names, addresses and hand-fed cores for the stories.
enum Cast {
  static func member(_ id: String, startedAt: UInt64 = 1000, port: UInt16? = nil) -> Member {
    let number = port ?? UInt16(id.utf8.reduce(0) { $0 * 31 % 997 + Int($1) })
    return Member(id: MemberID(id)!, host: "127.0.0.1", peerPort: number, startedAt: startedAt)
  }

  static func record(
    _ id: String, _ incarnation: UInt64 = 0, _ status: MemberStatus = .alive, startedAt: UInt64 = 1000,
    port: UInt16? = nil
  ) -> MemberRecord {
    MemberRecord(member: member(id, startedAt: startedAt, port: port), incarnation: incarnation, status: status)
  }

  static func core(_ id: String, knowing others: [MemberRecord] = [], seed: UInt64 = 7) -> Gossip {
    var gossip = Gossip(member: member(id), seed: seed, now: 0)
    for other in others {
      _ = gossip.step(.state(GossipState(sender: GossipSender(other.member), records: [other])), now: 0)
    }
    return gossip
  }

  static func news(
    from id: String, _ updates: [GossipUpdate], kind: GossipMessage.Kind = .gossip, digest: UInt64 = 0
  ) -> GossipInput {
    let sender = member(id)
    let message = GossipMessage(sender: GossipSender(sender), digest: digest, kind: kind, updates: updates)
    return .received(message, from: sender.gossipAddress)
  }
}

extension [GossipOutput] {
  var messages: [GossipMessage] {
    compactMap { output in
      if case .send(let message, _) = output { message } else { nil }
    }
  }

  /// What is sent there.
  func messages(to id: String) -> [GossipMessage] {
    compactMap { output in
      if case .send(let message, Cast.member(id).gossipAddress) = output { message } else { nil }
    }
  }

  var changes: [MemberRecord] {
    compactMap { output in
      if case .changed(let record, _) = output { record } else { nil }
    }
  }

  var synchronized: [NetworkAddress] {
    compactMap { output in
      if case .synchronize(let address) = output { address } else { nil }
    }
  }
}

extension Gossip {
  /// Ticks whenever one is due, until this moment; nothing comes in.
  mutating func idle(until end: UInt64) -> [GossipOutput] {
    var all: [GossipOutput] = []
    while let deadline = nextDeadline, deadline <= end { all += step(.tick, now: deadline) }
    return all
  }
}
