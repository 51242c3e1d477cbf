import NexusModel
import NexusRESP
import NexusStore

extension Keys {
  // MARK: Asking

  static func ttl(_ call: inout Call) { replyRemaining(&call, unit: 1000) }
  static func pttl(_ call: inout Call) { replyRemaining(&call, unit: 1) }
  static func expiretime(_ call: inout Call) { replyMoment(&call, unit: 1000) }
  static func pexpiretime(_ call: inout Call) { replyMoment(&call, unit: 1) }

  private static func replyRemaining(_ call: inout Call, unit: Int64) {
    let now = call.now
    reply(&call, inspect(&call, 1) { $0.expiresAt == 0 ? nil : max(0, $0.expiresAt - now) }, unit)
  }

  private static func replyMoment(_ call: inout Call, unit: Int64) {
    reply(&call, inspect(&call, 1) { $0.expiresAt == 0 ? nil : $0.expiresAt }, unit)
  }

  /// -2: no such key; -1: no TTL; otherwise rounded to the unit.
  private static func reply(_ call: inout Call, _ milliseconds: UnixMilliseconds??, _ unit: Int64) {
    guard let found = milliseconds else { return call.reply(integer: -2) }
    guard let value = found else { return call.reply(integer: -1) }
    let (quotient, rest) = value.quotientAndRemainder(dividingBy: unit)
    call.reply(integer: Int(quotient) + (rest * 2 >= unit && unit > 1 ? 1 : 0))
  }

  // MARK: Setting

  static func expire(_ call: inout Call) { setExpiry(&call, unit: 1000, relative: true) }
  static func pexpire(_ call: inout Call) { setExpiry(&call, unit: 1, relative: true) }
  static func expireat(_ call: inout Call) { setExpiry(&call, unit: 1000, relative: false) }
  static func pexpireat(_ call: inout Call) { setExpiry(&call, unit: 1, relative: false) }

  /// NX, XX, GT and LT: what the present expiry must be for the new one to be set.
  private struct Condition: OptionSet {
    let rawValue: UInt8
    static let ifNone = Condition(rawValue: 1)
    static let ifAny = Condition(rawValue: 2)
    static let ifLater = Condition(rawValue: 4)
    static let ifSooner = Condition(rawValue: 8)

    init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Nil after replying what is wrong.
    init?(_ call: inout Call, from first: Int) {
      self = []
      for index in first..<max(first, call.count) {
        if call.matches(index, "NX") {
          insert(.ifNone)
        } else if call.matches(index, "XX") {
          insert(.ifAny)
        } else if call.matches(index, "GT") {
          insert(.ifLater)
        } else if call.matches(index, "LT") {
          insert(.ifSooner)
        } else {
          call.reply(error: "ERR Unsupported option ", quoting: index)
          return nil
        }
      }
      if contains(.ifNone) && self != .ifNone {
        call.reply(error: "ERR NX and XX, GT or LT options at the same time are not compatible")
        return nil
      }
      if isSuperset(of: [.ifLater, .ifSooner]) {
        call.reply(error: "ERR GT and LT options at the same time are not compatible")
        return nil
      }
    }

    /// No TTL counts as the latest moment of all. `present` is 0 for none.
    func holds(_ moment: UnixMilliseconds, _ present: UnixMilliseconds) -> Bool {
      if contains(.ifNone) && present != 0 { return false }
      if contains(.ifAny) && present == 0 { return false }
      if contains(.ifLater) && (present == 0 || moment <= present) { return false }
      if contains(.ifSooner) && present != 0 && moment >= present { return false }
      return true
    }
  }

  private static func setExpiry(_ call: inout Call, unit: Int64, relative: Bool) {
    guard let condition = Condition(&call, from: 3), let number = call.requireInteger(2) else { return }
    let (length, overflowed) = Int64(number).multipliedReportingOverflow(by: unit)
    let (moment, beyond) = length.addingReportingOverflow(relative ? call.now : 0)
    if overflowed || beyond { return call.replyInvalidExpiry() }
    let (store, key) = (call.store, call.key(1))
    let taken = store.lock(key, as: call.worker)
    defer { store.unlock(key, taken) }
    guard let entry = store.find(key, now: call.now, touch: call.touches), condition.holds(moment, entry.expiresAt)
    else {
      return call.reply(integer: 0)
    }
    if moment <= call.now {
      store.remove(key, entry)
    } else if store.setExpiry(key, entry, .at(moment)) == nil {
      return call.replyOutOfMemory()
    }
    call.reply(integer: 1)
  }

  static func persist(_ call: inout Call) {
    let (store, key) = (call.store, call.key(1))
    let taken = store.lock(key, as: call.worker)
    defer { store.unlock(key, taken) }
    guard let entry = store.find(key, now: call.now, touch: call.touches), entry.expiresAt != 0 else {
      return call.reply(integer: 0)
    }
    if store.setExpiry(key, entry, .none) == nil { return call.replyOutOfMemory() }
    call.reply(integer: 1)
  }
}

extension Call {
  /// An error that ends in an argument as it was sent, up to a zero byte: line ends at its end are left out, others
  /// become spaces.
  mutating func reply(error text: StaticString, quoting index: Int) {
    engine.noteError(text.description)
    out.append(byte: UInt8(ascii: "-"))
    out.append(text)
    func isLineEnd(_ byte: UInt8) -> Bool { byte == 0x0D || byte == 0x0A }
    var quoted = self[index].prefix { $0 != 0 }
    while let last = quoted.last, isLineEnd(last) { quoted = quoted.dropLast() }
    for byte in quoted { out.append(byte: isLineEnd(byte) ? UInt8(ascii: " ") : byte) }
    out.writeLineEnd()
  }
}
