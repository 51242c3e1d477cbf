/// What lives on a host of the simulated world: real cores, and just enough of a shell around them to turn their
/// outputs into effects. Hosts are numbered from 0; their number is their address.
///
/// To put further cores into the same world, make a node of them and of those that are there already, with a `Message`
/// that is an enum of all their messages: each core keeps its own step, and the node hands inputs on.
public protocol SimulatedNode {
  associatedtype Message

  /// `now`: microseconds on the host's own clock, which has its own beginning and rate and only goes forward.
  mutating func step(_ input: SimulatedInput<Message>, now: UInt64) -> [SimulatedEffect<Message>]

  /// When the node wants the next `wake`, on its own clock; nil: not by itself. Asked after every step.
  var wakeAt: UInt64? { get }
}

/// A process starts.
public struct SimulatedBirth: Hashable, Sendable {
  public var host: Int
  /// 0 for the first process of this host, 1 after a restart.
  public var life: Int
  /// Microseconds on the host's clock.
  public var now: UInt64
}

public enum SimulatedInput<Message> {
  /// The process has started.
  case start
  case wake
  /// May be lost, late, doubled, overtaken.
  case datagram(Message, from: Int)
  /// Comes once and in order, or the sender hears `streamFailed`.
  case stream(Message, from: Int)
  /// Something sent over a stream did not arrive. Refused: the host answered that nobody listens; else silence. (With
  /// silence, what was sent may have arrived all the same, as in real networks.)
  case streamFailed(to: Int, isRefused: Bool)
  /// A stream that carried something before was reset: the other process ended.
  case streamBroken(with: Int)
}

/// In the order in which they happen.
public enum SimulatedEffect<Message> {
  case datagram(Message, to: Int)
  case stream(Message, to: Int)
}
