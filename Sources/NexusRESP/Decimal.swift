import NexusModel

/// Numbers as text, in the forms that Redis accepts and answers.
public enum Decimal {
  /// Reads a 64-bit integer in its one canonical form: digits with an optional minus, no plus, no spaces, no leading
  /// zeros, no `-0`. Nil for anything else and for what does not fit.
  public static func integer(_ bytes: UnsafeRawBufferPointer) -> Int? {
    var offset = 0
    var negative = false
    guard bytes.count > 0, bytes.count <= 20 else { return nil }
    if bytes[0] == UInt8(ascii: "-") {
      negative = true
      offset = 1
      guard bytes.count > 1 else { return nil }
    }
    let first = bytes[offset] &- 0x30
    if first == 0 { return bytes.count == 1 ? 0 : nil }
    var magnitude: UInt = 0
    while offset < bytes.count {
      let digit = bytes[offset] &- 0x30
      guard digit <= 9 else { return nil }
      let (tenfold, overflowed) = magnitude.multipliedReportingOverflow(by: 10)
      let (sum, carried) = tenfold.addingReportingOverflow(UInt(digit))
      guard !overflowed, !carried else { return nil }
      magnitude = sum
      offset += 1
    }
    if negative {
      guard magnitude <= UInt(Int.max) + 1 else { return nil }
      return Int(truncatingIfNeeded: 0 &- magnitude)
    }
    return Int(exactly: magnitude)
  }

  /// How many characters the number takes.
  @usableFromInline static func width(_ value: Int) -> Int {
    width(value.magnitude) + (value < 0 ? 1 : 0)
  }

  static func width(_ value: UInt) -> Int {
    var width = 1
    var left = value
    while left >= 10 {
      left /= 10
      width += 1
    }
    return width
  }

  /// Shortest text that reads back as the same number, as `%.17g` has it where that is short: `3`, `0.1`, `1e+30`.
  public static func text(_ value: Double) -> String {
    if value.isNaN { return "nan" }
    if value.isInfinite { return value < 0 ? "-inf" : "inf" }
    if value == value.rounded(), abs(value) < 1e17 {
      return value == 0 ? (value.sign == .minus ? "-0" : "0") : String(Int(value))
    }
    // Swift's shortest form: "1e+30", "1.5e-07", "0.1".
    return value.description
  }
}
