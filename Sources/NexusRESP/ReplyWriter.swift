import NexusModel

/// The protocol's replies, written to the end of an output buffer. What looks different in RESP2 and RESP3 takes
/// the connection's protocol version (2 or 3).
extension OutputBuffer {
  // MARK: The same in both versions

  @inlinable @inline(__always) public mutating func writeOK() {
    reserve(8)
    appendUnchecked(word: 0x0A0D_4B4F_2B, 5)
  }

  @inlinable public mutating func writeSimple(_ text: StaticString) {
    append(byte: UInt8(ascii: "+"))
    append(text)
    writeLineEnd()
  }

  /// The text must not contain line ends: `writeError` is the one that cleans what a client sent.
  public mutating func writeSimple(_ text: String) {
    append(byte: UInt8(ascii: "+"))
    append(text)
    writeLineEnd()
  }

  /// An error; the text starts with its code (`ERR`, `WRONGTYPE`, ...).
  public mutating func writeError(_ text: StaticString) {
    append(byte: UInt8(ascii: "-"))
    append(text)
    writeLineEnd()
  }

  /// An error whose text may quote what a client sent: line ends in it become spaces, so that they cannot forge
  /// another reply.
  public mutating func writeError(_ text: String) {
    var text = text
    text.withUTF8 { writeError(bytes: UnsafeRawBufferPointer($0)) }
  }

  /// The same for a text that may not be UTF-8.
  public mutating func writeError(bytes: UnsafeRawBufferPointer) {
    append(byte: UInt8(ascii: "-"))
    let start = count
    append(bytes)
    for offset in start..<count {
      let byte = base.load(fromByteOffset: offset, as: UInt8.self)
      if byte == 0x0D || byte == 0x0A { base.storeBytes(of: 0x20, toByteOffset: offset, as: UInt8.self) }
    }
    writeLineEnd()
  }

  public mutating func writeProtocolError(_ error: ProtocolError) {
    append("-ERR Protocol error: ")
    append(error.text)
    if case .expectedDollar(let got) = error {
      append(byte: got == 0x0D || got == 0x0A ? 0x20 : got)
      append(byte: UInt8(ascii: "'"))
    }
    writeLineEnd()
  }

  @inlinable @inline(__always) public mutating func writeInteger(_ value: Int) {
    reserve(32)
    if UInt(bitPattern: value) < 10 {
      appendUnchecked(word: 0x0A0D_003A | UInt64(0x30 &+ value) &<< 8, 4)
    } else {
      writeLine(UInt8(ascii: ":"), value)
    }
  }

  @inlinable @inline(__always) public mutating func writeBulk(_ bytes: UnsafeRawBufferPointer) {
    writeBulk(bytes.baseAddress ?? UnsafeRawPointer(base), bytes.count)
  }

  @inlinable @inline(__always) public mutating func writeBulk(_ start: UnsafeRawPointer, _ byteCount: Int) {
    reserve(byteCount &+ 32)
    writeBulkHeader(byteCount)
    (base + count).copyMemory(from: start, byteCount: byteCount)
    count &+= byteCount
    appendUnchecked(word: 0x0A0D, 2)
  }

  public mutating func writeBulk(_ text: String) {
    var text = text
    text.withUTF8 { writeBulk(UnsafeRawBufferPointer($0)) }
  }

  @inlinable public mutating func writeBulk(_ text: StaticString) {
    writeBulk(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
  }

  /// The decimal digits as a bulk string.
  public mutating func writeBulk(integer value: Int) {
    reserve(48)
    writeBulkHeader(Decimal.width(value))
    writeDigits(value)
    appendUnchecked(word: 0x0A0D, 2)
  }

  @inlinable public mutating func writeArrayHeader(_ elements: Int) {
    reserve(32)
    writeLine(UInt8(ascii: "*"), elements)
  }

  // MARK: Different in RESP2 and RESP3

  /// The absent value: `$-1`, or RESP3's `_`.
  @inlinable @inline(__always) public mutating func writeNull(_ version: Int) {
    reserve(8)
    if version < 3 { appendUnchecked(word: 0x0A0D_312D_24, 5) } else { appendUnchecked(word: 0x0A0D_5F, 3) }
  }

  /// The absent array: `*-1`, or RESP3's `_`.
  public mutating func writeNullArray(_ version: Int) {
    if version < 3 { append("*-1\r\n") } else { append("_\r\n") }
  }

  /// A map of so many pairs; RESP2 has it as a flat array of twice as many elements.
  public mutating func writeMapHeader(_ pairs: Int, _ version: Int) {
    reserve(32)
    if version < 3 { writeLine(UInt8(ascii: "*"), pairs * 2) } else { writeLine(UInt8(ascii: "%"), pairs) }
  }

  public mutating func writeSetHeader(_ elements: Int, _ version: Int) {
    reserve(32)
    writeLine(UInt8(ascii: version < 3 ? "*" : "~"), elements)
  }

  /// An out-of-band message of so many elements (publish/subscribe).
  public mutating func writePushHeader(_ elements: Int, _ version: Int) {
    reserve(32)
    writeLine(UInt8(ascii: version < 3 ? "*" : ">"), elements)
  }

  public mutating func writeBoolean(_ value: Bool, _ version: Int) {
    if version < 3 { writeInteger(value ? 1 : 0) } else { append(value ? "#t\r\n" : "#f\r\n") }
  }

  /// Shortest digits that read back as the same number; infinities as `inf` and `-inf`.
  public mutating func writeDouble(_ value: Double, _ version: Int) {
    let text = Decimal.text(value)
    if version < 3 { return writeBulk(text) }
    append(byte: UInt8(ascii: ","))
    append(text)
    writeLineEnd()
  }

  /// `digits` is a decimal number of any length.
  public mutating func writeBigNumber(_ digits: String, _ version: Int) {
    if version < 3 { return writeBulk(digits) }
    append(byte: UInt8(ascii: "("))
    append(digits)
    writeLineEnd()
  }

  /// A text for people; `format` is exactly three letters (`txt`, `mkd`) and is lost in RESP2.
  public mutating func writeVerbatim(_ text: String, format: StaticString = "txt", _ version: Int) {
    if version < 3 { return writeBulk(text) }
    precondition(format.utf8CodeUnitCount == 3)
    var text = text
    text.withUTF8 { bytes in
      reserve(bytes.count + 48)
      writeLine(UInt8(ascii: "="), bytes.count + 4)
      append(format)
      append(byte: UInt8(ascii: ":"))
      append(UnsafeRawBufferPointer(bytes))
      writeLineEnd()
    }
  }

  // MARK: Parts

  @inlinable public mutating func writeLineEnd() {
    reserve(2)
    appendUnchecked(word: 0x0A0D, 2)
  }

  /// `$<n>\r\n`. The caller has reserved 32 bytes.
  @inlinable @inline(__always) mutating func writeBulkHeader(_ byteCount: Int) {
    if byteCount < 10 {
      appendUnchecked(word: 0x0A0D_0024 | UInt64(0x30 &+ byteCount) &<< 8, 4)
    } else if byteCount < 100 {
      // n * 205 / 2048 is n / 10 for every n below 1,029.
      let tens = (byteCount &* 205) &>> 11
      let ones = byteCount &- tens &* 10
      let word = 0x0A0D_0000_24 | UInt64(0x30 &+ tens) &<< 8 | UInt64(0x30 &+ ones) &<< 16
      appendUnchecked(word: word, 5)
    } else {
      writeLine(UInt8(ascii: "$"), byteCount)
    }
  }

  /// A type byte, decimal digits and the line end. The caller has reserved 32 bytes.
  @inline(never) public mutating func writeLine(_ kind: UInt8, _ value: Int) {
    appendUnchecked(word: UInt64(kind), 1)
    writeDigits(value)
    appendUnchecked(word: 0x0A0D, 2)
  }

  /// Decimal digits alone. The caller has reserved 20 bytes.
  public mutating func writeDigits(_ value: Int) {
    if value < 0 { appendUnchecked(word: 0x2D, 1) }
    var left = value.magnitude
    let width = Decimal.width(left)
    var offset = count + width
    repeat {
      offset -= 1
      base.storeBytes(of: UInt8(0x30 + left % 10), toByteOffset: offset, as: UInt8.self)
      left /= 10
    } while left > 0
    count += width
  }

  /// Decimal digits alone, with room made for them.
  public mutating func append(decimal value: Int) {
    reserve(24)
    writeDigits(value)
  }
}
