/// The unit of placement: CRC16 of the key, or of its `{tag}`, modulo 16,384.
///
/// Computed exactly as the Redis Cluster specification has it ("Key distribution model" and "Hash tags"), so that
/// every cluster-aware Redis client knows where a key lives.
public struct Slot: Hashable, Sendable, BitwiseCopyable, Comparable {
  public static let count = 16_384

  public let index: UInt16

  @inlinable @inline(__always) public init(index: UInt16) { self.index = index }

  @inlinable @inline(__always) public init(of key: UnsafeRawBufferPointer) {
    self.index = CRC16.ofKey(key) & 0x3FFF
  }

  @inlinable public static func < (left: Slot, right: Slot) -> Bool { left.index < right.index }
}

/// CRC-16/XMODEM (polynomial 0x1021, initial value 0), eight bytes a step.
///
/// `tables[k * 256 + b]` is the remainder of byte `b` followed by `k` zero bytes ("slicing by 8", Kounavis and
/// Berry, 2005).
public enum CRC16 {
  /// Invariant: written once, before first use, and never again; never freed.
  @usableFromInline nonisolated(unsafe) static let tables: UnsafePointer<UInt16> = makeTables()

  /// The tables, for whoever hashes so often that asking for a lazily made global each time would show.
  public static var tablesBase: UnsafePointer<UInt16> { tables }

  static func makeTables() -> UnsafePointer<UInt16> {
    let tables = UnsafeMutablePointer<UInt16>.allocate(capacity: 8 * 256)
    for byte in 0..<256 {
      var remainder = UInt16(byte) << 8
      for _ in 0..<8 { remainder = remainder & 0x8000 != 0 ? (remainder << 1) ^ 0x1021 : remainder << 1 }
      tables[byte] = remainder
    }
    for zeros in 1..<8 {
      for byte in 0..<256 {
        let previous = tables[(zeros - 1) * 256 + byte]
        tables[zeros * 256 + byte] = (previous << 8) ^ tables[Int(previous >> 8)]
      }
    }
    return UnsafePointer(tables)
  }

  @inlinable public static func of(_ bytes: UnsafeRawBufferPointer) -> UInt16 {
    guard let start = bytes.baseAddress else { return 0 }
    return of(start, bytes.count, tables)
  }

  @inlinable @inline(__always)
  public static func of(_ start: UnsafeRawPointer, _ count: Int, _ tables: UnsafePointer<UInt16>) -> UInt16 {
    var remainder: UInt16 = 0
    var offset = 0
    while offset &+ 8 <= count {
      let word = start.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian
      let first = UInt8(truncatingIfNeeded: word) ^ UInt8(truncatingIfNeeded: remainder &>> 8)
      let second = UInt8(truncatingIfNeeded: word &>> 8) ^ UInt8(truncatingIfNeeded: remainder)
      let a = tables[7 &* 256 &+ Int(first)] ^ tables[6 &* 256 &+ Int(second)]
      let b =
        tables[5 &* 256 &+ Int(UInt8(truncatingIfNeeded: word &>> 16))]
        ^ tables[4 &* 256 &+ Int(UInt8(truncatingIfNeeded: word &>> 24))]
      let c =
        tables[3 &* 256 &+ Int(UInt8(truncatingIfNeeded: word &>> 32))]
        ^ tables[2 &* 256 &+ Int(UInt8(truncatingIfNeeded: word &>> 40))]
      let d =
        tables[256 &+ Int(UInt8(truncatingIfNeeded: word &>> 48))]
        ^ tables[Int(UInt8(truncatingIfNeeded: word &>> 56))]
      remainder = (a ^ b) ^ (c ^ d)
      offset &+= 8
    }
    while offset < count {
      let byte = start.load(fromByteOffset: offset, as: UInt8.self)
      remainder = (remainder &<< 8) ^ tables[Int(UInt8(truncatingIfNeeded: remainder &>> 8) ^ byte)]
      offset &+= 1
    }
    return remainder
  }

  /// The CRC of the part of the key that decides its slot: what stands between the first `{` and the next `}`,
  /// or the whole key where there is no such pair or nothing between.
  @inlinable @inline(__always) public static func ofKey(_ key: UnsafeRawBufferPointer) -> UInt16 {
    guard let start = key.baseAddress else { return 0 }
    return ofKey(start, key.count, tables)
  }

  @inlinable @inline(__always)
  public static func ofKey(_ start: UnsafeRawPointer, _ count: Int, _ tables: UnsafePointer<UInt16>) -> UInt16 {
    if mayContainBrace(start, count) { return ofTaggedKey(start, count, tables) }
    return of(start, count, tables)
  }

  /// Eight bytes at a time: true if any byte is `{`, never false where one is.
  @inlinable @inline(__always) static func mayContainBrace(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
    var offset = 0
    var found: UInt64 = 0
    while offset &+ 8 <= count {
      let word = start.loadUnaligned(fromByteOffset: offset, as: UInt64.self) ^ 0x7B7B_7B7B_7B7B_7B7B
      found |= (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
      offset &+= 8
    }
    if found != 0 { return true }
    while offset < count {
      if start.load(fromByteOffset: offset, as: UInt8.self) == 0x7B { return true }
      offset &+= 1
    }
    return false
  }

  @usableFromInline @inline(never)
  static func ofTaggedKey(_ start: UnsafeRawPointer, _ count: Int, _ tables: UnsafePointer<UInt16>) -> UInt16 {
    let bytes = UnsafeRawBufferPointer(start: start, count: count)
    guard let open = bytes.firstIndex(of: 0x7B), let close = bytes[(open + 1)...].firstIndex(of: 0x7D),
      close > open + 1
    else { return of(start, count, tables) }
    return of(start + open + 1, close - open - 1, tables)
  }
}
