import NexusModel

/// How far an unfinished request has been read: 16 bytes that a connection keeps between arrivals, so that what
/// was read once is skipped, not read again. A request that trickles in costs one pass over its length lines as they
/// arrive and one more, to collect the arguments, when it is complete.
public struct ParseProgress: BitwiseCopyable {
  /// From the request's first byte to the first length line that is not done with. 0: nothing remembered.
  var offset: Int = 0
  /// Arguments that are not complete yet.
  var remaining: Int = 0

  public init() {}
  public var isEmpty: Bool { offset == 0 }
}

/// What the parser found at one place of the input.
public enum ParsedRequest: BitwiseCopyable {
  /// The arguments were appended to the arena; the request ends before this offset of the input.
  case complete(end: Int)
  /// The same for an inline request. Its arguments are valid until the next inline request is parsed.
  case inline(end: Int)
  /// Nothing to do: an empty line, `*0`, `*-1`.
  case ignored(end: Int)
  /// More bytes are needed. `expected` counts from the request's first byte, 0 where it is not known.
  case incomplete(expected: Int)
  case invalid(ProtocolError)
}

/// Reads requests as Redis 7.0 does: arrays of bulk strings, and inline commands.
///
/// Like Redis it looks for the carriage return only, and takes any byte after it and any two bytes after a bulk.
/// The input is never written to: what a paused connection keeps can be parsed once more.
public struct RequestParser: BitwiseCopyable {
  /// Unescaped arguments of the inline request parsed last.
  private var scratch: OutputBuffer

  public init() { scratch = OutputBuffer(capacity: 1024) }
  public func deallocate() { scratch.deallocate() }

  /// Reads the request at `start`. The arena grows by its arguments if it is complete, and stays as it was if not.
  public mutating func parse(
    _ input: UnsafeRawBufferPointer, from start: Int, _ progress: inout ParseProgress, _ arena: inout ArgumentArena,
    _ limits: RequestLimits
  ) -> ParsedRequest {
    guard start < input.count, let base = input.baseAddress else { return .incomplete(expected: 0) }
    let bytes = UnsafeRawBufferPointer(start: base + start, count: input.count - start)
    if bytes[0] != UInt8(ascii: "*") { return parseInline(bytes, start, &arena) }
    if !progress.isEmpty { return resume(bytes, start, &progress, &arena, limits) }
    switch Self.length(bytes, 0, UInt8(ascii: "*"), tooLong: .tooBigMultibulkCount, invalid: .invalidMultibulkLength) {
    case .incomplete: return .incomplete(expected: 0)
    case .invalid(let error): return .invalid(error)
    case .line(let count, let end):
      if count > limits.arguments { return .invalid(.invalidMultibulkLength) }
      if count > RequestLimits.unauthenticatedArguments, !limits.isAuthenticated {
        return .invalid(.unauthenticatedMultibulkLength)
      }
      if count <= 0 { return .ignored(end: start + end) }
      let before = arena.count
      progress.offset = end
      progress.remaining = count
      let found = scan(bytes, start, &progress, limits) { arena.append($0) }
      if case .complete = found { return found }
      arena.count = before
      return found
    }
  }

  /// Goes on with a request of which a part was read before.
  private func resume(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ progress: inout ParseProgress, _ arena: inout ArgumentArena,
    _ limits: RequestLimits
  ) -> ParsedRequest {
    let found = scan(bytes, start, &progress, limits) { _ in }
    guard case .complete = found else { return found }
    // Whole now, and known to be well formed: the second pass collects the arguments.
    guard
      case .line(let count, let end) = Self.length(
        bytes, 0, UInt8(ascii: "*"), tooLong: .tooBigMultibulkCount, invalid: .invalidMultibulkLength)
    else { return .invalid(.invalidMultibulkLength) }
    progress.offset = end
    progress.remaining = count
    return scan(bytes, start, &progress, limits) { arena.append($0) }
  }

  @inline(__always) private func scan(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ progress: inout ParseProgress, _ limits: RequestLimits,
    _ collect: (Argument) -> Void
  ) -> ParsedRequest {
    let base = bytes.baseAddress!
    while progress.remaining > 0 {
      switch Self.length(
        bytes, progress.offset, UInt8(ascii: "$"), tooLong: .tooBigBulkCount, invalid: .invalidBulkLength)
      {
      case .incomplete: return .incomplete(expected: 0)
      case .invalid(let error): return .invalid(error)
      case .line(let count, let end):
        if count < 0 || count > limits.bulkBytes { return .invalid(.invalidBulkLength) }
        if count > RequestLimits.unauthenticatedBulkBytes, !limits.isAuthenticated {
          return .invalid(.unauthenticatedBulkLength)
        }
        let next = end &+ count &+ 2
        if next > bytes.count { return .incomplete(expected: next) }
        collect(Argument(base: base + end, count: count))
        progress.offset = next
        progress.remaining &-= 1
      }
    }
    let end = progress.offset
    progress = ParseProgress()
    return .complete(end: start + end)
  }

  // MARK: Length lines

  enum Length: BitwiseCopyable {
    /// The number, and the offset after its line.
    case line(Int, end: Int)
    case incomplete
    case invalid(ProtocolError)
  }

  /// Reads `*<n>\r\n` or `$<n>\r\n` at `offset`.
  @inline(__always) static func length(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ kind: UInt8, tooLong: ProtocolError, invalid: ProtocolError
  ) -> Length {
    let base = bytes.baseAddress!
    // The usual line: up to eight digits, not starting with 0 unless it is 0.
    if offset &+ 4 <= bytes.count, base.load(fromByteOffset: offset, as: UInt8.self) == kind {
      var at = offset &+ 1
      var value = 0
      let last = min(bytes.count &- 1, offset &+ 9)
      while at < last {
        let digit = base.load(fromByteOffset: at, as: UInt8.self) &- 0x30
        if digit > 9 { break }
        value = value &* 10 &+ Int(digit)
        at &+= 1
      }
      let width = at &- offset &- 1
      if at < bytes.count &- 1, base.load(fromByteOffset: at, as: UInt8.self) == 0x0D, width > 0,
        width == 1 || base.load(fromByteOffset: offset &+ 1, as: UInt8.self) != 0x30
      {
        return .line(value, end: at &+ 2)
      }
    }
    return unusualLength(bytes, offset, kind, tooLong: tooLong, invalid: invalid)
  }

  @inline(never) private static func unusualLength(
    _ bytes: UnsafeRawBufferPointer, _ offset: Int, _ kind: UInt8, tooLong: ProtocolError, invalid: ProtocolError
  ) -> Length {
    guard let carriageReturn = firstIndex(of: 0x0D, in: bytes, from: offset) else {
      return bytes.count - offset > RequestLimits.lineBytes ? .invalid(tooLong) : .incomplete
    }
    if carriageReturn + 1 >= bytes.count { return .incomplete }
    if bytes[offset] != kind { return .invalid(.expectedDollar(got: bytes[offset])) }
    guard let value = Decimal.integer(UnsafeRawBufferPointer(rebasing: bytes[(offset + 1)..<carriageReturn])) else {
      return .invalid(invalid)
    }
    return .line(value, end: carriageReturn + 2)
  }

  /// The first place of a byte, looking at eight bytes at a time.
  static func firstIndex(of byte: UInt8, in bytes: UnsafeRawBufferPointer, from start: Int) -> Int? {
    guard let base = bytes.baseAddress else { return nil }
    let pattern = UInt64(byte) &* 0x0101_0101_0101_0101
    var offset = start
    while offset &+ 8 <= bytes.count {
      let word = base.loadUnaligned(fromByteOffset: offset, as: UInt64.self).littleEndian ^ pattern
      // The lowest set bit is exact; higher ones may be false after a borrow.
      let zeros = (word &- 0x0101_0101_0101_0101) & ~word & 0x8080_8080_8080_8080
      if zeros != 0 { return offset &+ zeros.trailingZeroBitCount / 8 }
      offset &+= 8
    }
    while offset < bytes.count {
      if base.load(fromByteOffset: offset, as: UInt8.self) == byte { return offset }
      offset &+= 1
    }
    return nil
  }

  // MARK: Inline requests

  private mutating func parseInline(
    _ bytes: UnsafeRawBufferPointer, _ start: Int, _ arena: inout ArgumentArena
  ) -> ParsedRequest {
    guard let newline = Self.firstIndex(of: 0x0A, in: bytes, from: 0) else {
      return bytes.count > RequestLimits.lineBytes ? .invalid(.tooBigInline) : .incomplete(expected: 0)
    }
    var length = newline
    if length > 0, bytes[length - 1] == 0x0D { length -= 1 }
    let line = UnsafeRawBufferPointer(rebasing: bytes[..<length])
    scratch.count = 0
    if length < RequestLimits.lineBytes { scratch.shrink(to: RequestLimits.lineBytes) }
    scratch.reserve(length + 1)
    let before = arena.count
    guard InlineRequest.split(line, &scratch, &arena) else {
      arena.count = before
      return .invalid(.unbalancedQuotes)
    }
    let end = start + newline + 1
    return arena.count == before ? .ignored(end: end) : .inline(end: end)
  }
}
