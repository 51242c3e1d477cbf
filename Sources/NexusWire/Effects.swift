import NexusModel

/// What a loop has written, for a member that has a copy: whole new versions of keys, numbered one after the other.
///
/// The hot path: entries are written once, into a buffer for all receivers, and read where the frame lies.
public struct Effects: BitwiseCopyable {
  public var firstSequence: UInt64
  /// The entries as they lie in the frame: for `each`.
  @usableFromInline let entries: WireReader

  private static let firstSequenceField = WireField(1, "Effects.first_sequence")
  private static let entriesField = WireField(2, "Effects.entries")

  /// Reads the number; the entries are read by `each`.
  public init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
    entries = WireReader(bytes)
    firstSequence = 0
    // The first field that our writer writes. Others may write it anywhere.
    var reader = entries
    while let tag = try reader.tag("Effects") {
      if tag.number == 1 {
        firstSequence = try reader.uint64(tag, Self.firstSequenceField)
        break
      }
      try reader.skip(tag, "Effects")
    }
  }

  /// Calls `body` with each entry, in order. On an error some have come already.
  @inlinable @inline(__always)
  public func each(_ body: (WireEntry) throws(WireError) -> Void) throws(WireError) {
    var reader = entries
    while reader.cursor < reader.end {
      if reader.cursor.load(as: UInt8.self) == 0x12 {
        reader.cursor += 1
        try body(WireEntry(effect: try reader.slice("Effects.entries")))
      } else {
        try Self.skipOther(&reader)
      }
    }
  }

  @usableFromInline @inline(never) static func skipOther(_ reader: inout WireReader) throws(WireError) {
    guard let tag = try reader.tag("Effects") else { return }
    switch tag.number {
    case 1: _ = try reader.uint64(tag, firstSequenceField)
    // A tag of several bytes may say what one byte would have said: nobody writes it so, nobody reads it so.
    case 2: throw WireError(.wrongWireType, entriesField.name)
    default: try reader.skip(tag, "Effects")
    }
  }

  // MARK: Writing

  /// Begins effects in a frame: `entryBytes` bytes that `append(_:to:)` has written follow, from one buffer or several.
  public static func begin(_ out: inout OutputBuffer, firstSequence: UInt64, entryBytes: Int) {
    let head = firstSequence == 0 ? 0 : 1 + firstSequence.varintCount
    out.tag(FrameKind.effects.field, .bytes)
    out.varint(UInt64(head + entryBytes))
    out.put(firstSequenceField, firstSequence)
    out.reserve(entryBytes)
  }

  /// Appends one entry, as it stands within effects.
  @inlinable @inline(__always) public static func append(_ entry: WireEntry, to out: inout OutputBuffer) {
    let length = entry.effectCount
    out.reserve(length &+ 6 &+ MemoryLayout<UInt64>.size)
    var cursor = out.base + out.count
    cursor.storeBytes(of: 0x12, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(length), at: &cursor)
    entry.storeEffect(at: &cursor)
    out.count = cursor - out.base
  }
}

// MARK: An entry on the hot path. Byte for byte what `WireEntry.encode` writes, and any order of fields is read.

extension WireEntry {
  @inlinable @inline(__always) var effectCount: Int {
    var count = Self.count(key.count) &+ Self.count(value.count)
    if stamp != 0 { count &+= 9 }
    count &+= Operation.fieldCount(namespace) &+ Operation.fieldCount(kind.rawValue) &+ Operation.fieldCount(type)
    if expiresAt != 0 { count &+= 1 &+ expiresAt.varintCount }
    if clientFlags != 0 { count &+= Operation.fieldCount(clientFlags) }
    if version != 0 { count &+= 1 &+ version.varintCount }
    if freshUntil != 0 { count &+= 1 &+ freshUntil.varintCount }
    return tags.isEmpty ? count : count &+ 2 &+ tags.byteCount
  }

  @inlinable @inline(__always) static func count(_ byteCount: Int) -> Int {
    byteCount == 0 ? 0 : 1 &+ UInt64(byteCount).varintCount &+ byteCount
  }

  @inlinable @inline(__always) func storeEffect(at cursor: inout UnsafeMutableRawPointer) {
    Self.store(0x0A, key, at: &cursor)
    Self.store(0x12, value, at: &cursor)
    Operation.store(0x18, namespace, at: &cursor)
    Self.store(0x20, expiresAt, at: &cursor)
    if stamp != 0 {
      cursor.storeBytes(of: 0x29, as: UInt8.self)
      cursor.storeBytes(of: stamp.littleEndian, toByteOffset: 1, as: UInt64.self)
      cursor += 9
    }
    Operation.store(0x30, clientFlags, at: &cursor)
    Self.store(0x38, version, at: &cursor)
    Operation.store(0x40, type, at: &cursor)
    Operation.store(0x48, kind.rawValue, at: &cursor)
    Self.store(0x50, freshUntil, at: &cursor)
    if !tags.isEmpty { tags.withBytes { Self.store(0x5A, $0, at: &cursor) } }
  }

  @inlinable @inline(__always)
  static func store(_ tag: UInt8, _ bytes: UnsafeRawBufferPointer, at cursor: inout UnsafeMutableRawPointer) {
    guard let start = bytes.baseAddress, bytes.count > 0 else { return }
    cursor.storeBytes(of: tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(bytes.count), at: &cursor)
    cursor.copyMemory(from: start, byteCount: bytes.count)
    cursor += bytes.count
  }

  @inlinable @inline(__always)
  static func store(_ tag: UInt8, _ value: UInt64, at cursor: inout UnsafeMutableRawPointer) {
    guard value != 0 else { return }
    cursor.storeBytes(of: tag, as: UInt8.self)
    cursor += 1
    storeVarint(value, at: &cursor)
  }

  /// Reads an entry of effects in place.
  @inlinable @inline(__always) init(effect bytes: UnsafeRawBufferPointer) throws(WireError) {
    let nothing = UnsafeRawBufferPointer(start: nil, count: 0)
    self.init(key: nothing, value: nothing)
    var reader = WireReader(bytes)
    while reader.cursor < reader.end {
      switch reader.cursor.load(as: UInt8.self) {
      case 0x0A:
        reader.cursor += 1
        key = try reader.slice("Entry.key")
      case 0x12:
        reader.cursor += 1
        value = try reader.slice("Entry.value")
      case 0x18:
        reader.cursor += 1
        namespace = try reader.uint32("Entry.namespace")
      case 0x29:
        reader.cursor += 1
        stamp = try reader.fixed64("Entry.stamp")
      default: try readRare(&reader)
      }
    }
  }

  @usableFromInline @inline(never) mutating func readRare(_ reader: inout WireReader) throws(WireError) {
    guard let tag = try reader.tag("Entry") else { return }
    try read(tag, &reader)
  }
}

/// What has become of effects, over the stream on which they came.
public struct Confirmed: PeerMessage {
  public static var frameKind: FrameKind { .confirmed }

  /// All up to this one are kept, or older than what is.
  public var through: UInt64
  /// But for these.
  public var refused: [UInt64]

  public init(through: UInt64, refused: [UInt64] = []) {
    self.through = through
    self.refused = refused
  }

  private enum Field {
    static let through = WireField(1, "Confirmed.through")
    static let refused = WireField(2, "Confirmed.refused")
  }

  public func encode<Sink: WireSink>(to sink: inout Sink) {
    sink.put(Field.through, through)
    sink.packed(Field.refused, refused)
  }

  public init(from reader: inout WireReader) throws(WireError) {
    self.init(through: 0)
    while let tag = try reader.tag("Confirmed") {
      switch tag.number {
      case 1: through = try reader.uint64(tag, Field.through)
      case 2: try reader.numbers(tag, Field.refused, atMost: WireLimits.refusals, into: &refused)
      default: try reader.skip(tag, "Confirmed")
      }
    }
  }
}
