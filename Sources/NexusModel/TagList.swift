/// The tags of an entry, as hashes: at most eight, each once, in the order in which they came.
///
/// A hash is FNV-1a of 64 bits folded to 32 (Fowler, Noll, Vo, Eastlake: RFC 9923), equal on all members. Of two tags
/// one in 4,294,967,296 pairs shares it: who removes the one's entries then removes the other's too.
public struct TagList: Sendable, Equatable, BitwiseCopyable {
  public static let most = 8

  /// Invariant: 0 from `count` on.
  private var hashes = SIMD8<UInt32>()
  private var length: UInt8 = 0

  public init() {}

  public var count: Int { Int(length) }
  @inline(__always) public var isEmpty: Bool { length == 0 }

  public subscript(index: Int) -> UInt32 { hashes[index] }

  public static func hash(of tag: UnsafeRawBufferPointer) -> UInt32 {
    var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    for byte in tag { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return UInt32(truncatingIfNeeded: hash ^ hash >> 32)
  }

  public func contains(_ hash: UInt32) -> Bool { (0..<count).contains { hashes[$0] == hash } }

  /// False where there are eight others already.
  public mutating func insert(_ hash: UInt32) -> Bool {
    if contains(hash) { return true }
    guard count < Self.most else { return false }
    hashes[count] = hash
    length += 1
    return true
  }

  /// Any order in which all members agree.
  public static func isAbove(_ left: TagList, _ right: TagList) -> Bool {
    if left.length != right.length { return left.length > right.length }
    let place = (0..<left.count).first { left[$0] != right[$0] }
    return place.map { left[$0] > right[$0] } ?? false
  }
}

/// As they lie in an entry and travel: four bytes each, little-endian.
extension TagList {
  public static let hashBytes = 4
  public var byteCount: Int { count * Self.hashBytes }

  public func write(to target: UnsafeMutableRawPointer) {
    for index in 0..<count {
      target.storeBytes(of: hashes[index].littleEndian, toByteOffset: index * Self.hashBytes, as: UInt32.self)
    }
  }

  public func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
    withUnsafeTemporaryAllocation(byteCount: Self.most * Self.hashBytes, alignment: 4) { bytes in
      write(to: bytes.baseAddress!)
      return body(UnsafeRawBufferPointer(rebasing: bytes[..<byteCount]))
    }
  }

  /// Nil for bytes that are no list.
  public init?(_ bytes: UnsafeRawBufferPointer) {
    guard bytes.count % Self.hashBytes == 0, bytes.count <= Self.most * Self.hashBytes else { return nil }
    for offset in stride(from: 0, to: bytes.count, by: Self.hashBytes) {
      _ = insert(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
    }
  }
}
