import NexusModel

/// Base 64 (RFC 4648, section 4): for values that are not UTF-8 and so cannot be JSON strings.
public enum Base64 {
  /// Decodes over the text itself. Nil if it is not base 64 with its padding.
  public static func decodeInPlace(_ text: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer? {
    guard text.count % 4 == 0 else { return nil }
    if text.isEmpty { return UnsafeRawBufferPointer(text) }
    var padding = 0
    if text[text.count - 1] == UInt8(ascii: "=") { padding = text[text.count - 2] == UInt8(ascii: "=") ? 2 : 1 }
    var written = 0
    for start in stride(from: 0, to: text.count, by: 4) {
      let isLast = start + 4 == text.count
      var group: UInt32 = 0
      for offset in 0..<4 {
        if isLast && offset >= 4 - padding {
          group <<= 6
          continue
        }
        guard let sextet = sextet(text[start + offset]) else { return nil }
        group = group << 6 | UInt32(sextet)
      }
      let kept = isLast ? 3 - padding : 3
      // Bits that padding cuts off must be 0, so that every value has one spelling.
      if kept < 3 && group & (1 << UInt32(8 * (3 - kept)) - 1) != 0 { return nil }
      for index in 0..<kept { text[written + index] = UInt8(truncatingIfNeeded: group >> UInt32(16 - 8 * index)) }
      written += kept
    }
    return UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(text)[..<written])
  }

  private static func sextet(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - 65
    case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 97 + 26
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - 48 + 52
    case UInt8(ascii: "+"): 62
    case UInt8(ascii: "/"): 63
    default: nil
    }
  }

  static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
}

extension OutputBuffer {
  public mutating func appendBase64(_ bytes: UnsafeRawBufferPointer) {
    reserve((bytes.count + 2) / 3 * 4)
    let alphabet = Base64.alphabet.utf8Start
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let kept = min(3, bytes.count - start)
      var group: UInt32 = 0
      for index in 0..<3 { group = group << 8 | (index < kept ? UInt32(bytes[start + index]) : 0) }
      for index in 0..<4 {
        append(byte: index <= kept ? alphabet[Int(group >> UInt32(18 - 6 * index)) & 63] : UInt8(ascii: "="))
      }
    }
  }
}
