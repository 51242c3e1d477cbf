import NexusModel

/// JSON strings as bytes: scanning, decoding, printing.
public enum JSONText {
  /// The first index from `start` on whose byte is not plain: a quote, a backslash, a control character, or outside
  /// ASCII. The text's end if there is none.
  @inline(__always)
  public static func endOfPlainRun(_ text: UnsafeRawBufferPointer, from start: Int) -> Int {
    var index = start
    while index &+ 8 <= text.count {
      let word = text.loadUnaligned(fromByteOffset: index, as: UInt64.self)
      let quote = word ^ 0x2222_2222_2222_2222
      let backslash = word ^ 0x5C5C_5C5C_5C5C_5C5C
      let ones: UInt64 = 0x0101_0101_0101_0101
      // Each term has a byte's top bit set where that byte is not plain; a borrow may set one too many above it, which
      // only ends the word-wise scan early.
      let special =
        word | ((word &- 0x2020_2020_2020_2020) & ~word) | ((quote &- ones) & ~quote)
        | ((backslash &- ones) & ~backslash)
      if special & 0x8080_8080_8080_8080 != 0 { break }
      index &+= 8
    }
    while index < text.count {
      let byte = text[index]
      if byte < 0x20 || byte >= 0x80 || byte == 0x22 || byte == 0x5C { break }
      index &+= 1
    }
    return index
  }

  /// How many bytes the well-formed UTF-8 sequence at `index` has (Unicode 15, table 3-7); 0 if it is not well-formed.
  public static func lengthOfSequence(_ text: UnsafeRawBufferPointer, at index: Int) -> Int {
    func continues(_ offset: Int, _ low: UInt8 = 0x80, _ high: UInt8 = 0xBF) -> Bool {
      index + offset < text.count && text[index + offset] >= low && text[index + offset] <= high
    }
    switch text[index] {
    case 0x00...0x7F: return 1
    case 0xC2...0xDF: return continues(1) ? 2 : 0
    case 0xE0: return continues(1, 0xA0, 0xBF) && continues(2) ? 3 : 0
    case 0xED: return continues(1, 0x80, 0x9F) && continues(2) ? 3 : 0
    case 0xE1...0xEF: return continues(1) && continues(2) ? 3 : 0
    case 0xF0: return continues(1, 0x90, 0xBF) && continues(2) && continues(3) ? 4 : 0
    case 0xF1...0xF3: return continues(1) && continues(2) && continues(3) ? 4 : 0
    case 0xF4: return continues(1, 0x80, 0x8F) && continues(2) && continues(3) ? 4 : 0
    default: return 0
    }
  }

  /// The number of a `\uXXXX` at `index`, or nil if there is none.
  public static func codeUnit(_ text: UnsafeRawBufferPointer, at index: Int) -> UInt16? {
    guard index + 6 <= text.count, text[index] == 0x5C, text[index + 1] == UInt8(ascii: "u") else { return nil }
    var unit: UInt16 = 0
    for offset in 2..<6 {
      guard let digit = hexadecimalDigit(text[index + offset]) else { return nil }
      unit = unit << 4 | UInt16(digit)
    }
    return unit
  }

  public static func hexadecimalDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case 0x30...0x39: byte - 0x30
    case 0x41...0x46: byte - 0x41 + 10
    case 0x61...0x66: byte - 0x61 + 10
    default: nil
    }
  }

  /// Decodes the inside of a string that `JSONReader` has accepted, over itself: what it stands for is never longer
  /// than its escapes. Answers the decoded bytes.
  public static func decodeInPlace(_ text: UnsafeMutableRawBufferPointer) -> UnsafeRawBufferPointer {
    let source = UnsafeRawBufferPointer(text)
    var read = 0
    var written = 0
    while read < source.count {
      let byte = source[read]
      if byte != 0x5C {
        text[written] = byte
        read += 1
        written += 1
        continue
      }
      switch source[read + 1] {
      case UInt8(ascii: "u"):
        var scalar = UInt32(codeUnit(source, at: read)!)
        read += 6
        if scalar & 0xFC00 == 0xD800 {
          scalar = 0x1_0000 + (scalar & 0x3FF) << 10 + UInt32(codeUnit(source, at: read)!) & 0x3FF
          read += 6
        }
        for unit in UTF8.encode(Unicode.Scalar(scalar)!)! {
          text[written] = unit
          written += 1
        }
        continue
      case UInt8(ascii: "b"): text[written] = 0x08
      case UInt8(ascii: "f"): text[written] = 0x0C
      case UInt8(ascii: "n"): text[written] = 0x0A
      case UInt8(ascii: "r"): text[written] = 0x0D
      case UInt8(ascii: "t"): text[written] = 0x09
      case let itself: text[written] = itself
      }
      read += 2
      written += 1
    }
    return UnsafeRawBufferPointer(rebasing: source[..<written])
  }
}

extension OutputBuffer {
  /// Appends the bytes as a JSON string with its quotes. False, and nothing appended, if they are not UTF-8.
  public mutating func appendJSONString(_ bytes: UnsafeRawBufferPointer) -> Bool {
    let before = count
    reserve(bytes.count &+ 2)
    append(byte: UInt8(ascii: "\""))
    var runStart = 0
    var index = 0
    while true {
      index = JSONText.endOfPlainRun(bytes, from: index)
      if index < bytes.count && bytes[index] >= 0x80 {
        let length = JSONText.lengthOfSequence(bytes, at: index)
        if length == 0 {
          count = before
          return false
        }
        index &+= length
        continue
      }
      append(UnsafeRawBufferPointer(rebasing: bytes[runStart..<index]))
      if index == bytes.count { break }
      appendEscape(bytes[index])
      index &+= 1
      runStart = index
    }
    append(byte: UInt8(ascii: "\""))
    return true
  }

  public mutating func appendJSONString(_ text: String) {
    var text = text
    text.withUTF8 { _ = appendJSONString(UnsafeRawBufferPointer($0)) }
  }

  private mutating func appendEscape(_ byte: UInt8) {
    switch byte {
    case 0x22: append("\\\"")
    case 0x5C: append("\\\\")
    case 0x08: append("\\b")
    case 0x0C: append("\\f")
    case 0x0A: append("\\n")
    case 0x0D: append("\\r")
    case 0x09: append("\\t")
    default:
      append("\\u00")
      append(byte: byte < 0x10 ? UInt8(ascii: "0") : UInt8(ascii: "1"))
      let low = byte & 0x0F
      append(byte: low < 10 ? 0x30 + low : UInt8(ascii: "a") + low - 10)
    }
  }
}
