import NexusModel
import NexusRing
import NexusService

/// What the cluster has told of itself. Belongs to the control loop's thread.
struct Announcer {
  var news = MembershipNews()
  /// Slots have moved, and this node has not said since that it has all that is its own.
  var isUnsettled = false
}

extension Cluster {
  /// Ranges of one move that are told; `GET /v1/cluster/slots` has all.
  private static let rangesMost = 100

  func announce(_ record: MemberRecord) {
    for event in announcer.news.note(record) {
      node.announce(.membership, event.rawValue, at: loop.now) { out in
        out.append(",\"member\":")
        out.appendJSONString(record.member.id.text)
        out.append(",\"address\":")
        out.appendJSONString(record.member.gossipAddress.description)
        out.append(",\"incarnation\":\(record.incarnation)")
      }
    }
  }

  /// The placement is another one than this.
  func announceMoves(_ previous: Placement?) {
    guard let placement else { return }
    let moves = SlotMoves(from: previous, to: placement).moves
    if moves.isEmpty { return }
    announcer.isUnsettled = true
    node.announce(.topology, "slots_moved", at: loop.now) { out in
      out.append(",\"version\":\"\(placement.version.text)\"" as String)
      out.append(",\"moves\":[")
      for (index, move) in moves.enumerated() {
        if index > 0 { out.append(",") }
        append(move, &out)
      }
      out.append("]")
    }
  }

  private func append(_ move: SlotMoves.Move, _ out: inout OutputBuffer) {
    for (name, member) in [("{\"from\":", move.from), (",\"to\":", move.to)] {
      out.append(name)
      if let member { out.appendJSONString(member.text) } else { out.append("null") }
    }
    let ranges = move.slots.ranges
    out.append(",\"slots\":\(move.slots.count),\"ranges\":[")
    let told = ranges.prefix(Self.rangesMost).map { "[\($0.lowerBound),\($0.upperBound)]" }
    out.append(told.joined(separator: ",") + "]")
    if ranges.count > told.count { out.append(",\"ranges_left_out\":\(ranges.count - told.count)") }
    out.append("}")
  }

  /// Nothing is on its way to this node or from it.
  func announceSettled(_ executed: Int) {
    guard announcer.isUnsettled, let placement else { return }
    announcer.isUnsettled = false
    node.announce(.topology, "settled", at: loop.now) { out in
      out.append(",\"version\":\"\(placement.version.text)\"" as String)
      out.append(",\"slots\":\(executed)")
    }
  }
}
