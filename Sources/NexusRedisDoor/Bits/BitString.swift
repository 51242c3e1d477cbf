/// Bits of a value, numbered as Redis has them: bit 0 is the highest of the first byte.
struct BitString {
  let bytes: UnsafeRawBufferPointer

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// 0 beyond the end.
  func bit(at offset: Int) -> Int {
    let index = offset >> 3
    return index < bytes.count ? Int(bytes[index] >> UInt8(7 - offset & 7)) & 1 : 0
  }

  /// How many bits of the range are 1. Invariant: the range lies within the bytes.
  func ones(in range: Range<Int>) -> Int {
    guard !range.isEmpty else { return 0 }
    let firstByte = range.lowerBound >> 3
    let lastByte = (range.upperBound - 1) >> 3
    var total = onesOfBytes(firstByte..<lastByte + 1)
    total -= (bytes[firstByte] & ~Self.from(range.lowerBound)).nonzeroBitCount
    total -= (bytes[lastByte] & ~Self.through(range.upperBound - 1)).nonzeroBitCount
    return total
  }

  private func onesOfBytes(_ range: Range<Int>) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    var offset = range.lowerBound
    var total = 0
    while offset + 8 <= range.upperBound {
      total &+= start.loadUnaligned(fromByteOffset: offset, as: UInt64.self).nonzeroBitCount
      offset += 8
    }
    while offset < range.upperBound {
      total &+= bytes[offset].nonzeroBitCount
      offset += 1
    }
    return total
  }

  /// The first bit of the range that is `bit` (0 or 1). Invariant: the range lies within the bytes.
  func first(_ bit: Int, in range: Range<Int>) -> Int? {
    guard !range.isEmpty, let start = bytes.baseAddress else { return nil }
    // Turned so that what is looked for is a 1.
    let turn: UInt8 = bit == 1 ? 0 : 0xFF
    let lastByte = (range.upperBound - 1) >> 3
    var index = range.lowerBound >> 3
    var byte = (bytes[index] ^ turn) & Self.from(range.lowerBound)
    while byte == 0 {
      index += 1
      let dull: UInt64 = bit == 1 ? 0 : .max
      while index + 8 <= lastByte, start.loadUnaligned(fromByteOffset: index, as: UInt64.self) == dull { index += 8 }
      guard index <= lastByte else { return nil }
      byte = bytes[index] ^ turn
    }
    let found = index << 3 + byte.leadingZeroBitCount
    return found < range.upperBound ? found : nil
  }

  /// The bits of its byte from this one on.
  private static func from(_ offset: Int) -> UInt8 { 0xFF >> UInt8(offset & 7) }
  /// The bits of its byte up to this one.
  private static func through(_ offset: Int) -> UInt8 { 0xFF << UInt8(7 - offset & 7) }

  /// So many bits (1...64) from `offset` on as a number; those beyond the end are 0.
  func number(at offset: Int, bits: Int) -> UInt64 {
    let index = offset >> 3
    var word: UInt64 = 0
    for step in 0..<8 { word = word << 8 | UInt64(index + step < bytes.count ? bytes[index + step] : 0) }
    let shift = UInt64(offset & 7)
    if shift > 0 {
      let ninth = UInt64(index + 8 < bytes.count ? bytes[index + 8] : 0)
      word = word << shift | ninth >> (8 - shift)
    }
    return word >> UInt64(64 - bits)
  }

  /// Writes the low `bits` of the number. Invariant: they lie within the bytes.
  static func write(_ number: UInt64, at offset: Int, bits: Int, to bytes: UnsafeMutableRawBufferPointer) {
    var position = offset
    var left = bits
    while left > 0 {
      let here = min(8 - position & 7, left)
      let shift = UInt8(8 - position & 7 - here)
      let mask = UInt8(truncatingIfNeeded: (1 << here) - 1)
      let part = UInt8(truncatingIfNeeded: number >> UInt64(left - here)) & mask
      bytes[position >> 3] = bytes[position >> 3] & ~(mask << shift) | part << shift
      position += here
      left -= here
    }
  }
}
