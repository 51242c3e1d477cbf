import NexusModel

/// What `GET /v1/cluster/state` says, as far as people and scripts are shown it.
struct ClusterState {
  struct Member: Equatable {
    var id: String
    var status: String
    var isLeaving: Bool
    var host: String
    var peerPort: Int
    var redisPort: Int
    var httpPort: Int
    var zone: String
    var weight: Int
    var incarnation: Int
    var slots: Int
    var version: String

    var isLive: Bool { status == "alive" || status == "suspect" }
    /// In one word, for people.
    var condition: String { isLive && isLeaving ? "leaving" : status }
    func address(_ port: Int) -> String {
      port == 0 ? "-" : NetworkAddress(host: host, port: UInt16(clamping: port)).description
    }
  }

  var cluster: String
  var node: String
  var version: String
  var isReady: Bool
  /// Why it is not.
  var reason: String
  var executed: Int
  var incoming: Int
  var outgoing: Int
  var members: [Member]

  var mine: Member? { members.first { $0.id == node } }
  var live: [Member] { members.filter(\.isLive) }

  /// Nil if it is not the state of a cluster.
  init?(_ tree: JSONTree) {
    guard let cluster = tree["cluster"].text, let node = tree["node"].text, let isReady = tree["ready"].bool else {
      return nil
    }
    self.cluster = cluster
    self.node = node
    self.isReady = isReady
    version = tree["version"].text ?? ""
    reason = tree["reason"].text ?? ""
    executed = tree["slots_executed"].int ?? 0
    incoming = tree["slots_incoming"].int ?? 0
    outgoing = tree["slots_outgoing"].int ?? 0
    members = tree["members"].elements.map { member in
      Member(
        id: member["id"].text ?? "?", status: member["status"].text ?? "?", isLeaving: member["leaving"].bool ?? false,
        host: member["host"].text ?? "", peerPort: member["peer_port"].int ?? 0,
        redisPort: member["redis_port"].int ?? 0, httpPort: member["http_port"].int ?? 0,
        zone: member["zone"].text ?? "", weight: member["weight"].int ?? 0,
        incarnation: member["incarnation"].int ?? 0, slots: member["slots"].int ?? 0,
        version: member["version"].text ?? "")
    }
  }

  static func read(_ client: HTTPClient) throws(ControlFailure) -> ClusterState {
    let tree = try client.ask("GET", "/v1/cluster/state").tree
    guard let state = ClusterState(tree) else {
      throw ControlFailure("\(client.address) does not describe a cluster: is it a node of another version?")
    }
    return state
  }
}

/// Columns that line up, the last one ragged.
struct TextTable {
  private var rows: [[String]]
  /// Columns of numbers, which end in line.
  private let rightAligned: Set<Int>

  init(_ titles: String..., rightAligned: Set<Int> = []) {
    rows = [titles]
    self.rightAligned = rightAligned
  }

  mutating func add(_ cells: String...) { rows.append(cells) }

  var text: String {
    let widths = rows[0].indices.map { column in rows.map { $0[column].count }.max()! }
    return rows.map { row in
      var line = row.indices.map { column in
        let space = String(repeating: " ", count: widths[column] - row[column].count)
        return rightAligned.contains(column) ? space + row[column] : row[column] + space
      }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line + "\n"
    }.joined()
  }
}
