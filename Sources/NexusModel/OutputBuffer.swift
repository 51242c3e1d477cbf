#if canImport(Glibc)
  import Glibc
#else
  import Musl
#endif

/// A growing run of bytes in raw memory: where replies are written on the hot path.
///
/// A plain value without reference counting: copy it to a local `var` for the length of a batch, write, and
/// store it back. Exactly one owner calls `deallocate`.
public struct OutputBuffer: BitwiseCopyable {
  /// Invariant: points to `capacity` writable bytes, of which the first `count` are initialised.
  public private(set) var base: UnsafeMutableRawPointer
  public var count: Int
  public private(set) var capacity: Int

  /// Bytes that a writer may touch beyond what it asked `reserve` for: short strings are stored as whole words.
  @inlinable public static var slack: Int { 16 }

  public init(capacity: Int = 16 * 1024) {
    self.base = malloc(capacity + Self.slack)!
    self.count = 0
    self.capacity = capacity
  }

  public func deallocate() { free(base) }

  /// Makes room for `byteCount` more bytes.
  @inlinable @inline(__always) public mutating func reserve(_ byteCount: Int) {
    if count &+ byteCount > capacity { grow(byteCount) }
  }

  @usableFromInline @inline(never) mutating func grow(_ byteCount: Int) {
    capacity = max(capacity * 2, count + byteCount)
    base = realloc(base, capacity + Self.slack)!
  }

  /// Makes room for this many bytes in all and no more: for a buffer whose size is accounted for.
  public mutating func grow(to newCapacity: Int) {
    guard newCapacity > capacity else { return }
    base = realloc(base, newCapacity + Self.slack)!
    capacity = newCapacity
  }

  /// Gives memory back after an unusually large reply. Keeps the first `count` bytes.
  public mutating func shrink(to newCapacity: Int) {
    guard capacity > newCapacity, count <= newCapacity else { return }
    base = realloc(base, newCapacity + Self.slack)!
    capacity = newCapacity
  }

  @inlinable @inline(__always) public mutating func append(_ bytes: UnsafeRawPointer, _ byteCount: Int) {
    reserve(byteCount)
    (base + count).copyMemory(from: bytes, byteCount: byteCount)
    count &+= byteCount
  }

  @inlinable @inline(__always) public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if let start = bytes.baseAddress { append(start, bytes.count) }
  }

  @inlinable @inline(__always) public mutating func append(_ text: StaticString) {
    append(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
  }

  public mutating func append(_ text: String) {
    var text = text
    text.withUTF8 { append(UnsafeRawBufferPointer($0)) }
  }

  @inlinable @inline(__always) public mutating func append(byte: UInt8) {
    reserve(1)
    base.storeBytes(of: byte, toByteOffset: count, as: UInt8.self)
    count &+= 1
  }

  /// Stores the low `byteCount` (at most 8) bytes of a little-endian word. The caller has reserved them.
  @inlinable @inline(__always) public mutating func appendUnchecked(word: UInt64, _ byteCount: Int) {
    base.storeBytes(of: word.littleEndian, toByteOffset: count, as: UInt64.self)
    count &+= byteCount
  }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
}
