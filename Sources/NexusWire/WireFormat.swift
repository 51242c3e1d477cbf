/// Wire types of Protocol Buffers ("Encoding": Message Structure). 3 and 4, groups, are not accepted.
public enum WireType: UInt8, Sendable, BitwiseCopyable {
  case varint = 0
  case fixed64 = 1
  case bytes = 2
  case fixed32 = 5
}

/// A field of a message: its number, and its name for errors.
public struct WireField: Sendable, BitwiseCopyable {
  public let number: UInt32
  public let name: StaticString

  @inlinable public init(_ number: UInt32, _ name: StaticString) {
    self.number = number
    self.name = name
  }
}

/// What stands before each value.
public struct WireTag: BitwiseCopyable {
  public let number: UInt32
  public let type: WireType

  @inlinable init(number: UInt32, type: WireType) {
    self.number = number
    self.type = type
  }
}

/// A message as plain values. Fields at their default are not written; unknown fields are skipped.
public protocol WireMessage {
  func encode<Sink: WireSink>(to sink: inout Sink)
  init(from reader: inout WireReader) throws(WireError)
}

extension WireMessage {
  public init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes)
    try self.init(from: &reader)
  }

  /// Bytes that `encode` writes.
  public var encodedCount: Int {
    var counter = WireCounter()
    encode(to: &counter)
    return counter.count
  }
}

extension UInt64 {
  /// Bytes of this number as a varint: 1...10.
  @inlinable @inline(__always) public var varintCount: Int {
    ((63 &- (self | 1).leadingZeroBitCount) &* 9 &+ 73) &>> 6
  }

  /// Signed numbers, small in both directions (`sint32`, `sint64`).
  @inlinable public init(zigzag value: Int64) { self.init(bitPattern: (value &<< 1) ^ (value &>> 63)) }
}

extension Int64 {
  @inlinable public init(zigzag value: UInt64) { self = Int64(bitPattern: value &>> 1) ^ -Int64(value & 1) }
}
