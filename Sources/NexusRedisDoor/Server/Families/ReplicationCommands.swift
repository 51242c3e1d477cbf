import NexusService

/// What Redis's replication commands answer on a node that follows nobody.
extension CommandTable {
  static let replicationCommands: [Command] = [
    Command(
      "role", arity: 1, [.noscript, .loading, .stale, .fast], group: .server, since: "2.8.12", complexity: "O(1)",
      summary: "The node's part in replication."
    ) { call in
      call.reply(arrayOf: 3)
      call.reply(bulk: "master")
      let cluster = call.engine.node.cluster
      let report = cluster?.replication ?? ReplicationReport()
      call.reply(integer: Int(clamping: report.sent))
      let live = report.replicas.filter(\.isLive)
      call.reply(arrayOf: live.count)
      for replica in live {
        let member = cluster?.picture.member(replica.number)?.record.member
        call.reply(arrayOf: 3)
        call.reply(bulk: member?.host ?? "")
        call.reply(bulk: String(member?.redisPort ?? 0))
        call.reply(bulk: String(report.sent - min(report.sent, UInt64(replica.lagEffects))))
      }
    },
    follow("replicaof", since: "5.0.0"),
    follow("slaveof", since: "1.0.0"),
    Command(
      "wait", arity: 3, [.noscript], group: .generic, since: "3.0.0", complexity: "O(1)",
      summary: "How many replicas have all writes of this connection."
    ) { call in
      guard call.requireInteger(1) != nil else { return }
      guard let timeout = call.integer(2) else {
        return call.reply(error: "ERR timeout is not an integer or out of range")
      }
      if timeout < 0 { return call.reply(error: "ERR timeout is negative") }
      // Where writes have copies, the dispatcher has taken it. Otherwise none can come while the client waits.
      call.reply(integer: 0)
    },
  ]

  private static func follow(_ name: String, since: String) -> Command {
    Command(
      name, arity: 3, [.admin, .noscript, .stale], group: .server, since: since, complexity: "O(1)",
      summary: "Makes the node follow another, or nobody."
    ) { call in
      if call.matches(1, "no"), call.matches(2, "one") { return call.replyOK() }
      guard let port = call.integer(2), (0...65535).contains(port) else {
        return call.reply(error: "ERR Invalid master port")
      }
      call.reply(
        error: "ERR this node cannot follow \(call.text(1)):\(port): it stands alone and only 'NO ONE' is accepted")
    }
  }
}
