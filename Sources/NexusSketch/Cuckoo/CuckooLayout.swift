/// How a filter lies in memory, in the store and on its way to another member: little-endian, without addresses.
///
///     0   u32 magic "NXCF"
///     4   u8  version (1)
///     5   u8  places in a bucket
///     6   u16 sub-filters ("layers"), 1...33
///     8   u16 displacements
///     10  u16 expansion
///     12  u32 how many different fingerprints the first layer has
///     16  f64 false-positive rate
///     24  u64 seed of the hash
///     32  u64 items deleted so far
///     40  layers, one behind the other:
///         0   u32 buckets
///         4   u32 capacity
///         8   u32 items
///         12  u16 bits of a place; u16 0
///         16  places, packed, then at least 8 bytes minus one place of padding: whole words can be read everywhere
enum CuckooLayout {
  static let magic: UInt32 = 0x4643_584E
  static let version: UInt8 = 1
  static let headerBytes = 40
  static let layerHeaderBytes = 16
  /// The first one, and 32 times growing.
  static let layersMax = 33

  static func tableBytes(buckets: Int, bucketSlots: Int, slotBits: Int) -> Int {
    let lastWord = ((buckets * bucketSlots - 1) * slotBits) >> 3 + 8
    return (lastWord + 7) & ~7
  }

  static func layerBytes(buckets: Int, bucketSlots: Int, slotBits: Int) -> Int {
    layerHeaderBytes + tableBytes(buckets: buckets, bucketSlots: bucketSlots, slotBits: slotBits)
  }
}

extension UnsafeMutableRawPointer {
  @inline(__always) func little<Number: FixedWidthInteger & BitwiseCopyable>(
    at offset: Int, _ type: Number.Type = Number.self
  ) -> Number {
    Number(littleEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
  }

  @inline(__always) func setLittle<Number: FixedWidthInteger & BitwiseCopyable>(_ value: Number, at offset: Int) {
    storeBytes(of: value.littleEndian, toByteOffset: offset, as: Number.self)
  }
}
