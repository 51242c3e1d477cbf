import NexusModel
import NexusService

/// The cluster as this node sees it now, in the forms that cluster clients read.
struct ClusterReport {
  /// Consecutive slots of one owner and the same replicas.
  struct Range {
    var first: Int
    var last: Int
    var owner: MemberNumber
    var replicas: [MemberNumber]
  }

  let myself: MemberID
  let picture: ClusterPicture
  let ranges: [Range]

  init?(_ call: Call) {
    guard let cluster = call.engine.node.cluster else { return nil }
    myself = cluster.myself
    picture = cluster.picture
    ranges = Self.ranges(picture, call.engine.routes, myself)
  }

  private static func ranges(_ picture: ClusterPicture, _ routes: SlotRoutes, _ myself: MemberID) -> [Range] {
    let mine = picture.members.first { $0.record.member.id == myself }?.number
    let live = Set(picture.members.filter { $0.record.status.isLive }.map(\.number))
    var ranges: [Range] = []
    for index in 0..<Slot.count {
      let route = routes[slot: UInt16(index)]
      // What is awaited is ours, and what reaches us of it is served from here.
      guard let owner = route.member ?? (route == .nowhere ? nil : mine) else { continue }
      let replicas = picture.places(of: Slot(index: UInt16(index))).filter { $0 != owner && live.contains($0) }
      if let end = ranges.indices.last, ranges[end].last == index - 1, ranges[end].owner == owner,
        ranges[end].replicas.elementsEqual(replicas)
      {
        ranges[end].last = index
      } else {
        ranges.append(Range(first: index, last: index, owner: owner, replicas: Array(replicas)))
      }
    }
    return ranges
  }

  private func reachable(_ number: MemberNumber) -> (Member, Int)? {
    guard let member = picture.member(number)?.record.member, let port = member.advertisedPort else { return nil }
    return (member, port)
  }

  // MARK: CLUSTER SLOTS

  func replySlots(_ call: inout Call) {
    let shown = ranges.filter { reachable($0.owner) != nil }
    call.reply(arrayOf: shown.count)
    for range in shown {
      let members = ([range.owner] + range.replicas).compactMap { reachable($0) }
      call.reply(arrayOf: 2 + members.count)
      call.reply(integer: range.first)
      call.reply(integer: range.last)
      for (member, port) in members {
        call.reply(arrayOf: 4)
        call.reply(bulk: member.host)
        call.reply(integer: port)
        call.reply(bulk: member.id.clusterID)
        call.reply(arrayOf: 0)
      }
    }
  }

  // MARK: CLUSTER SHARDS

  func replyShards(_ call: inout Call) {
    let shown = picture.members.filter { $0.record.member.advertisedPort != nil && $0.record.status < .left }
    call.reply(arrayOf: shown.count)
    for seen in shown {
      let own = ranges.filter { $0.owner == seen.number }
      let member = seen.record.member
      call.reply(mapOf: 2)
      call.reply(bulk: "slots")
      call.reply(arrayOf: own.count * 2)
      for range in own {
        call.reply(integer: range.first)
        call.reply(integer: range.last)
      }
      call.reply(bulk: "nodes")
      call.reply(arrayOf: 1)
      call.reply(mapOf: 7)
      for (name, value) in [("id", member.id.clusterID), ("ip", member.host), ("endpoint", member.host)] {
        call.reply(bulk: name)
        call.reply(bulk: value)
      }
      call.reply(bulk: "port")
      call.reply(integer: member.advertisedPort ?? 0)
      for (name, value) in [("role", "master"), ("health", seen.record.status.isLive ? "online" : "fail")] {
        call.reply(bulk: name)
        call.reply(bulk: value)
      }
      call.reply(bulk: "replication-offset")
      call.reply(integer: 0)
    }
  }

  // MARK: CLUSTER NODES

  func replyNodes(_ call: inout Call) {
    var text = ""
    for seen in picture.members where seen.record.status < .left {
      let member = seen.record.member
      var flags = member.id == myself ? "myself,master" : "master"
      if seen.record.status == .suspect { flags += ",fail?" }
      if seen.record.status == .dead { flags += ",fail" }
      let link = seen.record.status.isLive ? "connected" : "disconnected"
      text += "\(member.id.clusterID) \(member.host):\(member.advertisedPort ?? 0)@\(member.peerPort) \(flags) - 0 0 "
      text += "\(seen.record.incarnation) \(link)"
      for range in ranges where range.owner == seen.number {
        text += range.first == range.last ? " \(range.first)" : " \(range.first)-\(range.last)"
      }
      text += "\n"
    }
    call.reply(verbatim: text)
  }

  // MARK: CLUSTER INFO

  func replyInfo(_ call: inout Call) {
    let served = ranges.reduce(0) { $0 + $1.last - $1.first + 1 }
    let lost = ranges.reduce(0) { sum, range in
      let isLive = picture.member(range.owner)?.record.status.isLive ?? false
      return sum + (isLive ? 0 : range.last - range.first + 1)
    }
    let known = picture.members.filter { $0.record.status < .left }
    let mine = picture.members.first { $0.record.member.id == myself }
    let fields: [(String, String)] = [
      ("cluster_state", served - lost == Slot.count ? "ok" : "fail"),
      ("cluster_slots_assigned", "\(served)"), ("cluster_slots_ok", "\(served - lost)"),
      ("cluster_slots_pfail", "0"), ("cluster_slots_fail", "\(lost)"),
      ("cluster_known_nodes", "\(known.count)"), ("cluster_size", "\(Set(ranges.map(\.owner)).count)"),
      ("cluster_current_epoch", "\(known.map(\.record.incarnation).max() ?? 0)"),
      ("cluster_my_epoch", "\(mine?.record.incarnation ?? 0)"),
    ]
    call.reply(verbatim: fields.map { "\($0.0):\($0.1)\r\n" }.joined())
  }
}
