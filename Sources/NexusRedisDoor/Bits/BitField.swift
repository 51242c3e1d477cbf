import NexusModel
import NexusRESP
import NexusStore

/// What BITFIELD does where a number does not fit its width.
enum BitFieldOverflow { case wrap, saturate, fail }

/// `i8`, `u63`: the width of a number and whether it has a sign.
struct BitFieldType {
  let isSigned: Bool
  let bits: Int

  init?(_ text: UnsafeRawBufferPointer) {
    switch text.first {
    case UInt8(ascii: "i"): isSigned = true
    case UInt8(ascii: "u"): isSigned = false
    default: return nil
    }
    guard let number = Decimal.integer(UnsafeRawBufferPointer(rebasing: text.dropFirst())), number >= 1,
      number <= (isSigned ? 64 : 63)
    else { return nil }
    bits = number
  }

  /// The number that so many bits mean, in 64 bits: u63 is the widest without a sign, so that all fit.
  func value(of pattern: UInt64) -> Int64 {
    isSigned
      ? Int64(bitPattern: pattern << UInt64(64 - bits)) >> Int64(64 - bits)
      : Int64(bitPattern: pattern)
  }

  /// The bits of `value + amount`, and whether the sum did not fit. Nil where it did not and `overflow` is to fail.
  func sum(_ value: Int64, _ amount: Int64, _ overflow: BitFieldOverflow) -> UInt64? {
    let mask: UInt64 = bits == 64 ? .max : 1 << UInt64(bits) - 1
    let highest = Int64(bitPattern: isSigned ? mask >> 1 : mask)
    let lowest = isSigned ? -highest - 1 : 0
    let side = isSigned ? signedSide(value, amount, lowest, highest) : unsignedSide(value, amount, highest)
    switch (side, overflow) {
    case (0, _), (_, .wrap): return UInt64(bitPattern: value &+ amount) & mask
    case (_, .fail): return nil
    case (_, .saturate): return UInt64(bitPattern: side > 0 ? highest : lowest) & mask
    }
  }

  /// 1 above the highest, -1 below the lowest, 0 between. The room left is computed with wrapping, as Redis does:
  /// a SET far below the range therefore counts as above it.
  private func signedSide(_ value: Int64, _ amount: Int64, _ lowest: Int64, _ highest: Int64) -> Int {
    let above = highest &- value
    let below = lowest &- value
    let isNarrow = bits != 64
    if value > highest || (isNarrow && amount > above) || (value >= 0 && amount > 0 && amount > above) { return 1 }
    if value < lowest || (isNarrow && amount < below) || (value < 0 && amount < 0 && amount < below) { return -1 }
    return 0
  }

  private func unsignedSide(_ value: Int64, _ amount: Int64, _ highest: Int64) -> Int {
    // A negative value is one that a SET gave: without a sign it lies far above.
    if value < 0 || value > highest || (amount > 0 && amount > highest - value) { return 1 }
    return amount < 0 && amount < -value ? -1 : 0
  }
}

/// Reads the operations of a BITFIELD one after the other, twice: once to check them all before anything is
/// written, once to run them.
struct BitFieldReader {
  struct Operation {
    enum Kind { case get, set, increment }
    var kind: Kind
    var type: BitFieldType
    var offset: Int
    var amount: Int64
    var overflow: BitFieldOverflow
  }

  enum Step {
    case operation(Operation)
    case end
    /// The error has been replied.
    case failed
  }

  private var index = 2
  private var overflow = BitFieldOverflow.wrap

  mutating func next(_ call: inout Call) -> Step {
    while index < call.count, call.count - index >= 2, call.matches(index, "OVERFLOW") {
      if call.matches(index + 1, "WRAP") {
        overflow = .wrap
      } else if call.matches(index + 1, "SAT") {
        overflow = .saturate
      } else if call.matches(index + 1, "FAIL") {
        overflow = .fail
      } else {
        call.reply(error: "ERR Invalid OVERFLOW type specified")
        return .failed
      }
      index += 2
    }
    guard index < call.count else { return .end }
    let left = call.count - index - 1
    let kind: Operation.Kind
    if left >= 2, call.matches(index, "GET") {
      kind = .get
    } else if left >= 3, call.matches(index, "SET") {
      kind = .set
    } else if left >= 3, call.matches(index, "INCRBY") {
      kind = .increment
    } else {
      call.replySyntaxError()
      return .failed
    }
    guard let type = BitFieldType(call[index + 1]) else {
      call.reply(
        error: """
          ERR Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported but i64 is.
          """)
      return .failed
    }
    guard let offset = Bits.offset(&call, index + 2, width: type.bits) else { return .failed }
    var amount = 0
    if kind != .get {
      guard let number = call.requireInteger(index + 3) else { return .failed }
      amount = number
    }
    index += kind == .get ? 3 : 4
    return .operation(
      Operation(kind: kind, type: type, offset: offset, amount: Int64(amount), overflow: overflow))
  }
}

extension Bits {
  static func bitfield(_ call: inout Call) { bitfield(&call, readOnly: false) }
  static func bitfieldReadOnly(_ call: inout Call) { bitfield(&call, readOnly: true) }

  private static func bitfield(_ call: inout Call, readOnly: Bool) {
    var reader = BitFieldReader()
    var operations = 0
    var writtenBits = 0
    checking: while true {
      switch reader.next(&call) {
      case .failed: return
      case .end: break checking
      case .operation(let operation):
        operations += 1
        if operation.kind != .get { writtenBits = max(writtenBits, operation.offset + operation.type.bits) }
      }
    }
    if writtenBits == 0 {
      return call.readString(1) { call, entry in
        let value = entry?.value ?? UnsafeRawBufferPointer(start: nil, count: 0)
        _ = run(&call, operations, on: UnsafeMutableRawBufferPointer(mutating: value))
      }
    }
    if readOnly { return call.reply(error: "ERR BITFIELD_RO only supports the GET subcommand") }
    _ = call.edit(
      call.key(1), newLength: { _, entry in max(entry?.value.count ?? 0, (writtenBits + 7) >> 3) },
      { call, bytes, _ in run(&call, operations, on: bytes) })
  }

  /// Answers whether anything changed. Invariant: the operations have been checked, and `bytes` reaches as far as they
  /// write (nowhere if all are GET).
  private static func run(_ call: inout Call, _ operations: Int, on bytes: UnsafeMutableRawBufferPointer) -> Bool {
    var changed = false
    call.reply(arrayOf: operations)
    var reader = BitFieldReader()
    while case .operation(let operation) = reader.next(&call) {
      let type = operation.type
      let pattern = BitString(UnsafeRawBufferPointer(bytes)).number(at: operation.offset, bits: type.bits)
      let former = type.value(of: pattern)
      let sum: UInt64?
      switch operation.kind {
      case .get:
        call.reply(integer: Int(former))
        continue
      case .set: sum = type.sum(operation.amount, 0, operation.overflow)
      case .increment: sum = type.sum(former, operation.amount, operation.overflow)
      }
      guard let sum else {
        call.replyNull()
        continue
      }
      if sum != pattern {
        BitString.write(sum, at: operation.offset, bits: type.bits, to: bytes)
        changed = true
      }
      call.reply(integer: Int(operation.kind == .set ? former : type.value(of: sum)))
    }
    return changed
  }
}
