import NexusModel

/// The two requests that most traffic consists of, recognised by comparing words: `GET key` and `SET key value`
/// as clients send them, `*2\r\n$3\r\nGET\r\n$...` with the name in any case.
public enum LiteralRequest: UInt8, BitwiseCopyable {
  /// Not one of these, or not complete: the general parser decides.
  case other
  case get
  case set

  /// Looks at the bytes from `start` to `end`. On success fills key and value and moves `start` behind the request.
  ///
  /// Invariant: reads no byte at or beyond `end`.
  @inlinable @inline(__always) public static func parse(
    _ start: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ bulkLimit: Int, _ key: inout Argument,
    _ value: inout Argument
  ) -> LiteralRequest {
    // The shortest GET is "*2\r\n$3\r\nGET\r\n$0\r\n\r\n".
    if end - start < 19 { return .other }
    // Bytes 0...7 are "*2\r\n$3\r\n" and 5...12 "3\r\nGET\r\n"; bit 5 of the name's letters is masked away.
    let head = start.loadUnaligned(as: UInt64.self).littleEndian
    let name = start.loadUnaligned(fromByteOffset: 5, as: UInt64.self).littleEndian & 0xFFFF_DFDF_DFFF_FFFF
    if head == 0x0A0D_3324_0A0D_322A, name == 0x0A0D_5445_470A_0D33 {
      var at = start + 13
      if !readBulk(&at, end, bulkLimit, &key) { return .other }
      start = at
      return .get
    }
    if head == 0x0A0D_3324_0A0D_332A, name == 0x0A0D_5445_530A_0D33 {
      var at = start + 13
      if !readBulk(&at, end, bulkLimit, &key) { return .other }
      if !readBulk(&at, end, bulkLimit, &value) { return .other }
      start = at
      return .set
    }
    return .other
  }

  /// Reads `$<n>\r\n<bytes>\r\n`; false where it is not complete or has an unusual length line.
  @inlinable @inline(__always) static func readBulk(
    _ at: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ limit: Int, _ argument: inout Argument
  ) -> Bool {
    // Room for "$n\r\n\r\n" makes every read below safe as long as at most two digits have been read.
    if end - at < 6 { return false }
    let word = at.loadUnaligned(as: UInt32.self).littleEndian
    let first = Int((word &>> 8) & 0xFF) &- 0x30
    if word & 0xFF != 0x24 || UInt(bitPattern: first) > 9 { return false }
    var length = first
    var cursor = at + 2
    if (word &>> 16) & 0xFF != 0x0D {
      if first == 0 { return false }
      let second = Int((word &>> 16) & 0xFF) &- 0x30
      if UInt(bitPattern: second) > 9 { return false }
      length = first &* 10 &+ second
      cursor = at + 3
      if (word &>> 24) & 0xFF != 0x0D, !readMoreDigits(&cursor, end, limit, &length) { return false }
    }
    // `cursor` is at the carriage return.
    cursor += 2
    if end - cursor < length &+ 2 { return false }
    argument = Argument(base: cursor, count: length)
    at = cursor + length + 2
    return true
  }

  @usableFromInline @inline(never) static func readMoreDigits(
    _ cursor: inout UnsafeRawPointer, _ end: UnsafeRawPointer, _ limit: Int, _ length: inout Int
  ) -> Bool {
    while cursor < end {
      let byte = cursor.load(as: UInt8.self)
      if byte == 0x0D { return true }
      let digit = Int(byte) &- 0x30
      if UInt(bitPattern: digit) > 9 { return false }
      length = length &* 10 &+ digit
      if length > limit { return false }
      cursor += 1
    }
    return false
  }
}
