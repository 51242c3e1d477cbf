/// How a key's number becomes bytes: `key:000000012345`, filled with zeros up to the key size.
///
/// Four digits are copied at a time from a table, and only as many groups as the largest number needs: the rest of
/// the key stays as the request's template has it.
public struct KeyFormat {
  public let size: Int
  private let prefix: Int
  private let groups: Int
  private let looseDigits: Int
  private let digits = Self.digitTable

  /// Digits that `largest` needs.
  static func digitCount(_ largest: UInt64) -> Int { String(largest).utf8.count }

  /// `size` must hold at least the digits of `largest`.
  public init(size: Int, largest: UInt64) {
    self.size = size
    let needed = Self.digitCount(largest)
    prefix = size >= needed + 4 ? 4 : 0
    let whole = (needed + 3) / 4
    let fits = whole * 4 <= size - prefix
    groups = fits ? whole : needed / 4
    looseDigits = fits ? 0 : needed % 4
  }

  /// The key of number 0: what `patch` changes.
  public func blank() -> [UInt8] {
    var bytes = [UInt8](repeating: UInt8(ascii: "0"), count: size)
    if prefix > 0 { bytes.replaceSubrange(0..<4, with: Array("key:".utf8)) }
    return bytes
  }

  /// Writes the number over the last digits of the blank or earlier key at `key`, which has `size` bytes.
  @inline(__always) public func patch(_ key: UnsafeMutableRawPointer, _ number: UInt64) {
    var rest = number
    var at = key + size
    for _ in 0..<groups {
      at -= 4
      let (quotient, remainder) = rest.quotientAndRemainder(dividingBy: 10_000)
      at.storeBytes(of: digits[Int(truncatingIfNeeded: remainder)], as: UInt32.self)
      rest = quotient
    }
    for _ in 0..<looseDigits {
      at -= 1
      at.storeBytes(of: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10), as: UInt8.self)
      rest /= 10
    }
  }

  /// Invariant: 10,000 words, each the four ASCII digits of its index. Lives as long as the process.
  nonisolated(unsafe) private static let digitTable: UnsafePointer<UInt32> = {
    let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 10_000)
    for number in 0..<10_000 {
      var word: UInt32 = 0
      for place in [1000, 100, 10, 1].enumerated() {
        word |= UInt32(number / place.element % 10 + 48) << UInt32(8 * place.offset)
      }
      table[number] = word.littleEndian
    }
    return UnsafePointer(table)
  }()
}
