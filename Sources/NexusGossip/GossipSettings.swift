/// Times in milliseconds. Every member of a cluster should have the same.
public struct GossipSettings: Hashable, Sendable {
  /// Every period one member is probed. A node in bad health takes up to nine times as long (Lifeguard, IV-A).
  public var periodMilliseconds: UInt64 = 200
  /// Without an answer for this long, others are asked to ask; scaled like the period, and less than it.
  public var probeTimeoutMilliseconds: UInt64 = 100
  /// How many are asked to ask (SWIM's k).
  public var indirectProbes = 3
  /// Where news waits, it is sent this often to `gossipFanout` random members, besides riding on probes.
  public var gossipMilliseconds: UInt64 = 60
  public var gossipFanout = 3
  /// News is sent `disseminationFactor * ceil(log10(n + 1))` times by each member.
  public var disseminationFactor = 4
  /// What one datagram holds at most, as estimated by `GossipUpdate.estimatedBytes`.
  public var datagramBytes = 1200
  /// The shortest suspicion is `suspicionPeriods * max(1, log10 n)` periods, as soon as others found out the same.
  public var suspicionPeriods: UInt64 = 3
  /// The longest, of one accuser alone, is this many times the shortest.
  public var suspicionFactor: UInt64 = 5
  /// How many independent accusers, after the first, make it the shortest; at most 3.
  public var suspicionConfirmations = 3
  /// The suspicion of a member whose probe failed and whose host refuses connections: its process is not there.
  public var refusedSuspicionMilliseconds: UInt64 = 250
  /// Local health goes from 0 (good) to this.
  public var healthLimit = 8
  /// For so long after its return, what a lost member says of others' deaths only makes them suspect.
  public var doubtMilliseconds: UInt64 = 2000
  /// A dead member is forgotten (`left`) after this.
  public var forgetAfterMilliseconds: UInt64 = 30_000
  /// Who left is remembered for this long, so that old news does not bring it back.
  public var rememberLeftMilliseconds: UInt64 = 3_600_000
  /// One address of a member that was lost, or of a seed, is tried this often.
  public var reconnectMilliseconds: UInt64 = 1000
  /// How many of these addresses are kept.
  public var contactLimit = 128
  /// While nobody else is known, seeds are asked this often.
  public var joinMilliseconds: UInt64 = 300
  /// Least time between two exchanges of the full state that a difference of digests leads to.
  public var synchronizeMilliseconds: UInt64 = 1000
  /// How long a goodbye may take.
  public var leaveMilliseconds: UInt64 = 1000

  public init() {}
}
