import NexusModel
import NexusService

/// The cluster as this node sees it, in JSON.
struct ClusterPage {
  private let node: Node
  private let myself: MemberID
  private let picture: ClusterPicture
  /// By their numbers.
  private let members: [MemberNumber: ClusterPicture.Seen]

  init(_ cluster: any ClusterFace, _ node: Node) {
    self.node = node
    myself = cluster.myself
    picture = cluster.picture
    members = Dictionary(picture.members.map { ($0.number, $0) }) { first, _ in first }
  }

  var myRecord: ClusterPicture.Seen? { picture.members.first { $0.record.member.id == myself } }

  /// Why requests should go to other nodes for now; nil if this one is ready.
  var whyNotReady: String? {
    if let mine = myRecord?.record {
      if mine.status == .left { return "This node has left its cluster." }
      if mine.member.isLeaving { return "This node is leaving its cluster." }
    }
    if picture.isReady { return nil }
    if picture.incomingCount > 0 { return "\(picture.incomingCount) slots are on their way to this node." }
    return "This node has not joined its cluster yet."
  }

  var liveCount: Int { picture.members.count { $0.record.status.isLive } }

  // MARK: State

  /// Everything but which slot is where; and that too in the form of a ring, whose points are the slots with which a
  /// member's run of slots ends: the first point that is not below a key's slot names the member that executes it.
  var state: OutputBuffer {
    var out = OutputBuffer(capacity: 1024 + 320 * picture.members.count)
    out.append("{\"success\":true,\"cluster\":")
    out.appendJSONString(picture.clusterName)
    out.append(",\"node\":")
    out.appendJSONString(myself.text)
    out.append(",\"version\":\"\(picture.version.text)\"" as String)
    let reason = whyNotReady
    out.append(",\"ready\":\(reason == nil)")
    if let reason {
      out.append(",\"reason\":" as String)
      out.appendJSONString(reason)
    }
    out.append(",\"slots_executed\":\(myRecord?.slotCount ?? 0)")
    out.append(",\"slots_incoming\":\(picture.incomingCount),\"slots_outgoing\":\(picture.outgoingCount)")
    out.append(",\"copies\":\(picture.copies),\"replicas\":\(node.settings.virtualNodes),\"members\":[")
    for (index, seen) in picture.members.enumerated() {
      if index > 0 { out.append(",") }
      write(seen, &out)
    }
    out.append("],\"nodes\":[")
    for (index, seen) in picture.members.enumerated() {
      if index > 0 { out.append(",") }
      writeNode(seen, &out)
    }
    out.append("],\"ring\":{")
    var isFirst = true
    for run in runs where run.runsOn != nil {
      out.append(isFirst ? "\"\(run.slots.upperBound)\":" : ",\"\(run.slots.upperBound)\":")
      isFirst = false
      writeNode(members[run.runsOn!]!, &out)
    }
    out.append("}}")
    return out
  }

  private func write(_ seen: ClusterPicture.Seen, _ out: inout OutputBuffer) {
    let (record, member) = (seen.record, seen.record.member)
    out.append("{\"id\":")
    out.appendJSONString(member.id.text)
    out.append(",\"status\":\"\(record.status)\",\"leaving\":\(member.isLeaving),\"host\":")
    out.appendJSONString(member.host)
    out.append(",\"peer_port\":\(member.peerPort),\"redis_port\":\(member.redisPort)")
    out.append(",\"cluster_port\":\(member.clusterPort),\"http_port\":\(member.httpPort),\"zone\":")
    out.appendJSONString(member.zone)
    out.append(",\"weight\":\(member.weight),\"incarnation\":\(record.incarnation),\"slots\":\(seen.slotCount)")
    out.append(",\"started_at\":\(member.startedAt),\"version\":" as String)
    out.appendJSONString(member.version)
    out.append("}")
  }

  /// Its HTTP address, or that of its peer port where that door is closed.
  private func writeNode(_ seen: ClusterPicture.Seen, _ out: inout OutputBuffer) {
    let member = seen.record.member
    out.append("{\"id\":")
    out.appendJSONString(member.id.text)
    out.append(",\"addr\":")
    let port = member.httpPort == 0 ? member.peerPort : member.httpPort
    out.appendJSONString(NetworkAddress(host: member.host, port: port).description)
    out.append("}")
  }

  // MARK: Slots

  /// Neighbouring slots that run on one member and have the same members in the same order.
  struct Run {
    var slots: ClosedRange<Int>
    /// Nil where nobody executes them as far as this node knows.
    var runsOn: MemberNumber?
    var places: ArraySlice<MemberNumber>
  }

  var runs: [Run] {
    var runs: [Run] = []
    let mine = myRecord?.number
    for index in 0..<Slot.count {
      let slot = Slot(index: UInt16(index))
      let route = node.routes[slot]
      var runsOn = route == .here || route == .incoming ? mine : route.member
      if let number = runsOn, members[number] == nil { runsOn = nil }
      let places = picture.places(of: slot)
      if let last = runs.last, last.runsOn == runsOn, last.places.elementsEqual(places) {
        runs[runs.count - 1].slots = last.slots.lowerBound...index
      } else {
        runs.append(Run(slots: index...index, runsOn: runsOn, places: places))
      }
    }
    return runs
  }

  var slots: OutputBuffer {
    let runs = self.runs
    var out = OutputBuffer(capacity: 256 + 96 * runs.count)
    out.append("{\"success\":true,\"node\":")
    out.appendJSONString(myself.text)
    out.append(",\"slots\":[")
    for (index, run) in runs.enumerated() {
      out.append(index > 0 ? ",{" : "{")
      out.append("\"first\":\(run.slots.lowerBound),\"last\":\(run.slots.upperBound),\"runs_on\":" as String)
      writeName(run.runsOn, &out)
      out.append(",\"members\":[")
      for (place, number) in run.places.enumerated() {
        if place > 0 { out.append(",") }
        writeName(number, &out)
      }
      out.append("]}")
    }
    out.append("]}")
    return out
  }

  private func writeName(_ number: MemberNumber?, _ out: inout OutputBuffer) {
    if let number, let seen = members[number] {
      out.appendJSONString(seen.record.member.id.text)
    } else {
      out.append("null")
    }
  }
}
