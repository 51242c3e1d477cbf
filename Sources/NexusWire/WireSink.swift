import NexusModel

/// Where a message is written: a buffer, or a counter that only wants to know how long it will be. One `encode` serves
/// both, so that the length in front of a message within a message never differs from what follows.
public protocol WireSink {
  mutating func varint(_ value: UInt64)
  mutating func fixed32(_ value: UInt32)
  mutating func fixed64(_ value: UInt64)
  mutating func raw(_ bytes: UnsafeRawBufferPointer)
}

public struct WireCounter: WireSink {
  public private(set) var count = 0

  public init() {}
  public mutating func varint(_ value: UInt64) { count &+= value.varintCount }
  public mutating func fixed32(_ value: UInt32) { count &+= 4 }
  public mutating func fixed64(_ value: UInt64) { count &+= 8 }
  public mutating func raw(_ bytes: UnsafeRawBufferPointer) { count &+= bytes.count }
}

extension OutputBuffer: WireSink {
  @inlinable @inline(__always) public mutating func varint(_ value: UInt64) {
    reserve(10)
    var cursor = base + count
    storeVarint(value, at: &cursor)
    count = cursor - UnsafeMutableRawPointer(base)
  }

  @inlinable @inline(__always) public mutating func fixed32(_ value: UInt32) {
    reserve(4)
    appendUnchecked(word: UInt64(value), 4)
  }

  @inlinable @inline(__always) public mutating func fixed64(_ value: UInt64) {
    reserve(8)
    appendUnchecked(word: value, 8)
  }

  @inlinable @inline(__always) public mutating func raw(_ bytes: UnsafeRawBufferPointer) { append(bytes) }
}

/// The caller has room for 10 bytes.
@inlinable @inline(__always) func storeVarint(_ value: UInt64, at cursor: inout UnsafeMutableRawPointer) {
  var rest = value
  while rest >= 0x80 {
    cursor.storeBytes(of: UInt8(truncatingIfNeeded: rest) | 0x80, as: UInt8.self)
    cursor += 1
    rest &>>= 7
  }
  cursor.storeBytes(of: UInt8(truncatingIfNeeded: rest), as: UInt8.self)
  cursor += 1
}

extension WireSink {
  public mutating func tag(_ field: WireField, _ type: WireType) {
    varint(UInt64(field.number) << 3 | UInt64(type.rawValue))
  }

  // MARK: Singular fields: nothing is written for a default value

  public mutating func put(_ field: WireField, _ value: UInt64) {
    guard value != 0 else { return }
    tag(field, .varint)
    varint(value)
  }

  public mutating func put(_ field: WireField, _ value: UInt32) { put(field, UInt64(value)) }
  public mutating func put(_ field: WireField, _ value: Bool) { put(field, UInt64(value ? 1 : 0)) }
  public mutating func put(_ field: WireField, zigzag value: Int64) { put(field, UInt64(zigzag: value)) }

  public mutating func put(_ field: WireField, fixed value: UInt64) {
    guard value != 0 else { return }
    tag(field, .fixed64)
    fixed64(value)
  }

  public mutating func put(_ field: WireField, fixed value: UInt32) {
    guard value != 0 else { return }
    tag(field, .fixed32)
    fixed32(value)
  }

  public mutating func put(_ field: WireField, _ text: String) {
    guard !text.isEmpty else { return }
    var text = text
    text.withUTF8 { element(field, UnsafeRawBufferPointer($0)) }
  }

  public mutating func put(_ field: WireField, _ bytes: UnsafeRawBufferPointer) {
    if !bytes.isEmpty { element(field, bytes) }
  }

  public mutating func put(_ field: WireField, _ bytes: [UInt8]) { bytes.withUnsafeBytes { put(field, $0) } }

  // MARK: Elements of repeated fields, and messages: written even where they are empty

  public mutating func element(_ field: WireField, _ bytes: UnsafeRawBufferPointer) {
    tag(field, .bytes)
    varint(UInt64(bytes.count))
    raw(bytes)
  }

  public mutating func element(_ field: WireField, _ text: String) {
    var text = text
    text.withUTF8 { element(field, UnsafeRawBufferPointer($0)) }
  }

  public mutating func element(_ field: WireField, _ message: some WireMessage) {
    tag(field, .bytes)
    varint(UInt64(message.encodedCount))
    message.encode(to: &self)
  }

  public mutating func packed(_ field: WireField, _ values: some Collection<UInt64>) {
    guard !values.isEmpty else { return }
    tag(field, .bytes)
    varint(UInt64(values.reduce(0) { $0 + $1.varintCount }))
    for value in values { varint(value) }
  }
}

extension WireSink {
  /// A repeated fixed64, packed.
  public mutating func put(_ field: WireField, fixed values: [UInt64]) {
    guard !values.isEmpty else { return }
    tag(field, .bytes)
    varint(UInt64(values.count * 8))
    for value in values { fixed64(value) }
  }
}
