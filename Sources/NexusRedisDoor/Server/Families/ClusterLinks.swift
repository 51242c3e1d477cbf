import NexusModel
import NexusService

extension CommandTable {
  /// CLUSTER LINKS: in the order of members, those that this node opened first.
  static func replyLinks(_ call: inout Call) {
    let links = (call.engine.node.cluster?.links ?? []).sorted {
      ($0.member, $1.direction.rawValue, $0.openedAt) < ($1.member, $0.direction.rawValue, $1.openedAt)
    }
    call.reply(arrayOf: links.count)
    for link in links {
      call.reply(mapOf: 6)
      let waits = link.queuedBytes > 0
      for (name, value) in [
        ("direction", link.direction.rawValue), ("node", link.member.clusterID), ("events", waits ? "rw" : "r"),
      ] {
        call.reply(bulk: name)
        call.reply(bulk: value)
      }
      for (name, value) in [
        ("create-time", Int(link.openedAt)), ("send-buffer-allocated", link.queuedBytes),
        ("send-buffer-used", link.queuedBytes),
      ] {
        call.reply(bulk: name)
        call.reply(integer: value)
      }
    }
  }
}
