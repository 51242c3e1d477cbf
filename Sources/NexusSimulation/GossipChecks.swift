import NexusGossip
import NexusModel

/// What must hold of the gossip in any world. Feed it every step; violations are sentences with the world's time.
public struct GossipChecks {
  public private(set) var violations: [String] = []
  /// Who took whom for what, by the world's time.
  public private(set) var changes: [(at: UInt64, by: Int, record: MemberRecord, old: MemberStatus?)] = []
  public private(set) var conflicts: [(at: UInt64, by: Int, conflict: GossipConflict)] = []
  private var seen: [[MemberID: MemberRecord]]
  private var lives: [UInt64]

  public init(hosts: Int) {
    seen = Array(repeating: [:], count: hosts)
    lives = Array(repeating: .max, count: hosts)
  }

  /// After a step of this host: takes its notes, and holds that no view goes back. (`work` says whether the digest
  /// is computed anew from all records, which costs.)
  public mutating func look(_ world: inout World<GossipNode>, at host: Int, work: Bool = false) {
    guard host >= 0, let node = world.nodes[host] else { return }
    if lives[host] != node.gossip.me.member.startedAt {
      lives[host] = node.gossip.me.member.startedAt
      seen[host] = [:]
    }
    for note in node.notes {
      switch note.output {
      case .changed(let record, let old):
        changes.append((world.now, host, record, old))
        look(at: record, by: host, world.now)
      case .conflict(let conflict): conflicts.append((world.now, host, conflict))
      default: break
      }
    }
    if !node.notes.isEmpty {
      world.act(on: host) { node, _ in
        node.notes = []
        return []
      }
    }
    if work {
      let sum = node.gossip.records.reduce(0 as UInt64) { $0 &+ $1.digest }
      if sum != node.gossip.membershipDigest { violate(world.now, "\(host)'s digest is not that of its records") }
    }
  }

  /// Versions never go back: not the incarnation, and not the status within one.
  private mutating func look(at record: MemberRecord, by host: Int, _ now: UInt64) {
    let id = record.member.id
    if let before = seen[host][id] {
      let isBack =
        record.incarnation < before.incarnation
        || (record.incarnation == before.incarnation && record.status < before.status)
      if isBack {
        violate(
          now,
          "\(host) went back from \(id) \(before.status) of incarnation \(before.incarnation)"
            + " to \(record.status) of \(record.incarnation)")
      }
    }
    seen[host][id] = record
  }

  /// In peace: who runs is alive to everybody, who does not is not, and all digests agree.
  public func disagreements(_ world: World<GossipNode>) -> [String] {
    var found: [String] = []
    let running = world.running.filter { !(world.nodes[$0]!.gossip.isStopped) }
    let present = Set(running.map { world.nodes[$0]!.gossip.me.member.id })
    guard let first = running.first else { return [] }
    let digest = world.nodes[first]!.gossip.membershipDigest
    for host in running {
      let gossip = world.nodes[host]!.gossip
      if gossip.membershipDigest != digest { found.append("\(host)'s digest differs from \(first)'s") }
      for record in gossip.records {
        let isPresent = present.contains(record.member.id)
        if isPresent, record.status != .alive { found.append("\(host) takes \(record.member.id) for \(record.status)") }
        if !isPresent, record.status.isLive { found.append("\(host) takes the absent \(record.member.id) for live") }
      }
      for id in present where gossip.record(of: id) == nil { found.append("\(host) does not know \(id)") }
    }
    return found
  }

  private mutating func violate(_ now: UInt64, _ what: String) {
    let milliseconds = now / 1000
    violations.append("at \(milliseconds) ms: \(what)")
  }
}
