import NexusService

/// Percent-encoding of URLs (RFC 3986, section 2.1).
enum PercentEncoding {
  /// Decodes into `target`, which has room for as many bytes as `source` has. Answers how many bytes there are, or nil
  /// if a `%` is not followed by two hexadecimal digits.
  static func decode(_ source: UnsafeRawBufferPointer, into target: UnsafeMutableRawPointer) -> Int? {
    var read = 0
    var written = 0
    while read < source.count {
      var byte = source[read]
      read &+= 1
      if byte == UInt8(ascii: "%") {
        guard read &+ 2 <= source.count, let high = JSONText.hexadecimalDigit(source[read]),
          let low = JSONText.hexadecimalDigit(source[read &+ 1])
        else { return nil }
        byte = high << 4 | low
        read &+= 2
      }
      target.storeBytes(of: byte, toByteOffset: written, as: UInt8.self)
      written &+= 1
    }
    return written
  }
}
