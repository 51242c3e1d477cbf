import NexusModel
import NexusService

/// One client connection, as the Redis door sees it.
///
/// Lives on its loop's thread. What few clients use is in `extras`, so that an idle connection stays small.
public final class Session {
  /// As CLIENT ID shows it: rising over the whole node.
  public let id: UInt64
  public let connection: ConnectionID
  public let peer: PeerAddress
  /// The selected database's namespace number.
  public var namespace: NamespaceNumber = 0
  /// The selected database, 0...15.
  public var database: Int = 0
  /// 2 or 3.
  public var protocolVersion: Int = 2

  init(id: UInt64, connection: ConnectionID, peer: PeerAddress) {
    self.id = id
    self.connection = connection
    self.peer = peer
  }
}
