import NexusModel

#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// What became of an operation (`Reply` in peer.proto). Read and written like operations: in place, without allocation.
public struct Reply: BitwiseCopyable {
  public enum Outcome: BitwiseCopyable {
    /// It was executed: the reply in the Redis protocol, byte for byte what the client shall get.
    case payload(UnsafeRawBufferPointer)
    /// It was not executed, and this proves it: the slot runs at that member, as far as the sender knows. May be empty.
    case moved(memberID: UnsafeRawBufferPointer)
    case failure(FailureCode, text: UnsafeRawBufferPointer)
  }

  public var id: UInt32
  public var outcome: Outcome

  @inlinable public init(id: UInt32, outcome: Outcome) {
    self.id = id
    self.outcome = outcome
  }
}

/// Why an operation has no reply of its own.
public struct FailureCode: RawRepresentable, Hashable, Sendable, BitwiseCopyable {
  public var rawValue: UInt32

  @inlinable public init(rawValue: UInt32) { self.rawValue = rawValue }

  /// The text is all that is known. Whether it was executed is not.
  @inlinable public static var unspecified: FailureCode { FailureCode(rawValue: 0) }
  /// Not executed: the receiver knows no such kind of operation.
  @inlinable public static var unknownKind: FailureCode { FailureCode(rawValue: 1) }
  /// Not executed: the receiver has more to do than it can.
  @inlinable public static var overloaded: FailureCode { FailureCode(rawValue: 2) }
  /// Not executed: its time had run out before its turn came.
  @inlinable public static var tooLate: FailureCode { FailureCode(rawValue: 3) }
  /// Not executed: the receiver is stopping.
  @inlinable public static var stopping: FailureCode { FailureCode(rawValue: 4) }
  /// Not executed: the command is none that may be forwarded.
  @inlinable public static var notForwarded: FailureCode { FailureCode(rawValue: 5) }
  /// Executed: fewer copies have it than was asked for, as the text says.
  @inlinable public static var tooFewCopies: FailureCode { FailureCode(rawValue: 6) }
}

extension MemberID {
  /// Nil if the bytes are no member's name.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count <= Self.longest, let text = String(validating: bytes, as: UTF8.self) else { return nil }
    self.init(text)
  }
}

// MARK: Writing

extension Reply {
  /// Appends it to a frame.
  @inlinable public func append(to out: inout OutputBuffer) {
    switch outcome {
    case .payload(let bytes): Self.append(id, 0x12, bytes, to: &out)
    case .moved(let member):
      // One field within: its bytes stand behind a tag and a length.
      Self.appendWrapped(id, 0x1A, 0x0A, member, codeTag: 0, code: 0, to: &out)
    case .failure(let code, let text):
      Self.appendWrapped(id, 0x22, 0x12, text, codeTag: 0x08, code: code.rawValue, to: &out)
    }
  }

  @inlinable @inline(__always)
  static func append(_ id: UInt32, _ tag: UInt8, _ bytes: UnsafeRawBufferPointer, to out: inout OutputBuffer) {
    let length = Operation.fieldCount(id) &+ 1 &+ UInt64(bytes.count).varintCount &+ bytes.count
    out.reserve(length &+ 11)
    var cursor = out.base + out.count
    cursor.storeBytes(of: FrameKind.reply.tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(length), at: &cursor)
    Operation.store(0x08, id, at: &cursor)
    cursor.storeBytes(of: tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(bytes.count), at: &cursor)
    if let start = bytes.baseAddress { cursor.copyMemory(from: start, byteCount: bytes.count) }
    out.count = cursor + bytes.count - out.base
  }

  @usableFromInline @inline(never)
  static func appendWrapped(
    _ id: UInt32, _ tag: UInt8, _ textTag: UInt8, _ text: UnsafeRawBufferPointer, codeTag: UInt8, code: UInt32,
    to out: inout OutputBuffer
  ) {
    let textCount = text.isEmpty ? 0 : 1 + UInt64(text.count).varintCount + text.count
    let inner = Operation.fieldCount(code) + textCount
    let length = Operation.fieldCount(id) + 1 + UInt64(inner).varintCount + inner
    out.reserve(length + 11)
    var cursor = out.base + out.count
    cursor.storeBytes(of: FrameKind.reply.tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(length), at: &cursor)
    Operation.store(0x08, id, at: &cursor)
    cursor.storeBytes(of: tag, as: UInt8.self)
    cursor += 1
    storeVarint(UInt64(inner), at: &cursor)
    Operation.store(codeTag, code, at: &cursor)
    if let start = text.baseAddress, !text.isEmpty {
      cursor.storeBytes(of: textTag, as: UInt8.self)
      cursor += 1
      storeVarint(UInt64(text.count), at: &cursor)
      cursor.copyMemory(from: start, byteCount: text.count)
      cursor += text.count
    }
    out.count = cursor - out.base
  }

  /// Where a payload begins that is written straight into a frame.
  public struct Opening: BitwiseCopyable {
    /// Offset of the reply's tag, and of the payload's first byte.
    @usableFromInline let start: Int
    @usableFromInline let payload: Int

    @inlinable init(start: Int, payload: Int) {
      self.start = start
      self.payload = payload
    }
  }

  /// Begins a reply whose payload is then appended to `out` by whoever makes it; `close` ends it. What is appended must
  /// not be sent before that.
  @inlinable public static func open(_ id: UInt32, in out: inout OutputBuffer) -> Opening {
    out.reserve(16)
    let start = out.count
    var cursor = out.base + start
    cursor.storeBytes(of: FrameKind.reply.tag, as: UInt8.self)
    // One byte for each length: enough for most. `close` makes room where it is not.
    cursor += 2
    Operation.store(0x08, id, at: &cursor)
    cursor.storeBytes(of: 0x12, as: UInt8.self)
    cursor += 2
    out.count = cursor - out.base
    return Opening(start: start, payload: out.count)
  }

  @inlinable public static func close(_ opening: Opening, in out: inout OutputBuffer) {
    let count = out.count &- opening.payload
    // From behind the first length to before the second one: the id, and the payload's tag.
    let head = opening.payload &- 1 &- (opening.start &+ 2)
    let length = head &+ UInt64(count).varintCount &+ count
    if length < 0x80 {
      out.base.storeBytes(of: UInt8(truncatingIfNeeded: length), toByteOffset: opening.start &+ 1, as: UInt8.self)
      out.base.storeBytes(of: UInt8(truncatingIfNeeded: count), toByteOffset: opening.payload &- 1, as: UInt8.self)
    } else {
      widen(opening, head: head, length: length, count: count, in: &out)
    }
  }

  @usableFromInline @inline(never)
  static func widen(_ opening: Opening, head: Int, length: Int, count: Int, in out: inout OutputBuffer) {
    let outer = UInt64(length).varintCount - 1
    let inner = UInt64(count).varintCount - 1
    out.reserve(outer + inner)
    let start = out.base + opening.start
    // The payload first, then what stands before it: each moves to the right.
    memmove(out.base + opening.payload + outer + inner, out.base + opening.payload, count)
    memmove(start + 2 + outer, start + 2, head)
    var cursor = start + 1
    storeVarint(UInt64(length), at: &cursor)
    cursor += head
    storeVarint(UInt64(count), at: &cursor)
    out.count += outer + inner
  }
}

// MARK: Reading

extension Reply {
  /// Reads it in place.
  @inlinable public init(decoding bytes: UnsafeRawBufferPointer) throws(WireError) {
    var reader = WireReader(bytes)
    var id: UInt32 = 0
    var outcome: Outcome?
    while reader.cursor < reader.end {
      let tag = reader.cursor.load(as: UInt8.self)
      if tag == 0x08 {
        reader.cursor += 1
        id = try reader.uint32("Reply.id")
      } else if tag == 0x12 {
        reader.cursor += 1
        outcome = .payload(try reader.slice("Reply.payload"))
      } else {
        try Self.readRare(&reader, &outcome)
      }
    }
    guard let outcome else { throw WireError(.missing, "Reply.outcome") }
    self.init(id: id, outcome: outcome)
  }

  @usableFromInline @inline(never)
  static func readRare(_ reader: inout WireReader, _ outcome: inout Outcome?) throws(WireError) {
    guard let tag = try reader.tag("Reply") else { return }
    switch tag.number {
    case 1: throw WireError(.wrongWireType, "Reply.id")
    case 2: throw WireError(.wrongWireType, "Reply.payload")
    case 3: outcome = .moved(memberID: try readMoved(reader.bytes(tag, WireField(3, "Reply.moved"))))
    case 4: outcome = try readFailure(reader.bytes(tag, WireField(4, "Reply.failure")))
    default: try reader.skip(tag, "Reply")
    }
  }

  private static func readMoved(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> UnsafeRawBufferPointer {
    var reader = WireReader(bytes)
    var member = UnsafeRawBufferPointer(start: nil, count: 0)
    while let tag = try reader.tag("Moved") {
      switch tag.number {
      case 1: member = try reader.bytes(tag, WireField(1, "Moved.member_id"), atMost: WireLimits.nameBytes)
      default: try reader.skip(tag, "Moved")
      }
    }
    return member
  }

  private static func readFailure(_ bytes: UnsafeRawBufferPointer) throws(WireError) -> Outcome {
    var reader = WireReader(bytes)
    var code = FailureCode.unspecified
    var text = UnsafeRawBufferPointer(start: nil, count: 0)
    while let tag = try reader.tag("Failure") {
      switch tag.number {
      case 1: code.rawValue = try reader.uint32(tag, WireField(1, "Failure.code"))
      case 2: text = try reader.bytes(tag, WireField(2, "Failure.text"), atMost: WireLimits.textBytes)
      default: try reader.skip(tag, "Failure")
      }
    }
    return .failure(code, text: text)
  }
}
