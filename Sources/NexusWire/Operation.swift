import NexusModel

/// A request that one member forwards to another, beside its arguments (`Operation` in peer.proto).
///
/// The hot path of the peer protocol: hundreds in a frame. Written straight into the output and read where it lies,
/// without allocation and without reference counting.
public struct Operation: Hashable, Sendable, BitwiseCopyable {
  /// Unique among the unanswered operations of a stream: the reply carries it.
  public var id: UInt32
  /// Members that sent it on so far.
  public var hops: UInt32
  public var database: UInt32
  /// Of its keys.
  public var slot: UInt32
  /// Of the reply: RESP 2 or 3.
  public var respVersion: UInt32
  /// What is left of the time that its sender waits. 0: it does not say.
  public var timeoutMilliseconds: UInt32
  public var flags: UInt32
  public var kind: OperationKind

  @inlinable public init(
    id: UInt32 = 0, hops: UInt32 = 0, database: UInt32 = 0, slot: UInt32 = 0, respVersion: UInt32 = 0,
    timeoutMilliseconds: UInt32 = 0, flags: UInt32 = 0, kind: OperationKind = .redisCommand
  ) {
    self.id = id
    self.hops = hops
    self.database = database
    self.slot = slot
    self.respVersion = respVersion
    self.timeoutMilliseconds = timeoutMilliseconds
    self.flags = flags
    self.kind = kind
  }
}

/// What the arguments of an operation mean. A receiver answers `FailureCode.unknownKind` to those it does not know.
public struct OperationKind: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The name of a Redis command, then its arguments.
  @inlinable public static var redisCommand: OperationKind { OperationKind(rawValue: 0) }
}

// MARK: Writing

extension Operation {
  /// Appends it to a frame, `argument(0)...argument(argumentCount - 1)` with it. The arguments are asked for twice:
  /// once for their lengths.
  @inlinable public func append(
    to out: inout OutputBuffer, argumentCount: Int, argument: (Int) -> UnsafeRawBufferPointer
  ) {
    var length = headCount
    for index in 0..<argumentCount {
      let count = argument(index).count
      length &+= 1 &+ UInt64(count).varintCount &+ count
    }
    out.reserve(length &+ 11)
    var cursor = out.base + out.count
    cursor.storeBytes(of: FrameKind.operation.tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(length), at: &cursor)
    storeHead(at: &cursor)
    for index in 0..<argumentCount {
      let bytes = argument(index)
      cursor.storeBytes(of: 0x42, as: UInt8.self)
      cursor += 1
      storeVarint(UInt64(bytes.count), at: &cursor)
      if let start = bytes.baseAddress { cursor.copyMemory(from: start, byteCount: bytes.count) }
      cursor += bytes.count
    }
    out.count = cursor - out.base
  }

  /// Appends it to a frame with arguments that lie anywhere.
  public func append(to out: inout OutputBuffer, arguments: UnsafeBufferPointer<UnsafeRawBufferPointer>) {
    append(to: &out, argumentCount: arguments.count) { arguments[$0] }
  }

  @inlinable @inline(__always) var headCount: Int {
    Self.fieldCount(id) &+ Self.fieldCount(hops) &+ Self.fieldCount(database) &+ Self.fieldCount(respVersion)
      &+ Self.fieldCount(timeoutMilliseconds) &+ Self.fieldCount(flags) &+ Self.fieldCount(kind.rawValue)
      &+ Self.fieldCount(slot)
  }

  @inlinable @inline(__always) static func fieldCount(_ value: UInt32) -> Int {
    value == 0 ? 0 : 1 &+ UInt64(value).varintCount
  }

  @inlinable @inline(__always) func storeHead(at cursor: inout UnsafeMutableRawPointer) {
    Self.store(0x08, id, at: &cursor)
    Self.store(0x10, hops, at: &cursor)
    Self.store(0x18, database, at: &cursor)
    Self.store(0x20, respVersion, at: &cursor)
    Self.store(0x28, timeoutMilliseconds, at: &cursor)
    Self.store(0x30, flags, at: &cursor)
    Self.store(0x38, kind.rawValue, at: &cursor)
    Self.store(0x48, slot, at: &cursor)
  }

  @inlinable @inline(__always)
  static func store(_ tag: UInt8, _ value: UInt32, at cursor: inout UnsafeMutableRawPointer) {
    guard value != 0 else { return }
    cursor.storeBytes(of: tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(value), at: &cursor)
  }
}

// MARK: Reading

extension Operation {
  /// Reads it in place; the arguments come in their order, and lie in `bytes`. On an error some may have come already:
  /// forget them.
  @inlinable public init(
    decoding bytes: UnsafeRawBufferPointer, each argument: (UnsafeRawBufferPointer) -> Void
  ) throws(WireError) {
    self.init()
    var reader = WireReader(bytes)
    var left = WireLimits.arguments
    while reader.cursor < reader.end {
      let tag = reader.cursor.load(as: UInt8.self)
      if tag == 0x42 {
        reader.cursor += 1
        guard left > 0 else { throw WireError(.tooMany, "Operation.arguments") }
        left &-= 1
        argument(try reader.slice("Operation.arguments"))
      } else if tag & 0xC7 == 0 && tag != 0 || tag == 0x48 {
        reader.cursor += 1
        try readNumber(tag, &reader)
      } else {
        try Self.skipUnknown(&reader)
      }
    }
  }

  /// Reads it in place, and its arguments into an array that is used again and again.
  public static func decode(
    _ bytes: UnsafeRawBufferPointer, into arguments: inout [UnsafeRawBufferPointer]
  ) throws(WireError) -> Operation {
    arguments.removeAll(keepingCapacity: true)
    return try Operation(decoding: bytes) { arguments.append($0) }
  }

  @inlinable @inline(__always)
  mutating func readNumber(_ tag: UInt8, _ reader: inout WireReader) throws(WireError) {
    switch tag {
    case 0x08: id = try reader.uint32("Operation.id")
    case 0x10: hops = try reader.uint32("Operation.hops")
    case 0x18: database = try reader.uint32("Operation.database")
    case 0x20: respVersion = try reader.uint32("Operation.protocol")
    case 0x28: timeoutMilliseconds = try reader.uint32("Operation.timeout_milliseconds")
    case 0x30: flags = try reader.uint32("Operation.flags")
    case 0x38: kind.rawValue = try reader.uint32("Operation.kind")
    default: slot = try reader.uint32("Operation.slot")
    }
  }

  /// Whatever is no field of ours in its own wire type.
  @usableFromInline @inline(never)
  static func skipUnknown(_ reader: inout WireReader) throws(WireError) {
    guard let tag = try reader.tag("Operation") else { return }
    if tag.number <= 9 {
      // A tag of several bytes may say what one byte would have said: nobody writes it so, nobody reads it so.
      throw WireError(.wrongWireType, fieldNames[Int(tag.number)])
    }
    try reader.skip(tag, "Operation")
  }

  private static let fieldNames: [StaticString] = [
    "Operation", "Operation.id", "Operation.hops", "Operation.database", "Operation.protocol",
    "Operation.timeout_milliseconds", "Operation.flags", "Operation.kind", "Operation.arguments", "Operation.slot",
  ]
}
