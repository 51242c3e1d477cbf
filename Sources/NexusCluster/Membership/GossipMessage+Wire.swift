import NexusGossip
import NexusModel
import NexusWire

/// Gossip's messages as the content of a datagram.
extension GossipMessage {
  func packet(clusterName: String) -> GossipPacket {
    var packet = GossipPacket(
      clusterName: clusterName, kind: .gossip, sequence: 0,
      source: GossipPacket.Peer(
        id: sender.id, host: sender.address.host, port: sender.address.port, startedAt: sender.startedAt),
      digest: digest, updates: updates.map { GossipPacket.Update(record: $0.record, accuser: $0.accuser) })
    switch kind {
    case .ping(let sequence, let target):
      packet.kind = .ping
      packet.sequence = UInt64(sequence)
      packet.target = target.map { GossipPacket.Peer(id: $0, host: "", port: 0) }
    case .pingRequest(let sequence, let target, let address):
      packet.kind = .pingRequest
      packet.sequence = UInt64(sequence)
      packet.target = GossipPacket.Peer(id: target, host: address.host, port: address.port)
    case .ack(let sequence, let member):
      packet.kind = .ack
      packet.sequence = UInt64(sequence)
      packet.target = GossipPacket.Peer(id: member, host: "", port: 0)
    case .nack(let sequence):
      packet.kind = .nack
      packet.sequence = UInt64(sequence)
    case .gossip: break
    }
    return packet
  }

  /// Nil for a packet that says too little for its kind.
  init?(_ packet: GossipPacket) {
    let sequence = UInt32(truncatingIfNeeded: packet.sequence)
    let kind: Kind
    switch packet.kind {
    case .ping: kind = .ping(sequence: sequence, target: packet.target?.id)
    case .pingRequest:
      guard let target = packet.target else { return nil }
      kind = .pingRequest(
        sequence: sequence, target: target.id, address: NetworkAddress(host: target.host, port: target.port))
    case .ack:
      guard let target = packet.target else { return nil }
      kind = .ack(sequence: sequence, of: target.id)
    case .nack: kind = .nack(sequence: sequence)
    // What a later version says beside its news is passed over, the news is not.
    default: kind = .gossip
    }
    self.init(
      sender: GossipSender(
        id: packet.source.id, startedAt: packet.source.startedAt,
        address: NetworkAddress(host: packet.source.host, port: packet.source.port)),
      digest: packet.digest, kind: kind,
      updates: packet.updates.map { GossipUpdate(record: $0.record, accuser: $0.accuser) })
  }
}
