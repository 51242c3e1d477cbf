import CLongDouble
import NexusModel
import NexusRESP
import NexusStore

extension Strings {
  static func append(_ call: inout Call) {
    let tail = call[2]
    var total = 0
    let done = call.edit(
      call.key(1),
      newLength: { call, entry in
        total = (entry?.value.count ?? 0) + tail.count
        if total <= Call.longestValue { return total }
        call.replyTooLong()
        return nil
      },
      { _, bytes, former in
        UnsafeMutableRawBufferPointer(rebasing: bytes[former...]).copyMemory(from: tail)
        return true
      })
    if done { call.reply(integer: total) }
  }

  static func setrange(_ call: inout Call) {
    guard let offset = call.requireInteger(2) else { return }
    guard offset >= 0 else { return call.reply(error: "ERR offset is out of range") }
    let patch = call[3]
    let key = call.key(1)
    if patch.isEmpty {
      return call.withString(key) { call, entry in call.reply(integer: entry?.value.count ?? 0) }
    }
    var total = 0
    let done = call.edit(
      key,
      newLength: { call, entry in
        guard offset <= Call.longestValue - min(patch.count, Call.longestValue) else {
          call.replyTooLong()
          return nil
        }
        total = max(entry?.value.count ?? 0, offset + patch.count)
        return total
      },
      { _, bytes, _ in
        UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + patch.count]).copyMemory(from: patch)
        return true
      })
    if done { call.reply(integer: total) }
  }

  // MARK: Counting

  static func incr(_ call: inout Call) { add(&call, 1) }
  static func decr(_ call: inout Call) { add(&call, -1) }

  static func incrby(_ call: inout Call) {
    guard let amount = call.requireInteger(2) else { return }
    add(&call, amount)
  }

  static func decrby(_ call: inout Call) {
    guard let amount = call.requireInteger(2) else { return }
    guard amount != .min else { return call.reply(error: "ERR decrement would overflow") }
    add(&call, -amount)
  }

  private static func add(_ call: inout Call, _ amount: Int) {
    let key = call.key(1)
    call.withString(key) { call, entry in
      var value = 0
      if let entry {
        guard let stored = Decimal.integer(entry.value) else { return call.replyNotAnInteger() }
        value = stored
      }
      let (sum, overflowed) = value.addingReportingOverflow(amount)
      if overflowed { return call.reply(error: "ERR increment or decrement would overflow") }
      withUnsafeTemporaryAllocation(byteCount: Decimal.longest, alignment: 8) { digits in
        let text = UnsafeRawBufferPointer(rebasing: digits[..<Decimal.write(sum, to: digits)])
        if let entry, entry.value.count == text.count {
          entry.mutableValue.copyMemory(from: text)
          call.store.changed(key)
        } else {
          guard call.succeeded(call.store.put(key, over: entry, text, call.kept(entry))) else { return }
        }
        call.reply(integer: sum)
      }
    }
  }

  static func incrbyfloat(_ call: inout Call) {
    let key = call.key(1)
    call.withString(key) { call, entry in
      withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NEXUS_SUM_CAPACITY)) { sum in
        let length = addDecimals(entry?.value, call[2], sum.baseAddress!)
        guard length > 0 else {
          return length == NEXUS_SUM_IS_NOT_FINITE.rawValue
            ? call.reply(error: "ERR increment would produce NaN or Infinity")
            : call.reply(error: "ERR value is not a valid float")
        }
        let text = UnsafeRawBufferPointer(start: sum.baseAddress, count: Int(length))
        guard call.succeeded(call.store.put(key, over: entry, text, call.kept(entry))) else { return }
        call.reply(bulk: text)
      }
    }
  }

  private static func addDecimals(
    _ value: UnsafeRawBufferPointer?, _ amount: UnsafeRawBufferPointer, _ sum: UnsafeMutablePointer<CChar>
  ) -> Int32 {
    let zero: StaticString = "0"
    let first = value ?? UnsafeRawBufferPointer(start: zero.utf8Start, count: 1)
    // Invariant: a count of 0 is refused before its pointer is read.
    let start = first.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(sum)
    let other = amount.baseAddress?.assumingMemoryBound(to: CChar.self) ?? UnsafePointer(sum)
    return nexus_sum_of_decimals(start, first.count, other, amount.count, sum)
  }
}

extension Decimal {
  /// The most characters that a 64-bit integer takes.
  static let longest = 20

  /// Writes the number's text; answers its length. The target has room for `longest` bytes.
  static func write(_ value: Int, to target: UnsafeMutableRawBufferPointer) -> Int {
    var rest = value.magnitude
    var start = longest
    repeat {
      start -= 1
      target[start] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
      rest /= 10
    } while rest > 0
    if value < 0 {
      start -= 1
      target[start] = UInt8(ascii: "-")
    }
    target.copyMemory(from: UnsafeRawBufferPointer(rebasing: target[start..<longest]))
    return longest - start
  }
}
