import NexusModel
import NexusService

extension CommandTable {
  /// What is hot, where, and why. Redis 8.6's command of this name starts and stops a measurement; this one always
  /// measures.
  static let hotKeysCommand = Command(
    "hotkeys", arity: -1, [.readonly, .loading, .stale], spread: .here, group: .server, since: "0.1.0",
    complexity: "O(N) with N the keys that are tracked, 128 for each event loop",
    summary: "Shows the keys that clients of this node use most."
  ) { call in
    var most = 16
    if call.count > 1 {
      guard call.count == 3, call.matches(1, "COUNT") else { return call.replySyntaxError() }
      guard let count = call.requireInteger(2) else { return }
      guard 1...1000 ~= count else {
        return call.reply(error: "ERR COUNT \(count) is not a number of keys that HOTKEYS shows: give 1 to 1000")
      }
      most = count
    }
    let lines = call.engine.node.hotKeys(most: most, now: call.now)
    call.reply(arrayOf: lines.count)
    for line in lines { call.reply(line) }
  }
}

extension Call {
  fileprivate mutating func reply(_ line: HotKeyLine) {
    let node = engine.node
    reply(mapOf: 8)
    reply(bulk: "key")
    reply(bulk: line.hot.key)
    reply(bulk: "key-bytes")
    reply(integer: line.hot.keyCount)
    reply(bulk: "namespace")
    reply(bulk: node.store.settings(of: line.hot.namespace)?.name ?? String(line.hot.namespace))
    reply(bulk: "uses-per-second")
    reply(integer: Int(line.hot.perSecond.rounded()))
    reply(bulk: "error-per-second")
    reply(integer: Int(line.hot.errorPerSecond.rounded()))
    reply(bulk: "writes-per-second")
    reply(integer: Int(line.hot.writesPerSecond.rounded()))
    reply(bulk: "owner")
    reply(bulk: owner(of: line))
    reply(bulk: "copies")
    reply(integer: line.copies)
  }

  /// Empty where it is not known: of a key that is too long to be kept whole, or while its slot has no owner.
  private func owner(of line: HotKeyLine) -> String {
    guard let cluster = engine.node.cluster, line.hot.isWhole else { return "" }
    let route = line.hot.key.withUnsafeBytes { engine.routes[Slot(of: $0)] }
    if route == .here || route == .incoming { return cluster.myself.text }
    return route.member.flatMap { cluster.picture.member($0)?.record.member.id.text } ?? ""
  }
}
