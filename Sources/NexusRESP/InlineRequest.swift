import NexusModel

/// Splits a line into arguments with a shell-like quoting: `"..."` with `\n \r \t \b \a \xHH` and any other escaped
/// byte as itself, `'...'` with `\'` only, and white space between. A closing quote must end its argument.
enum InlineRequest {
  /// Appends the arguments to the arena; their bytes lie in `scratch`, which has room for the line and must not
  /// move. False if quotes are unbalanced.
  static func split(
    _ line: UnsafeRawBufferPointer, _ scratch: inout OutputBuffer, _ arena: inout ArgumentArena
  ) -> Bool {
    // A NUL ends the line, as it does for Redis.
    let end = RequestParser.firstIndex(of: 0, in: line, from: 0) ?? line.count
    var reader = Reader(line: UnsafeRawBufferPointer(rebasing: line[..<end]))
    while true {
      reader.skipSpace()
      if reader.isAtEnd { return true }
      let start = scratch.count
      guard reader.readArgument(into: &scratch) else { return false }
      arena.append(Argument(base: UnsafeRawPointer(scratch.base + start), count: scratch.count - start))
    }
  }

  private struct Reader {
    let line: UnsafeRawBufferPointer
    var at = 0

    init(line: UnsafeRawBufferPointer) { self.line = line }

    var isAtEnd: Bool { at >= line.count }

    /// The byte so many places ahead, 0 beyond the end.
    func peek(_ ahead: Int = 0) -> UInt8 { at + ahead < line.count ? line[at + ahead] : 0 }

    mutating func skipSpace() {
      while !isAtEnd, Self.isSpace(line[at]) { at += 1 }
    }

    mutating func readArgument(into scratch: inout OutputBuffer) -> Bool {
      while true {
        switch peek() {
        case 0, UInt8(ascii: " "), 0x0A, 0x0D, 0x09: return true
        case UInt8(ascii: "\""):
          at += 1
          return readDoubleQuoted(into: &scratch)
        case UInt8(ascii: "'"):
          at += 1
          return readSingleQuoted(into: &scratch)
        case let byte:
          scratch.append(byte: byte)
          at += 1
        }
      }
    }

    private mutating func readDoubleQuoted(into scratch: inout OutputBuffer) -> Bool {
      while !isAtEnd {
        let byte = line[at]
        if byte == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "x"), let high = Self.hexadecimal(peek(2)),
          let low = Self.hexadecimal(peek(3))
        {
          scratch.append(byte: high << 4 | low)
          at += 4
        } else if byte == UInt8(ascii: "\\"), at + 1 < line.count {
          scratch.append(byte: Self.unescaped(peek(1)))
          at += 2
        } else if byte == UInt8(ascii: "\"") {
          return closeQuote()
        } else {
          scratch.append(byte: byte)
          at += 1
        }
      }
      return false
    }

    private mutating func readSingleQuoted(into scratch: inout OutputBuffer) -> Bool {
      while !isAtEnd {
        let byte = line[at]
        if byte == UInt8(ascii: "\\"), peek(1) == UInt8(ascii: "'") {
          scratch.append(byte: UInt8(ascii: "'"))
          at += 2
        } else if byte == UInt8(ascii: "'") {
          return closeQuote()
        } else {
          scratch.append(byte: byte)
          at += 1
        }
      }
      return false
    }

    private mutating func closeQuote() -> Bool {
      at += 1
      return isAtEnd || Self.isSpace(line[at])
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte &- 0x09 < 5 }

    private static func unescaped(_ byte: UInt8) -> UInt8 {
      switch byte {
      case UInt8(ascii: "n"): 0x0A
      case UInt8(ascii: "r"): 0x0D
      case UInt8(ascii: "t"): 0x09
      case UInt8(ascii: "b"): 0x08
      case UInt8(ascii: "a"): 0x07
      default: byte
      }
    }

    private static func hexadecimal(_ byte: UInt8) -> UInt8? {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
      case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
      case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
      default: nil
      }
    }
  }
}
