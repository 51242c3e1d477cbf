import NexusModel
import NexusService

/// What must hold of the nodes of any fake cluster; what does not, in sentences.
enum HandoverChecks {
  /// Slots that this node has begun to execute and another one executes too.
  static func doubles(_ slots: SlotSet, _ node: HandoverNode, _ running: [HandoverNode]) -> [String] {
    running.filter { $0 !== node }.compactMap { other in
      slots.slots.first { other.executes($0) }.map {
        "slot \($0.index) is executed by \(other.id) and by \(node.id)"
      }
    }
  }

  /// After a while without changes, everything is where the placement has it, and nowhere else.
  static func unrest(_ nodes: [HandoverNode], owners: [MemberNumber]) -> [String] {
    var found: [String] = []
    for node in nodes {
      let progress = node.ownership.progress
      if !progress.isAtRest { found.append("\(node.id) is not at rest: \(progress)") }
      for slot in 0..<Slot.count {
        let owner = owners[slot]
        let route: SlotRoute = owner == MemberNumber(node.index) ? .here : .member(owner)
        guard node.routes[slot] != route else { continue }
        found.append("slot \(slot) is routed to \(node.routes[slot]) by \(node.id), and is \(route)")
        break
      }
      let strays = node.store.filter { !$0.value.isEmpty && !node.executes($0.key) }
      if !strays.isEmpty { found.append("\(node.id) keeps entries of others' slots \(strays.keys.map(\.index))") }
    }
    return found
  }
}
