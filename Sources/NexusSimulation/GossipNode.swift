import NexusGossip
import NexusModel

/// A member of the simulated cluster: the gossip core, and around it what its shell does.
public struct GossipNode: SimulatedNode {
  public enum Message: Sendable {
    case packet(GossipMessage)
    case state(GossipState, isReply: Bool)
    case ping(sequence: UInt32)
    case pong(sequence: UInt32, MemberID)
  }

  /// What the shell was told, with the moment on the node's own clock (microseconds).
  public struct Note: Sendable {
    public var at: UInt64
    public var output: GossipOutput
  }

  public var gossip: Gossip
  /// Membership changes, conflicts and goodbyes since somebody last took them.
  public var notes: [Note] = []
  private var seeds: [NetworkAddress]

  public init(gossip: Gossip, seeds: [NetworkAddress]) {
    self.gossip = gossip
    self.seeds = seeds
  }

  /// The address of a host: all have one name, and the port tells them apart.
  public static func address(of host: Int) -> NetworkAddress {
    NetworkAddress(host: "10.0.0.1", port: UInt16(host + 1))
  }

  public static func host(at address: NetworkAddress) -> Int { Int(address.port) - 1 }

  public static func member(_ id: String, host: Int, startedAt: UInt64) -> Member {
    let address = address(of: host)
    return Member(id: MemberID(id)!, host: address.host, peerPort: address.port, startedAt: startedAt)
  }

  public var wakeAt: UInt64? { gossip.nextDeadline.map { $0 * 1000 } }

  public mutating func step(_ input: SimulatedInput<Message>, now: UInt64) -> [SimulatedEffect<Message>] {
    switch input {
    case .start: return seeds.isEmpty ? [] : feed(.join(seeds), now: now)
    case .wake: return feed(.tick, now: now)
    case .datagram(.packet(let message), let host), .stream(.packet(let message), let host):
      return feed(.received(message, from: Self.address(of: host)), now: now)
    case .stream(.state(let state, let isReply), let host):
      let effects = feed(.state(state), now: now)
      return isReply || gossip.isStopped
        ? effects : effects + [.stream(.state(gossip.fullState, isReply: true), to: host)]
    case .stream(.ping(let sequence), let host):
      return gossip.isStopped ? [] : [.stream(.pong(sequence: sequence, gossip.me.member.id), to: host)]
    case .stream(.pong(let sequence, let id), _): return feed(.streamAnswered(sequence: sequence, by: id), now: now)
    case .datagram: return []
    case .streamFailed(let host, let isRefused):
      return feed(.streamFailed(Self.address(of: host), isRefused: isRefused), now: now)
    case .streamBroken(let host): return feed(.streamBroken(Self.address(of: host)), now: now)
    }
  }

  /// One step of the core, and its outputs as effects.
  public mutating func feed(_ input: GossipInput, now: UInt64) -> [SimulatedEffect<Message>] {
    var effects: [SimulatedEffect<Message>] = []
    for output in gossip.step(input, now: now / 1000) {
      switch output {
      case .send(let message, let address): effects.append(.datagram(.packet(message), to: Self.host(at: address)))
      case .synchronize(let address):
        effects.append(.stream(.state(gossip.fullState, isReply: false), to: Self.host(at: address)))
      case .pingOverStream(let address, let sequence):
        effects.append(.stream(.ping(sequence: sequence), to: Self.host(at: address)))
      case .changed, .conflict, .misdirected, .departed: notes.append(Note(at: now, output: output))
      case .digestChanged: break
      }
    }
    return effects
  }
}
