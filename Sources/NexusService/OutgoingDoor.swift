import NexusModel

/// A door that also connects to others. An established connection is like any other of its loop, save that it counts
/// as no client and is never idle.
public protocol OutgoingDoor: StreamDoor {
  /// The session given to `EventLoop.connect` has its connection. `closed` will follow.
  func connected(_ session: UnsafeMutableRawPointer, _ id: ConnectionID, _ peer: PeerAddress)
  /// It has none and will have none: free the session.
  func failed(_ session: UnsafeMutableRawPointer, _ failure: ConnectFailure)
}

/// Why there is no connection. Nothing has been sent to the other end.
public enum ConnectFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nobody listens there.
  case refused
  case timedOut(milliseconds: Int)
  /// No way leads there; the system's words.
  case unreachable(String)
  /// Not an IPv4 or IPv6 address.
  case invalidAddress(String)
  /// This process lacks descriptors, ports or memory; the system's words.
  case exhausted(String)
  /// Closed before it was established, or the node stops.
  case cancelled

  public var description: String {
    switch self {
    case .refused: "the connection was refused: nobody listens there"
    case .timedOut(let milliseconds): "no answer within \(milliseconds) ms"
    case .unreachable(let reason): "cannot be reached: \(reason)"
    case .invalidAddress(let host): "\"\(host)\" is not an IPv4 or IPv6 address"
    case .exhausted(let reason): "no connection could be made: \(reason)"
    case .cancelled: "given up before the connection was made"
    }
  }
}
