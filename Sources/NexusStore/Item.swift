import CIntrinsics
import NexusModel

/// An entry where it lies: a chunk of the arena.
///
///     0   u32 next   } the entry's place in its lane's lists: written under the lane's lock only
///     4   u32 prev   }
///     8   u8  flags      written under the stripe's lock (and the lane's where the layout behind it changes)
///     9   u8  policy     frequency (bits 0-1) and queue (bits 2-3): atomic, hits and evictions both write it
///     10  u16 lengths    key length (6 bits), value length (10 bits) unless `large`
///     12  [large:    u32 key length, u32 value length]
///         [expiry:   i64 milliseconds]
///         [extras:   u16 bitmap, then the fields it names]
///         [external: u64 address of the value (and of the key where it is longer than 1 KiB, before the value)]
///         key, value
///
/// Invariant: `flags` is never 0 in a live entry and 0 in a free chunk. Chunks are 4-byte aligned, so that fields
/// wider than that are read unaligned.
@usableFromInline struct Item: BitwiseCopyable {
  @usableFromInline let base: UnsafeMutableRawPointer

  @usableFromInline @inline(__always) init(_ base: UnsafeMutableRawPointer) { self.base = base }

  @usableFromInline enum Flag {
    @inlinable static var typeMask: UInt8 { 0x07 }
    /// Among the types: not a value but what is left of a removed one.
    @inlinable static var tombstone: UInt8 { 0x07 }
    @inlinable static var large: UInt8 { 0x08 }
    @inlinable static var expiry: UInt8 { 0x10 }
    @inlinable static var extras: UInt8 { 0x20 }
    @inlinable static var external: UInt8 { 0x40 }
    @inlinable static var epoch: UInt8 { 0x80 }
    /// What decides where the fields lie.
    @inlinable static var layout: UInt8 { 0x78 }
  }

  static var headBytes: Int { 12 }
  static var keyCountInlineMax: Int { 63 }
  static var valueCountInlineMax: Int { 1023 }
  /// Longer keys of external entries lie before their value, outside the arena.
  static var keyCountInArenaMax: Int { 1024 }

  @inlinable @inline(__always) var flags: UInt8 { base.load(fromByteOffset: 8, as: UInt8.self) }
  @inlinable @inline(__always) func setFlags(_ flags: UInt8) {
    base.storeBytes(of: flags, toByteOffset: 8, as: UInt8.self)
  }
  @inlinable @inline(__always) var policyByte: UnsafeMutablePointer<UInt8> {
    (base + 9).assumingMemoryBound(to: UInt8.self)
  }
  @inlinable @inline(__always) var lengths: UInt16 {
    atomicLoad((base + 10).assumingMemoryBound(to: UInt16.self))
  }
  @inlinable @inline(__always) func setLengths(_ lengths: UInt16) {
    atomicStore((base + 10).assumingMemoryBound(to: UInt16.self), lengths)
  }

  /// The flags hold the type's number + 1, so that they are never 0, and a number of their own for tombstones.
  var type: ValueType { ValueType(rawValue: (flags & Flag.typeMask) &- 1) ?? .string }

  var isTombstone: Bool { flags & Flag.typeMask == Flag.tombstone }

  /// When this version was written: 0 if it has no stamp.
  ///
  /// A tombstone has its stamp's complement in the place of the expiry: a moment long past.
  var stamp: UInt64 {
    if isTombstone { return ~UInt64(bitPattern: expiresAt) }
    guard let at = Extras.offset(of: Extras.stampBit, in: self) else { return 0 }
    return base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
  }

  /// Only of an item that has one.
  func setStamp(_ stamp: UInt64) {
    if isTombstone {
      base.storeBytes(of: Int64(bitPattern: ~stamp), toByteOffset: expiryOffset, as: Int64.self)
    } else if let at = Extras.offset(of: Extras.stampBit, in: self) {
      base.storeBytes(of: stamp, toByteOffset: at, as: UInt64.self)
    }
  }

  @inlinable @inline(__always) var keyCount: Int {
    flags & Flag.large == 0
      ? Int(lengths & 63) : Int(base.load(fromByteOffset: 12, as: UInt32.self))
  }
  @inlinable @inline(__always) var valueCount: Int {
    flags & Flag.large == 0
      ? Int(lengths &>> 6) : Int(base.load(fromByteOffset: 16, as: UInt32.self))
  }

  /// Where the expiry lies, if there is one.
  @inlinable @inline(__always) var expiryOffset: Int { 12 &+ Int(flags & Flag.large) }

  @inlinable @inline(__always) var expiresAt: UnixMilliseconds {
    flags & Flag.expiry == 0 ? 0 : base.loadUnaligned(fromByteOffset: expiryOffset, as: Int64.self)
  }

  /// Where the extras lie, if there are any: behind the head, the long lengths and the expiry (8 bytes each).
  @inlinable @inline(__always) var extrasOffset: Int {
    12 &+ Int(flags & Flag.large) &+ Int((flags & Flag.expiry) &>> 1)
  }
  @inlinable var extrasBitmap: UInt16 {
    flags & Flag.extras == 0 ? 0 : base.loadUnaligned(fromByteOffset: extrasOffset, as: UInt16.self)
  }

  /// Where the external address or, if there is none, the key lies.
  @inlinable @inline(__always) var bodyOffset: Int {
    let offset = extrasOffset
    return flags & Flag.extras == 0 ? offset : offset &+ Extras.byteCount(extrasBitmap)
  }

  @inlinable var external: UnsafeMutableRawPointer {
    UnsafeMutableRawPointer(bitPattern: base.loadUnaligned(fromByteOffset: bodyOffset, as: UInt.self))!
  }

  /// What the external memory holds.
  var externalBytes: Int { valueCount + (keyCount <= Item.keyCountInArenaMax ? 0 : keyCount) }

  @inlinable @inline(__always) var keyBase: UnsafeMutableRawPointer {
    if flags & Flag.external == 0 { return base + bodyOffset }
    return keyCount > 1024 ? external : base + bodyOffset + 8
  }
  @inlinable @inline(__always) var valueBase: UnsafeMutableRawPointer {
    if flags & Flag.external == 0 { return base + (bodyOffset &+ keyCount) }
    return keyCount > 1024 ? external + keyCount : external
  }
  @inlinable var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: keyBase, count: keyCount) }

  @inlinable @inline(__always) var namespace: NamespaceNumber {
    flags & Flag.extras == 0 ? 0 : Extras.namespace(self)
  }
}

/// Fields that cost bytes only in the entries that have them. In this order behind the bitmap.
@usableFromInline enum Extras {
  @inlinable static var namespaceBit: UInt16 { 1 }
  @inlinable static var clientFlagsBit: UInt16 { 2 }
  @inlinable static var versionBit: UInt16 { 4 }
  @inlinable static var stampBit: UInt16 { 8 }
  @inlinable static var freshBit: UInt16 { 16 }
  /// How many tags there are: not a bit but a number, in the bits above.
  @inlinable static var tagShift: UInt16 { 5 }
  @inlinable static var tagMask: UInt16 { 15 &<< 5 }
  /// Fields that an entry must have alike to be written in place.
  static var comparedBits: UInt16 { clientFlagsBit | versionBit | freshBit | tagMask }

  @inlinable static func byteCount(_ bitmap: UInt16) -> Int {
    2 &+ Int(bitmap & 1) &* 2 &+ Int((bitmap &>> 1) & 1) &* 4 &+ Int((bitmap &>> 2) & 1) &* 8
      &+ Int((bitmap &>> 3) & 1) &* 8 &+ Int((bitmap &>> 4) & 1) &* 8
      &+ Int(bitmap &>> tagShift) &* 4
  }

  @inlinable static func offset(of bit: UInt16, in item: Item) -> Int? {
    let bitmap = item.extrasBitmap
    guard bitmap & bit != 0 else { return nil }
    return item.extrasOffset + byteCount(bitmap & (bit - 1))
  }

  static func tags(_ item: Item) -> TagList {
    let bitmap = item.extrasBitmap
    guard bitmap & tagMask != 0 else { return TagList() }
    let start = item.base + item.extrasOffset + byteCount(bitmap & ~tagMask)
    return TagList(UnsafeRawBufferPointer(start: start, count: Int(bitmap >> tagShift) * TagList.hashBytes))!
  }

  @usableFromInline @inline(never) static func namespace(_ item: Item) -> NamespaceNumber {
    // The first of the fields, right behind the bitmap.
    item.extrasBitmap & namespaceBit == 0
      ? 0 : item.base.loadUnaligned(fromByteOffset: item.extrasOffset &+ 2, as: UInt16.self)
  }
}

/// The optional fields of an entry, as values.
struct ItemFields: Equatable {
  /// As the flags have it.
  var typeBits = ValueType.string.bits
  var namespace: NamespaceNumber = 0
  var expiresAt: UnixMilliseconds = 0
  var clientFlags: UInt32 = 0
  var version: UInt64 = 0
  var stamp: UInt64 = 0
  var freshUntil: UnixMilliseconds = 0
  var tags = TagList()

  init(namespace: NamespaceNumber) { self.namespace = namespace }

  init(of item: Item) {
    typeBits = item.flags & Item.Flag.typeMask
    namespace = item.namespace
    expiresAt = item.expiresAt
    if item.flags & Item.Flag.extras == 0 { return }
    if let at = Extras.offset(of: Extras.clientFlagsBit, in: item) {
      clientFlags = item.base.loadUnaligned(fromByteOffset: at, as: UInt32.self)
    }
    if let at = Extras.offset(of: Extras.versionBit, in: item) {
      version = item.base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    }
    if let at = Extras.offset(of: Extras.stampBit, in: item) {
      stamp = item.base.loadUnaligned(fromByteOffset: at, as: UInt64.self)
    }
    if let at = Extras.offset(of: Extras.freshBit, in: item) {
      freshUntil = item.base.loadUnaligned(fromByteOffset: at, as: Int64.self)
    }
    tags = Extras.tags(item)
  }

  @inline(__always) var bitmap: UInt16 {
    // Most have none.
    if UInt64(namespace) | UInt64(clientFlags) | version | stamp | UInt64(bitPattern: freshUntil) == 0, tags.isEmpty {
      return 0
    }
    return (namespace != 0 ? Extras.namespaceBit : 0) | (clientFlags != 0 ? Extras.clientFlagsBit : 0)
      | (version != 0 ? Extras.versionBit : 0) | (stamp != 0 ? Extras.stampBit : 0)
      | (freshUntil != 0 ? Extras.freshBit : 0) | UInt16(tags.count) << Extras.tagShift
  }
}

extension ValueType {
  /// The type among an entry's flags.
  var bits: UInt8 { rawValue + 1 }
}

/// How an entry with these fields and lengths lies in memory.
struct ItemShape: Equatable {
  let keyCount: Int
  let valueCount: Int
  let typeBits: UInt8
  let bitmap: UInt16
  let hasExpiry: Bool
  let isExternal: Bool
  let chunkBytes: Int

  @inline(__always) init(keyCount: Int, valueCount: Int, fields: ItemFields, inlineBytesMax: Int) {
    self.keyCount = keyCount
    self.valueCount = valueCount
    typeBits = fields.typeBits
    bitmap = fields.bitmap
    hasExpiry = fields.expiresAt != 0
    let isLong = keyCount > Item.keyCountInlineMax || valueCount > Item.valueCountInlineMax
    let head =
      Item.headBytes + (isLong ? 8 : 0) + (hasExpiry ? 8 : 0) + (bitmap == 0 ? 0 : Extras.byteCount(bitmap))
    isExternal = head + keyCount + valueCount > inlineBytesMax
    if isExternal {
      chunkBytes = head + 8 + (keyCount <= Item.keyCountInArenaMax ? keyCount : 0)
    } else {
      chunkBytes = head + keyCount + valueCount
    }
  }

  /// External entries always state their lengths in full.
  var isLarge: Bool {
    keyCount > Item.keyCountInlineMax || valueCount > Item.valueCountInlineMax
  }

  var flags: UInt8 {
    typeBits | (isLarge ? Item.Flag.large : 0) | (hasExpiry ? Item.Flag.expiry : 0)
      | (bitmap == 0 ? 0 : Item.Flag.extras) | (isExternal ? Item.Flag.external : 0)
  }

  var externalBytes: Int { isExternal ? valueCount + (keyCount <= Item.keyCountInArenaMax ? 0 : keyCount) : 0 }
}

extension Item {
  /// Whoever walks a page may only look into entries that are complete.
  var isPublished: Bool { atomicLoadAcquiring((base + 8).assumingMemoryBound(to: UInt8.self)) != 0 }

  /// The last step of writing an entry into a fresh chunk.
  func publish(_ flags: UInt8) { atomicStoreReleasing((base + 8).assumingMemoryBound(to: UInt8.self), flags) }

  /// Writes all but links and value into a fresh chunk, and publishes it. The policy byte is cleared.
  /// Answers where the value goes.
  func write(
    _ shape: ItemShape, _ fields: ItemFields, key: UnsafeRawBufferPointer, epoch: UInt8,
    external: UnsafeMutableRawPointer?
  ) -> UnsafeMutableRawPointer {
    policyByte.pointee = 0
    var offset = 12
    if shape.isLarge {
      setLengths(0)
      base.storeBytes(of: UInt32(shape.keyCount), toByteOffset: 12, as: UInt32.self)
      base.storeBytes(of: UInt32(shape.valueCount), toByteOffset: 16, as: UInt32.self)
      offset = 20
    } else {
      setLengths(UInt16(truncatingIfNeeded: shape.keyCount) | UInt16(truncatingIfNeeded: shape.valueCount) &<< 6)
    }
    if shape.hasExpiry {
      base.storeBytes(of: fields.expiresAt, toByteOffset: offset, as: Int64.self)
      offset &+= 8
    }
    if shape.bitmap != 0 { offset &+= writeExtras(shape.bitmap, fields, at: offset) }
    let value: UnsafeMutableRawPointer
    if let external {
      base.storeBytes(of: UInt(bitPattern: external), toByteOffset: offset, as: UInt.self)
      let keyIsOutside = shape.keyCount > Item.keyCountInArenaMax
      copy(key, to: keyIsOutside ? external : base + offset + 8)
      value = keyIsOutside ? external + shape.keyCount : external
    } else {
      copy(key, to: base + offset)
      value = base + offset + shape.keyCount
    }
    publish(shape.flags | epoch)
    return value
  }

  private func copy(_ bytes: UnsafeRawBufferPointer, to target: UnsafeMutableRawPointer) {
    if let source = bytes.baseAddress { target.copyMemory(from: source, byteCount: bytes.count) }
  }

  private func writeExtras(_ bitmap: UInt16, _ fields: ItemFields, at start: Int) -> Int {
    base.storeBytes(of: bitmap, toByteOffset: start, as: UInt16.self)
    var offset = start + 2
    func put<Field: BitwiseCopyable>(_ bit: UInt16, _ field: Field) {
      guard bitmap & bit != 0 else { return }
      base.storeBytes(of: field, toByteOffset: offset, as: Field.self)
      offset += MemoryLayout<Field>.size
    }
    put(Extras.namespaceBit, fields.namespace)
    put(Extras.clientFlagsBit, fields.clientFlags)
    put(Extras.versionBit, fields.version)
    put(Extras.stampBit, fields.stamp)
    put(Extras.freshBit, fields.freshUntil)
    fields.tags.write(to: base + offset)
    return offset + fields.tags.byteCount - start
  }

  /// The value changed its length in place. Only where the layout stays the same.
  @inline(__always) func setValueCount(_ count: Int) {
    if flags & Flag.large == 0 {
      setLengths((lengths & 63) | UInt16(truncatingIfNeeded: count) &<< 6)
    } else {
      base.storeBytes(of: UInt32(truncatingIfNeeded: count), toByteOffset: 16, as: UInt32.self)
    }
  }
}
