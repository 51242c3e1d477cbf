/// Reads the fields of one message in place, from its first byte to its last.
///
/// Invariant: `cursor <= end`, and all between them is readable for as long as whoever gave the bytes promised.
public struct WireReader: BitwiseCopyable {
  @usableFromInline var cursor: UnsafeRawPointer
  @usableFromInline let end: UnsafeRawPointer

  @inlinable @inline(__always) public init(_ bytes: UnsafeRawBufferPointer) {
    // An address that is never read: there are no bytes before `end`.
    cursor = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 8)!
    end = cursor + bytes.count
  }

  @inlinable public var isAtEnd: Bool { cursor == end }

  // MARK: Raw values

  @inlinable @inline(__always)
  public mutating func varint(_ name: StaticString) throws(WireError) -> UInt64 {
    guard cursor < end else { throw WireError(.truncated, name) }
    let first = cursor.load(as: UInt8.self)
    if first < 0x80 {
      cursor += 1
      return UInt64(first)
    }
    return try longVarint(name)
  }

  @usableFromInline @inline(never)
  mutating func longVarint(_ name: StaticString) throws(WireError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard cursor < end else { throw WireError(.truncated, name) }
      let byte = cursor.load(as: UInt8.self)
      cursor += 1
      if shift == 63, byte > 1 { throw WireError(.varintTooLong, name) }
      value |= UInt64(byte & 0x7F) &<< shift
      if byte < 0x80 { return value }
    }
    throw WireError(.varintTooLong, name)
  }

  @inlinable @inline(__always)
  public mutating func uint32(_ name: StaticString) throws(WireError) -> UInt32 {
    let value = try varint(name)
    guard value <= UInt64(UInt32.max) else { throw WireError(.numberTooLarge, name) }
    return UInt32(truncatingIfNeeded: value)
  }

  /// Length-delimited bytes, where they lie.
  @inlinable @inline(__always)
  public mutating func slice(_ name: StaticString) throws(WireError) -> UnsafeRawBufferPointer {
    let length = try varint(name)
    guard length <= UInt64(end - cursor) else { throw WireError(.lengthBeyondEnd, name) }
    let start = cursor
    cursor += Int(length)
    return UnsafeRawBufferPointer(start: start, count: Int(length))
  }

  @inlinable public mutating func fixed64(_ name: StaticString) throws(WireError) -> UInt64 {
    guard end - cursor >= 8 else { throw WireError(.truncated, name) }
    defer { cursor += 8 }
    return UInt64(littleEndian: cursor.loadUnaligned(as: UInt64.self))
  }

  @inlinable public mutating func fixed32(_ name: StaticString) throws(WireError) -> UInt32 {
    guard end - cursor >= 4 else { throw WireError(.truncated, name) }
    defer { cursor += 4 }
    return UInt32(littleEndian: cursor.loadUnaligned(as: UInt32.self))
  }

  // MARK: Tags

  /// Nil at the end of the message.
  public mutating func tag(_ message: StaticString) throws(WireError) -> WireTag? {
    guard cursor < end else { return nil }
    let tag = try varint(message)
    let number = tag &>> 3
    guard number > 0, number < 1 << 29 else { throw WireError(.invalidTag, message) }
    if tag & 7 == 3 || tag & 7 == 4 { throw WireError(.group, message) }
    guard let type = WireType(rawValue: UInt8(tag & 7)) else { throw WireError(.invalidTag, message) }
    return WireTag(number: UInt32(number), type: type)
  }

  /// Steps over the value of a field that is not known here. Messages within it are bytes: there is no depth.
  public mutating func skip(_ tag: WireTag, _ message: StaticString) throws(WireError) {
    switch tag.type {
    case .varint: _ = try varint(message)
    case .fixed64: _ = try fixed64(message)
    case .fixed32: _ = try fixed32(message)
    case .bytes: _ = try slice(message)
    }
  }

  // MARK: Values of fields, checked

  @inlinable func expect(_ type: WireType, _ tag: WireTag, _ field: WireField) throws(WireError) {
    if tag.type != type { throw WireError(.wrongWireType, field.name) }
  }

  public mutating func uint64(_ tag: WireTag, _ field: WireField) throws(WireError) -> UInt64 {
    try expect(.varint, tag, field)
    return try varint(field.name)
  }

  public mutating func uint32(
    _ tag: WireTag, _ field: WireField, atMost limit: UInt32 = .max
  ) throws(WireError) -> UInt32 {
    let value = try uint64(tag, field)
    guard value <= UInt64(limit) else { throw WireError(.numberTooLarge, field.name) }
    return UInt32(value)
  }

  public mutating func sint64(_ tag: WireTag, _ field: WireField) throws(WireError) -> Int64 {
    Int64(zigzag: try uint64(tag, field))
  }

  public mutating func bool(_ tag: WireTag, _ field: WireField) throws(WireError) -> Bool {
    try uint64(tag, field) != 0
  }

  public mutating func fixed64(_ tag: WireTag, _ field: WireField) throws(WireError) -> UInt64 {
    try expect(.fixed64, tag, field)
    return try fixed64(field.name)
  }

  public mutating func fixed32(_ tag: WireTag, _ field: WireField) throws(WireError) -> UInt32 {
    try expect(.fixed32, tag, field)
    return try fixed32(field.name)
  }

  public mutating func bytes(
    _ tag: WireTag, _ field: WireField, atMost limit: Int = .max
  ) throws(WireError) -> UnsafeRawBufferPointer {
    try expect(.bytes, tag, field)
    let bytes = try slice(field.name)
    guard bytes.count <= limit else { throw WireError(.tooLong, field.name) }
    return bytes
  }

  public mutating func text(
    _ tag: WireTag, _ field: WireField, atMost limit: Int = WireLimits.nameBytes
  ) throws(WireError) -> String {
    let bytes = try bytes(tag, field, atMost: limit)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw WireError(.notUTF8, field.name) }
    return text
  }

  public mutating func message<Message: WireMessage>(
    _ tag: WireTag, _ field: WireField, as type: Message.Type = Message.self
  ) throws(WireError) -> Message {
    try Message(decoding: bytes(tag, field))
  }

  /// One element of a repeated number, or all of them packed.
  public mutating func numbers(
    _ tag: WireTag, _ field: WireField, atMost limit: Int, into values: inout [UInt64]
  ) throws(WireError) {
    if tag.type == .varint {
      values.append(try varint(field.name))
    } else {
      var packed = WireReader(try bytes(tag, field))
      while !packed.isAtEnd {
        values.append(try packed.varint(field.name))
        if values.count > limit { break }
      }
    }
    if values.count > limit { throw WireError(.tooMany, field.name) }
  }
}

extension WireReader {
  /// One element of a repeated fixed64, or all of them packed.
  public mutating func fixed(_ tag: WireTag, _ field: WireField, into values: inout [UInt64]) throws(WireError) {
    if tag.type == .fixed64 { return values.append(try fixed64(field.name)) }
    var packed = WireReader(try bytes(tag, field))
    values.reserveCapacity(values.count + (packed.end - packed.cursor) / 8)
    while !packed.isAtEnd { values.append(try packed.fixed64(field.name)) }
  }
}
