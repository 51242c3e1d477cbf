import NexusModel

/// Where replies begin and end in bytes of the protocol, without taking them apart. The bytes are those that another
/// member's door has written: whole replies of either version.
enum ReplySpan {
  /// Where the reply that begins at `start` ends; nil if it does not end within the bytes.
  static func end(of bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    var position = start
    var left = 1
    while left > 0 {
      guard position < bytes.count, let line = lineEnd(bytes, position) else { return nil }
      let kind = bytes[position]
      let next = line + 2
      left -= 1
      switch kind {
      case UInt8(ascii: "$"), UInt8(ascii: "="), UInt8(ascii: "!"):
        guard let count = number(bytes, position + 1, line) else { return nil }
        position = count < 0 ? next : next + count + 2
      case UInt8(ascii: "*"), UInt8(ascii: "~"), UInt8(ascii: ">"), UInt8(ascii: "%"):
        guard let count = number(bytes, position + 1, line) else { return nil }
        left += max(0, count) * (kind == UInt8(ascii: "%") ? 2 : 1)
        position = next
      default: position = next
      }
      guard position <= bytes.count else { return nil }
    }
    return position
  }

  /// The elements of an array, each where it lies; none if the bytes are no array.
  static func elements(of bytes: [UInt8]) -> [Range<Int>] {
    bytes.withUnsafeBytes { bytes in
      guard bytes.first == UInt8(ascii: "*") || bytes.first == UInt8(ascii: "~"), let line = lineEnd(bytes, 0),
        let count = number(bytes, 1, line), count > 0
      else { return [] }
      var position = line + 2
      var elements: [Range<Int>] = []
      elements.reserveCapacity(count)
      for _ in 0..<count {
        guard let next = end(of: bytes, from: position) else { return elements }
        elements.append(position..<next)
        position = next
      }
      return elements
    }
  }

  private static func lineEnd(_ bytes: UnsafeRawBufferPointer, _ from: Int) -> Int? {
    var position = from
    while position + 1 < bytes.count {
      if bytes[position] == 0x0D, bytes[position + 1] == 0x0A { return position }
      position += 1
    }
    return nil
  }

  private static func number(_ bytes: UnsafeRawBufferPointer, _ start: Int, _ end: Int) -> Int? {
    var value = 0
    var position = start
    let isNegative = position < end && bytes[position] == UInt8(ascii: "-")
    if isNegative { position += 1 }
    guard position < end else { return nil }
    while position < end {
      let digit = Int(bytes[position]) - 0x30
      guard 0...9 ~= digit, value < 1 << 40 else { return nil }
      value = value * 10 + digit
      position += 1
    }
    return isNegative ? -value : value
  }
}
