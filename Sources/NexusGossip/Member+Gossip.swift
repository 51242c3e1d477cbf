import NexusModel

extension Member {
  public var gossipAddress: NetworkAddress { NetworkAddress(host: host, port: peerPort) }

  /// Of two processes with one id, the elder stays and the other stops: the one started earlier; of two started in
  /// one millisecond, the one with the larger address.
  func isElder(than other: Member) -> Bool { GossipSender(self).isElder(than: GossipSender(other)) }
}
