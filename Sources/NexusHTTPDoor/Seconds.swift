import NexusService

/// TTLs as HTTP writes them: decimal seconds, fractions allowed, 0 for no expiry.
enum Seconds {
  static let longest = TimeToLive.longestMilliseconds / 1000

  /// Nil if the text is no number, negative, or above `longest`.
  static func parse(_ text: UnsafeRawBufferPointer) -> TimeToLive? {
    guard !text.isEmpty, text.count <= 32 else { return nil }
    var whole: Int64 = 0
    for byte in text {
      guard byte &- 0x30 <= 9, whole < 1 << 58 / 10 else { return parseFraction(text) }
      whole = whole * 10 + Int64(byte &- 0x30)
    }
    if whole > longest { return nil }
    return whole == 0 ? .unlimited : .milliseconds(whole * 1000)
  }

  private static func parseFraction(_ text: UnsafeRawBufferPointer) -> TimeToLive? {
    // What `Double` takes beyond JSON's numbers (infinity, hexadecimal) has letters other than an exponent's.
    guard text.allSatisfy({ $0 &- 0x30 <= 9 || ".eE+-".utf8.contains($0) }),
      let seconds = Double(String(decoding: text, as: UTF8.self)), seconds >= 0, seconds <= Double(longest)
    else { return nil }
    if seconds == 0 { return .unlimited }
    return .milliseconds(max(1, Int64((seconds * 1000).rounded())))
  }
}
