import Glibc

/// Reads a floating-point number as C does, with what Redis refuses: leading space, anything after the number, NaN,
/// and results that overflow or vanish.
func parseDouble(_ bytes: UnsafeRawBufferPointer) -> Double? {
  guard bytes.count > 0, bytes.count < 256, isspace(Int32(bytes[0])) == 0 else { return nil }
  return withUnsafeTemporaryAllocation(of: CChar.self, capacity: bytes.count + 1) { text in
    for (offset, byte) in bytes.enumerated() { text[offset] = CChar(bitPattern: byte) }
    text[bytes.count] = 0
    var end: UnsafeMutablePointer<CChar>?
    errno = 0
    let value = strtod(text.baseAddress!, &end)
    guard end == text.baseAddress! + bytes.count, !value.isNaN else { return nil }
    if errno == ERANGE, value.isInfinite || value == 0 { return nil }
    return value
  }
}
