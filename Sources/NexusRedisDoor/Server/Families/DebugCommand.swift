import NexusModel
import NexusStore

extension CommandTable {
  static let debugCommand = Command(
    "debug", arity: -2, [.admin, .noscript, .loading, .stale], group: .server, since: "1.0.0",
    complexity: "Depends on the subcommand", summary: "Helps to test clients and to look inside."
  ) { call in
    if call.matches(1, "sleep"), call.count == 3 { return call.sleep() }
    if call.matches(1, "object"), call.count >= 3 { return call.replyDebugObject() }
    if call.matches(1, "copy"), call.count == 3 { return call.replyDebugCopy() }
    if call.matches(1, "help"), call.count == 2 {
      return call.reply(
        helpFor: "DEBUG",
        [
          ("COPY <key>", "Show what this node itself has of a key, whoever runs its slot."),
          ("OBJECT <key>", "Show how a value is stored."),
          ("SLEEP <seconds>", "Answer this connection only after so many seconds (fractions too)."),
        ])
    }
    call.replyUnknownSubcommand()
  }
}

extension Call {
  /// Redis stops the whole server; here only the connection that asked waits.
  mutating func sleep() {
    let asked = Int64((min(parseSeconds(self[2]), 86_400) * 1000).rounded())
    // Inside EXEC there is no waiting: the stripes of its keys are held.
    guard asked > 0, !engine.isExecuting else { return replyOK() }
    guard let wakesAt = session.extras?.wakesAt else {
      session.more.wakesAt = now + asked
      return postpone(milliseconds: asked)
    }
    if now < wakesAt { return postpone(milliseconds: wakesAt - now) }
    session.extras?.wakesAt = nil
    let slept = UInt64(asked) &* 1_000_000
    if engine.isNotable(nanoseconds: slept) { engine.noteSlow(self, nanoseconds: slept) }
    replyOK()
  }

  /// Writes no reply: the request is offered again after so long, and the connection reads nothing until then.
  private mutating func postpone(milliseconds: Int64) {
    isPostponed = true
    let connection = session.connection
    let engine = engine
    engine.loop.after(milliseconds: Int(milliseconds)) { [weak engine] in engine?.loop.resume(connection) }
  }

  /// As C's `strtod`: what is not a number is 0.
  private func parseSeconds(_ bytes: UnsafeRawBufferPointer) -> Double {
    let value = parseDouble(bytes) ?? 0
    return value > 0 ? value : 0
  }

  /// `value` or `deleted`, the stamp, and the value; null where there is nothing, or nothing has stamps.
  mutating func replyDebugCopy() {
    let found = withKey(2) { call, key -> (isDeleted: Bool, stamp: UInt64, value: [UInt8])? in
      guard let version = call.store.version(of: key) else { return nil }
      if version.expiresAt != 0, version.expiresAt <= call.now { return nil }
      return (version.kind == .tombstone, version.stamp.rawValue, Array(version.value))
    }
    guard let found else { return replyNull() }
    reply(arrayOf: found.isDeleted ? 2 : 3)
    reply(bulk: found.isDeleted ? "deleted" : "value")
    reply(integer: Int(clamping: found.stamp))
    if !found.isDeleted { reply(bulk: found.value) }
  }

  mutating func replyDebugObject() {
    let found = withKey(2) { call, key -> (bytes: Int, encoding: String)? in
      guard let entry = call.store.find(key, now: call.now, touch: false) else { return nil }
      return (entry.value.count, "raw")
    }
    guard let found else { return replyNoSuchKey() }
    out.writeSimple(
      "Value at:0x0 refcount:1 encoding:\(found.encoding) serializedlength:\(found.bytes) lru:0 lru_seconds_idle:0")
  }
}
