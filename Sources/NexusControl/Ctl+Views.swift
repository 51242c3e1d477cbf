import NexusModel

// What people see: pure functions of what nodes answer.

extension Ctl {
  static func status(_ state: ClusterState) -> String {
    let mine = state.mine
    var text = "node      \(state.node)" + (mine.map { " (\($0.condition))" } ?? "") + "\n"
    text += "cluster   \(state.cluster), placement \(state.version)\n"
    text += "members   \(state.live.count) live of \(state.members.count { $0.status != "left" })\n"
    text += "slots     \(state.executed) of \(Slot.count) run here"
    if state.incoming > 0 { text += ", \(state.incoming) on their way here" }
    if state.outgoing > 0 { text += ", \(state.outgoing) on their way to others" }
    return text + "\nready     " + (state.isReady ? "yes" : "no: \(state.reason)") + "\n"
  }

  static func members(_ state: ClusterState) -> String {
    var table = TextTable(
      "MEMBER", "STATUS", "SLOTS", "PEERS", "REDIS", "HTTP", "ZONE", "WEIGHT", "INCARNATION", "VERSION",
      rightAligned: [2, 7, 8])
    for member in state.members {
      table.add(
        member.id + (member.id == state.node ? " *" : ""), member.condition, "\(member.slots)",
        member.address(member.peerPort), member.address(member.redisPort), member.address(member.httpPort),
        member.zone.isEmpty ? "-" : member.zone, "\(member.weight)", "\(member.incarnation)", member.version)
    }
    return table.text + "* the node that was asked\n"
  }

  static func slots(_ tree: JSONTree) -> String? {
    guard case .array(let ranges) = tree["slots"] else { return nil }
    var table = TextTable("SLOTS", "COUNT", "RUN ON", "MEMBERS", rightAligned: [1])
    for range in ranges {
      guard let first = range["first"].int, let last = range["last"].int, first <= last else { return nil }
      table.add(
        first == last ? "\(first)" : "\(first)-\(last)", "\(last - first + 1)",
        range["runs_on"].text ?? "(between two)",
        range["members"].elements.map { $0.text ?? "?" }.joined(separator: " "))
    }
    return table.text
  }

  /// One member's own word on its slots; nil in place of the state of one that could not be asked.
  static func progress(_ members: [(member: ClusterState.Member, state: ClusterState?)]) -> String {
    var table = TextTable("MEMBER", "STATUS", "SLOTS", "SHARE", "INCOMING", "OUTGOING", rightAligned: [2, 3, 4, 5])
    for (member, state) in members {
      let slots = state?.executed ?? member.slots
      let tenths = slots * 1000 / Slot.count
      table.add(
        member.id, member.condition, "\(slots)", "\(tenths / 10).\(tenths % 10)%",
        state.map { "\($0.incoming)" } ?? "?", state.map { "\($0.outgoing)" } ?? "?")
    }
    return table.text
  }
}
