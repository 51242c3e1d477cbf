import NexusModel

/// Where a node takes datagrams and peer streams: an IP address without brackets, and a port.
public struct GossipAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  public var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// By bytes, so that every machine sorts alike.
  public static func < (left: GossipAddress, right: GossipAddress) -> Bool {
    left.host == right.host ? left.port < right.port : left.host.utf8.lexicographicallyPrecedes(right.host.utf8)
  }
}

extension Member {
  public var gossipAddress: GossipAddress { GossipAddress(host: host, port: peerPort) }

  /// Of two processes with one id, the elder stays and the other stops: the one started earlier; of two started in
  /// one millisecond, the one with the larger address.
  func isElder(than other: Member) -> Bool { GossipSender(self).isElder(than: GossipSender(other)) }
}
