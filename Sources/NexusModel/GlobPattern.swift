/// Shell-style patterns over bytes, as KEYS, SCAN MATCH, PSUBSCRIBE and CONFIG GET have them.
///
/// `*` any run, `?` any byte, `[abc]`, `[^a-c]` a class, `\x` the byte x itself. Agrees with Redis 7.0 where a
/// pattern is odd: an unclosed class ends with the pattern, a range may stand backwards and compares bytes as
/// signed, and `*` alone does not match the empty string.
public enum GlobPattern {
  /// Takes time proportional to the lengths' product at worst: only the last `*` is ever tried again.
  public static func matches(
    _ pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer, ignoringCase: Bool = false
  ) -> Bool {
    var matcher = Matcher(pattern: pattern, text: text, ignoringCase: ignoringCase)
    return matcher.run()
  }

  public static func matches(_ pattern: [UInt8], _ text: [UInt8], ignoringCase: Bool = false) -> Bool {
    pattern.withUnsafeBytes { pattern in
      text.withUnsafeBytes { matches(pattern, $0, ignoringCase: ignoringCase) }
    }
  }

  /// True for `*`: every key matches, so that nobody need look.
  public static func matchesEverything(_ pattern: UnsafeRawBufferPointer) -> Bool {
    pattern.count == 1 && pattern[0] == UInt8(ascii: "*")
  }
}

private struct Matcher {
  let pattern: UnsafeRawBufferPointer
  let text: UnsafeRawBufferPointer
  let ignoringCase: Bool
  var at = 0
  var position = 0

  init(pattern: UnsafeRawBufferPointer, text: UnsafeRawBufferPointer, ignoringCase: Bool) {
    self.pattern = pattern
    self.text = text
    self.ignoringCase = ignoringCase
  }

  mutating func run() -> Bool {
    if text.isEmpty { return pattern.isEmpty }
    var afterStar = -1
    var starPosition = 0
    while true {
      if position == text.count {
        while at < pattern.count, pattern[at] == UInt8(ascii: "*") { at += 1 }
        if at == pattern.count { return true }
        // What is left wants more bytes than there are; a later start would leave even fewer.
        return false
      }
      if at < pattern.count, pattern[at] == UInt8(ascii: "*") {
        while at < pattern.count, pattern[at] == UInt8(ascii: "*") { at += 1 }
        if at == pattern.count { return true }
        afterStar = at
        starPosition = position
        continue
      }
      if at < pattern.count, matchOne() { continue }
      guard afterStar >= 0 else { return false }
      starPosition += 1
      if starPosition == text.count { return false }
      at = afterStar
      position = starPosition
    }
  }

  /// Matches one element that is not `*` against one byte, and steps over both.
  mutating func matchOne() -> Bool {
    let byte = fold(text[position])
    let matched: Bool
    switch pattern[at] {
    case UInt8(ascii: "?"):
      matched = true
      at += 1
    case UInt8(ascii: "["):
      matched = matchClass(byte)
    case UInt8(ascii: "\\") where at + 1 < pattern.count:
      matched = fold(pattern[at + 1]) == byte
      at += 2
    default:
      matched = fold(pattern[at]) == byte
      at += 1
    }
    position += 1
    return matched
  }

  private mutating func matchClass(_ byte: UInt8) -> Bool {
    at += 1
    var negated = false
    if at < pattern.count, pattern[at] == UInt8(ascii: "^") {
      negated = true
      at += 1
    }
    var found = false
    while at < pattern.count {
      let left = pattern.count - at
      if left >= 2, pattern[at] == UInt8(ascii: "\\") {
        if pattern[at + 1] == text[position] { found = true }
        at += 2
      } else if pattern[at] == UInt8(ascii: "]") {
        at += 1
        break
      } else if left >= 3, pattern[at + 1] == UInt8(ascii: "-") {
        let first = Int8(bitPattern: fold(pattern[at]))
        let last = Int8(bitPattern: fold(pattern[at + 2]))
        if min(first, last) <= Int8(bitPattern: byte), Int8(bitPattern: byte) <= max(first, last) { found = true }
        at += 3
      } else {
        if fold(pattern[at]) == byte { found = true }
        at += 1
      }
    }
    return found != negated
  }

  private func fold(_ byte: UInt8) -> UInt8 {
    ignoringCase && byte &- UInt8(ascii: "A") < 26 ? byte | 0x20 : byte
  }
}
