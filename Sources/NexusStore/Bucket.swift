import CIntrinsics

/// 64 bytes of a slot's table: one cache line with twelve places.
///
///     0   12 tags (one byte of the key's hash, never 0; 0: the place is free)
///     12  how many entries passed this bucket because it was full (255: unknown, stays)
///     13  24 bits: no entry here expires before this tick (0: none expires)
///     16  12 handles
@usableFromInline struct Bucket: BitwiseCopyable {
  @usableFromInline let base: UnsafeMutableRawPointer

  @inlinable @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @inlinable static var places: Int { 12 }
  @inlinable static var byteCount: Int { 64 }

  /// Bit i is set where place i has this tag.
  @inlinable @inline(__always) func matches(_ tag: UInt8) -> UInt32 { ci_match16(base, tag) & 0xFFF }
  @inlinable @inline(__always) func tag(_ place: Int) -> UInt8 { base.load(fromByteOffset: place, as: UInt8.self) }
  @inlinable @inline(__always) func setTag(_ place: Int, _ tag: UInt8) {
    base.storeBytes(of: tag, toByteOffset: place, as: UInt8.self)
  }
  @inlinable @inline(__always) func handle(_ place: Int) -> UInt32 {
    base.load(fromByteOffset: 16 &+ place &* 4, as: UInt32.self)
  }
  @inlinable @inline(__always) func setHandle(_ place: Int, _ handle: UInt32) {
    base.storeBytes(of: handle, toByteOffset: 16 &+ place &* 4, as: UInt32.self)
  }
  @inlinable @inline(__always) var passed: UInt8 { base.load(fromByteOffset: 12, as: UInt8.self) }
  func notePassed() {
    if passed != 255 { base.storeBytes(of: passed &+ 1, toByteOffset: 12, as: UInt8.self) }
  }
  func forgetPassed() {
    if passed != 255 { base.storeBytes(of: passed &- 1, toByteOffset: 12, as: UInt8.self) }
  }

  var earliestTick: UInt32 { base.load(fromByteOffset: 12, as: UInt32.self) &>> 8 }
  func setEarliestTick(_ tick: UInt32) {
    base.storeBytes(of: UInt32(passed) | tick &<< 8, toByteOffset: 12, as: UInt32.self)
  }
  /// An entry with this expiry came to live here.
  func noteExpiry(_ tick: UInt32) {
    let earliest = earliestTick
    if earliest == 0 || ExpiryTick.isBefore(tick, earliest) { setEarliestTick(tick) }
  }
}

/// Moments as 24-bit ticks of 128 ms, compared on the circle: the circle is 24 days, what lies further off is looked
/// at again after 6.
enum ExpiryTick {
  static func of(_ moment: Int64, now: Int64) -> UInt32 {
    let horizon = now + (1 << 22) << 7
    return max(1, UInt32(truncatingIfNeeded: min(moment, horizon) >> 7) & 0xFF_FFFF)
  }
  static func current(_ now: Int64) -> UInt32 { UInt32(truncatingIfNeeded: now >> 7) & 0xFF_FFFF }

  static func isBefore(_ left: UInt32, _ right: UInt32) -> Bool {
    (right &- left) & 0xFF_FFFF != 0 && (right &- left) & 0xFF_FFFF < 0x80_0000
  }
  /// All entries whose tick this is have expired, or some may have.
  static func isDue(_ tick: UInt32, _ current: UInt32) -> Bool { tick != 0 && !isBefore(current, tick) }
}

/// The part of a key's hash that the tables use.
@usableFromInline enum HashParts {
  @inlinable @inline(__always) static func tag(_ hash: UInt64) -> UInt8 {
    let tag = UInt8(truncatingIfNeeded: hash &>> 32)
    return tag == 0 ? 1 : tag
  }
  /// Monotone in the low 32 bits, for any number of buckets: a scan in this order survives every resize.
  @inlinable @inline(__always) static func bucket(_ hash: UInt64, of count: UInt32) -> Int {
    Int(truncatingIfNeeded: ((hash & 0xFFFF_FFFF) &* UInt64(count)) &>> 32)
  }
}
