import NexusModel
import NexusRESP
import NexusStore

extension Keys {
  /// The encoding that Redis would choose for the value when it is set. A value that came about by APPEND, SETRANGE
  /// or a bit command is `raw` there whatever it holds; values carry no trace of that here.
  static func encoding(_ call: inout Call) {
    let encoding = inspect(&call, 2) { entry -> StaticString in
      // As for every value of a module.
      if !entry.isString { return "raw" }
      if Decimal.integer(entry.value) != nil { return "int" }
      return entry.value.count <= 44 ? "embstr" : "raw"
    }
    if let encoding { call.reply(bulk: encoding) } else { call.replyNull() }
  }

  /// Values are never shared.
  static func refcount(_ call: inout Call) {
    if inspect(&call, 2, { _ in true }) != nil { call.reply(integer: 1) } else { call.replyNull() }
  }

  /// How often an entry was used lately, 0...3, where the namespace's policy counts that.
  static func freq(_ call: inout Call) {
    guard let frequency = inspect(&call, 2, { $0.frequency }) else { return call.replyNull() }
    switch call.store.settings(of: call.namespace)!.eviction {
    case .s3fifo, .sizeAware: call.reply(integer: frequency)
    case .lru, .random, .ttl, .none:
      call.reply(error: "ERR the namespace's eviction policy counts no access frequency: s3fifo and size-aware do")
    }
  }

  static func idletime(_ call: inout Call) {
    guard inspect(&call, 2, { _ in true }) != nil else { return call.replyNull() }
    call.reply(error: "ERR idle time is not tracked: entries keep their order of use, not its time")
  }

  static func objectHelp(_ call: inout Call) {
    call.reply(
      helpFor: "OBJECT",
      [
        ("ENCODING <key>", "How Redis would hold the value: int, embstr (up to 44 bytes) or raw."),
        ("FREQ <key>", "How often the key was used lately, 0 to 3, where the eviction policy counts it."),
        ("IDLETIME <key>", "Not tracked: answers an error."),
        ("REFCOUNT <key>", "1: values are not shared."),
      ])
  }
}
