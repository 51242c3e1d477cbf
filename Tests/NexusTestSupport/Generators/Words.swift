/// Words of generated commands: few keys, so that commands meet; values around every edge.
extension Dice {
  private static let keys: [[UInt8]] =
    ["a", "b", "c", "d", "k1", "k2", "k3", "counter", "bits", "{tag}x", "{tag}y", "text"].map { Array($0.utf8) }
    + [[], [0, 13, 10, 255], Array(repeating: 97, count: 300)]

  public mutating func key() -> [UInt8] { chance(90) ? pick(Array(Self.keys.prefix(12))) : pick(Self.keys) }
  public mutating func keys(_ range: ClosedRange<Int>) -> [[UInt8]] { (0..<within(range)).map { _ in key() } }

  public mutating func value() -> [UInt8] {
    switch below(10) {
    case 0: []
    case 1, 2, 3: integer()
    case 4: float()
    case 5: bytes(count: below(40))
    case 6: chance(20) ? bytes(count: within(1000...20_000)) : bytes(count: within(40...200))
    case 7:
      pick(["hello", "Hello World", "foobar", "ohmytext", "mynewtext", "embstr-44-bytes-long-exactly-aaaaaaaaaaaaaaa"])
        .word
    default: Array(pick(["x", "y", "value", "0"]).utf8)
    }
  }

  public mutating func bytes(count: Int) -> [UInt8] { (0..<count).map { _ in UInt8(truncatingIfNeeded: next()) } }

  /// Mostly a small number; sometimes an edge of the 64-bit range or something that only looks like a number.
  public mutating func integer() -> [UInt8] {
    switch below(12) {
    case 0: pick(["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809"]).word
    case 1: pick(["+5", "-0", "007", " 1", "1 ", "1.0", "0x10", "abc", "", "1e3", "18446744073709551616"]).word
    case 2: within(-1_000_000_000_000...1_000_000_000_000).word
    default: within(-100...100).word
    }
  }

  public mutating func float() -> [UInt8] {
    switch below(6) {
    case 0: pick(["1e10", "-1.5e-5", "5.0e3", "+2.5", ".5", "5.", "1e400", "-1e400"]).word
    case 1: pick(["nan", "inf", "-inf", "+inf", "infinity", "abc", "", " 1.5", "1.5 ", "1,5", "0x1p3"]).word
    default: "\(within(-1000...1000)).\(within(0...99999))".word
    }
  }

  /// Seconds until an expiry: long past or far ahead, so that no reply depends on how fast a server runs.
  public mutating func seconds() -> [UInt8] {
    switch below(12) {
    case 0: pick(["0", "-1", "-100"]).word
    case 1: pick(["abc", "", "1.5", "9223372036854775807", "-9223372036854775808", "9223372036854776"]).word
    default: within(1_000...1_000_000).word
    }
  }

  public mutating func milliseconds() -> [UInt8] { chance(15) ? seconds() : within(1_000_000...1_000_000_000).word }

  /// A moment as Unix time in seconds: long past, or years ahead.
  public mutating func unixSeconds() -> [UInt8] {
    chance(20)
      ? pick(["0", "-1", "1", "1000000000", "abc", "9223372036854775807"]).word
      : within(4_000_000_000...5_000_000_000).word
  }

  public mutating func unixMilliseconds() -> [UInt8] {
    chance(20) ? unixSeconds() : within(4_000_000_000_000...5_000_000_000_000).word
  }

  /// Something that is probably wrong where it is put, and harmless where it is not.
  public mutating func oddWord() -> [UInt8] {
    switch below(4) {
    case 0:
      pick(["0", "-1", "-2", "100000", "9223372036854775807", "-9223372036854775808", "9223372036854775808"]).word
    case 1: pick(["", "abc", "1.5", "NX", "XX", "GET", "EX", "COUNT", "MATCH", "*", "\r\n", "(", "nan"]).word
    case 2: key()
    default: value()
    }
  }

  /// The word in upper, lower or mixed case, as clients may send it.
  public mutating func anyCase(_ word: String) -> String {
    switch below(8) {
    case 0: word.lowercased()
    case 1: String(word.map { chance(50) ? Character($0.lowercased()) : $0 })
    default: word
    }
  }
}
