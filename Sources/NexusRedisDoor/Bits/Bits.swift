import NexusModel
import NexusRESP
import NexusStore

/// The handlers of the bit commands; `CommandTable.bitCommands` declares them.
enum Bits {}

extension Bits {
  static func setbit(_ call: inout Call) {
    guard let offset = offset(&call, 2) else { return }
    guard let bit = call.integer(3), bit == 0 || bit == 1 else {
      return call.reply(error: "ERR bit is not an integer or out of range")
    }
    var former = 0
    let done = call.edit(
      call.key(1), newLength: { _, entry in max(entry?.value.count ?? 0, offset >> 3 + 1) },
      { _, bytes, _ in
        former = BitString(UnsafeRawBufferPointer(bytes)).bit(at: offset)
        BitString.write(UInt64(bit), at: offset, bits: 1, to: bytes)
        return former != bit
      })
    if done { call.reply(integer: former) }
  }

  static func getbit(_ call: inout Call) {
    guard let offset = offset(&call, 2) else { return }
    call.readString(1) { call, entry in
      call.reply(integer: entry.map { BitString($0.value).bit(at: offset) } ?? 0)
    }
  }

  /// A bit's number: a plain one, or where `width` is given also `#n` for the nth number of that width. Nil after
  /// replying that it is none or lies beyond the longest value.
  static func offset(_ call: inout Call, _ index: Int, width: Int = 0) -> Int? {
    var text = call[index]
    let counted = width > 0 && text.first == UInt8(ascii: "#")
    if counted { text = UnsafeRawBufferPointer(rebasing: text.dropFirst()) }
    if let number = Decimal.integer(text), number >= 0 {
      let (offset, overflowed) = number.multipliedReportingOverflow(by: counted ? width : 1)
      if !overflowed && offset >> 3 < Call.longestValue { return offset }
    }
    call.reply(error: "ERR bit offset is not an integer or out of range")
    return nil
  }

  static func bitcount(_ call: inout Call) {
    call.readString(1) { call, entry in
      guard let value = entry?.value else { return call.reply(integer: 0) }
      if call.count == 2 { return call.reply(integer: BitString(value).ones(in: 0..<value.count << 3)) }
      guard call.count <= 5, call.count != 3 else { return call.replySyntaxError() }
      guard let first = call.requireInteger(2), let last = call.requireInteger(3) else { return }
      if isBackwards(first, last) { return call.reply(integer: 0) }
      guard let countsBits = unit(&call, 4) else { return }
      guard let range = bitRange(first, last, of: value.count, countsBits) else { return call.reply(integer: 0) }
      call.reply(integer: BitString(value).ones(in: range))
    }
  }

  static func bitpos(_ call: inout Call) {
    guard let bit = call.requireInteger(2) else { return }
    guard bit == 0 || bit == 1 else { return call.reply(error: "ERR The bit argument must be 1 or 0.") }
    call.readString(1) { call, entry in
      guard let value = entry?.value else { return call.reply(integer: bit == 1 ? -1 : 0) }
      guard call.count <= 6 else { return call.replySyntaxError() }
      var (first, last) = (0, -1)
      var countsBits = false
      if call.count > 3 {
        guard let start = call.requireInteger(3), let unit = unit(&call, 5) else { return }
        (first, countsBits) = (start, unit)
      }
      if call.count > 4 {
        guard let end = call.requireInteger(4) else { return }
        last = end
      }
      guard let range = bitRange(first, last, of: value.count, countsBits) else { return call.reply(integer: -1) }
      if let found = BitString(value).first(bit, in: range) { return call.reply(integer: found) }
      // Without an end the value counts as followed by zeros.
      call.reply(integer: bit == 0 && call.count < 5 ? range.upperBound : -1)
    }
  }

  /// BIT or BYTE where there is an argument `index`: true for BIT. Nil after replying that it is neither.
  private static func unit(_ call: inout Call, _ index: Int) -> Bool? {
    if call.count <= index || call.matches(index, "BYTE") { return false }
    if call.matches(index, "BIT") { return true }
    call.replySyntaxError()
    return nil
  }

  /// The bits of an inclusive range of bits or bytes.
  private static func bitRange(_ first: Int, _ last: Int, of byteCount: Int, _ countsBits: Bool) -> Range<Int>? {
    if countsBits { return positions(from: first, through: last, of: byteCount << 3) }
    return positions(from: first, through: last, of: byteCount).map { $0.lowerBound << 3..<$0.upperBound << 3 }
  }
}
