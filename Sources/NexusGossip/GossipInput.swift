import NexusModel

public enum GossipInput: Hashable, Sendable {
  /// Time passed: due at `Gossip.nextDeadline`, harmless at any other time.
  case tick
  case received(GossipMessage, from: NetworkAddress)
  /// Addresses to find the cluster at. They stay known and are tried again whenever nobody else is there.
  case join([NetworkAddress])
  /// Say goodbye; `departed` follows within `leaveMilliseconds`.
  case leave
  /// What I say of myself from now on. The id and the start stay what they were.
  case change(Member)
  /// A peer's full state came over a stream: its request to exchange (the shell answers with `Gossip.fullState`, read
  /// after this step), or its answer to mine.
  case state(GossipState)
  /// The peer that `pingOverStream` asked answered with its id.
  case streamAnswered(sequence: UInt32, by: MemberID)
  /// `pingOverStream` or `synchronize` did not work. Refused: the host answered that nobody listens there (a
  /// connection refused), in contrast to silence.
  case streamFailed(NetworkAddress, isRefused: Bool)
  /// A hint: an established stream with this address was reset, or a datagram to it refused. A process that was killed
  /// shows itself like this; its host closes its connections.
  case streamBroken(NetworkAddress)
}

/// In the order in which they are to be carried out.
public enum GossipOutput: Hashable, Sendable {
  case send(GossipMessage, to: NetworkAddress)
  /// Send `Gossip.fullState` over a stream; what comes back is `GossipInput.state`, what fails `streamFailed`.
  case synchronize(with: NetworkAddress)
  /// Ask over a stream for the id of who listens, for networks that lose datagrams only.
  case pingOverStream(NetworkAddress, sequence: UInt32)
  /// A member's line is another one now; its status was `old`, nil if it was not known.
  case changed(MemberRecord, old: MemberStatus?)
  /// Once a step, after the changes that led to it.
  case digestChanged(UInt64)
  case conflict(GossipConflict)
  /// At this member's address somebody else answers: its advertised address is wrong, or taken by another since.
  case misdirected(MemberRecord, answeredBy: MemberID)
  /// The goodbye has been said: the process may end.
  case departed
}

/// Two processes live under one id.
public struct GossipConflict: Hashable, Sendable {
  public var mine: GossipSender
  public var other: GossipSender
  /// I am the later one: from now on this core does nothing any more, and its process should end with an error.
  public var mustStop: Bool

  public init(mine: GossipSender, other: GossipSender, mustStop: Bool) {
    self.mine = mine
    self.other = other
    self.mustStop = mustStop
  }
}
