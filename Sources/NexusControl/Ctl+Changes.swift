import Glibc
import NexusModel

// Commands that wait until what they asked for has come about.

extension Ctl {
  /// Between two looks.
  private static let pauseMicroseconds: UInt32 = 200_000

  /// Whether the wait that began then (monotonic seconds) has been long enough.
  private func isOver(since start: Int, defaultSeconds: Int = .max) -> Bool {
    Self.seconds() - start >= (timeoutSeconds > 0 ? timeoutSeconds : defaultSeconds)
  }

  private static func seconds() -> Int {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return time.tv_sec
  }

  mutating func join() throws(ControlFailure) -> Int32 {
    let before = try ClusterState.read(client)
    let list = addresses.map { JSONTree.quoted($0) }.joined(separator: ",")
    _ = try client.ask("POST", "/v1/cluster/join", body: "{\"addresses\":[\(list)]}")
    let start = Self.seconds()
    while true {
      let reply = try client.ask("GET", "/v1/cluster/state")
      if let state = ClusterState(reply.tree), Self.hasMet(addresses, state, before) {
        let others = state.live.map(\.id).filter { $0 != state.node }
        terminal.print(
          isJSON ? reply.text + "\n" : "\(state.node) and \(others.joined(separator: ", ")) are one cluster\n")
        return 0
      }
      if isOver(since: start, defaultSeconds: 15) {
        throw ControlFailure(
          "no member has answered at \(addresses.joined(separator: " ")): is that a peer port, and are cluster-name "
            + "and cluster-secret the same there? The node's log says what it was told")
      }
      usleep(Self.pauseMicroseconds)
    }
  }

  /// Whoever was named is a live member now, or somebody new is.
  static func hasMet(_ addresses: [String], _ state: ClusterState, _ before: ClusterState) -> Bool {
    let others = state.live.filter { $0.id != state.node }
    if others.contains(where: { addresses.contains($0.address($0.peerPort)) }) { return true }
    return others.contains { member in !before.live.contains { $0.id == member.id } }
  }

  mutating func leave() throws(ControlFailure) -> Int32 {
    let first = try client.ask("POST", "/v1/cluster/leave")
    guard let begun = ClusterState(first.tree) else { throw ControlFailure("\(client.address) answers no state") }
    let all = max(begun.executed, 1)
    if !terminal.isTerminal, !isJSON { terminal.print("\(begun.node) is leaving: \(all) slots to hand over\n") }
    let start = Self.seconds()
    while true {
      usleep(Self.pauseMicroseconds)
      let reply: (tree: JSONTree, text: String)
      // Having left, it may have ended.
      do throws(ControlFailure) { reply = try client.ask("GET", "/v1/cluster/state") } catch {
        if kindOfEnd(error) { return done(begun, first.text) }
        throw error
      }
      guard let state = ClusterState(reply.tree) else { continue }
      if state.mine == nil || state.mine?.status == "left" { return done(begun, reply.text) }
      let left = state.executed
      terminal.line("\(state.node) is leaving: \(left) of \(all) slots left to hand over")
      if isOver(since: start) {
        terminal.clearLine()
        throw ControlFailure(
          "\(state.node) still runs \(left) slots after \(timeoutSeconds) s; it goes on handing over")
      }
    }
  }

  private func kindOfEnd(_ failure: ControlFailure) -> Bool {
    failure.description.hasPrefix("cannot reach") || failure.description.hasPrefix("no answer")
      || failure.description.contains("hung up")
  }

  private mutating func done(_ state: ClusterState, _ json: String) -> Int32 {
    terminal.print(isJSON ? json + "\n" : "\(state.node) has left \(state.cluster)\n")
    return 0
  }

  mutating func rebalance() throws(ControlFailure) -> Int32 {
    let start = Self.seconds()
    var shown = ""
    while true {
      let states = try everybody()
      let moving = states.reduce(0) { $0 + ($1.state?.incoming ?? 0) + ($1.state?.outgoing ?? 0) }
      if isJSON {
        terminal.print(Self.json(states) + "\n")
      } else {
        let text = Self.progress(states) + (moving == 0 ? "No slot is on its way.\n" : "")
        if text != shown { terminal.print((isWatching && !shown.isEmpty ? "\n" : "") + text) }
        shown = text
      }
      if !isWatching || moving == 0 || terminal.isGone { return 0 }
      if isOver(since: start) { throw ControlFailure("slots are still on their way after \(timeoutSeconds) s") }
      usleep(1_000_000)
    }
  }

  /// Each live member's own state, asked at its own HTTP door; nil where that is closed or does not answer.
  private func everybody() throws(ControlFailure) -> [(member: ClusterState.Member, state: ClusterState?)] {
    let mine = try ClusterState.read(client)
    return mine.live.map { member in
      if member.id == mine.node { return (member, mine) }
      guard member.httpPort != 0 else { return (member, nil) }
      var other = client
      other.address = NetworkAddress(host: member.host, port: UInt16(clamping: member.httpPort))
      other.timeoutSeconds = 2
      return (member, try? ClusterState.read(other))
    }
  }

  static func json(_ states: [(member: ClusterState.Member, state: ClusterState?)]) -> String {
    let rows = states.map { member, state in
      "{\"id\":\(JSONTree.quoted(member.id)),\"status\":\(JSONTree.quoted(member.condition)),"
        + "\"slots\":\(state?.executed ?? member.slots),\"incoming\":\(state.map { "\($0.incoming)" } ?? "null"),"
        + "\"outgoing\":\(state.map { "\($0.outgoing)" } ?? "null")}"
    }
    return "{\"members\":[\(rows.joined(separator: ","))]}"
  }
}

extension JSONTree {
  /// The text as a JSON string.
  static func quoted(_ text: String) -> String {
    var quoted = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": quoted += "\\\""
      case "\\": quoted += "\\\\"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: quoted.unicodeScalars.append(scalar)
      }
    }
    return quoted + "\""
  }
}
