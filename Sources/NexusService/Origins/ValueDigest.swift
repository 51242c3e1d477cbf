/// Tells two values of a key apart without keeping either. Equal on every node; for no other use: whoever may choose
/// values can make two that agree.
public struct ValueDigest: Hashable, Sendable {
  public let word: UInt64

  public init(_ bytes: [UInt8]) { self = bytes.withUnsafeBytes { ValueDigest($0) } }

  /// Eight bytes a step: a multiplication to 128 bits whose halves are folded together, as in wyhash.
  public init(_ bytes: UnsafeRawBufferPointer) {
    // Folded in first: a byte of the value must not be able to make up for one that is missing.
    var hash = Self.fold(UInt64(truncatingIfNeeded: bytes.count) ^ 0x9E37_79B9_7F4A_7C15)
    var offset = 0
    while offset &+ 8 <= bytes.count {
      hash = Self.fold(hash ^ UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt64.self)))
      offset &+= 8
    }
    var tail: UInt64 = 0
    while offset < bytes.count {
      tail = tail << 8 | UInt64(bytes[offset])
      offset &+= 1
    }
    word = Self.fold(hash ^ tail)
  }

  private static func fold(_ word: UInt64) -> UInt64 {
    let product = word.multipliedFullWidth(by: 0xA076_1D64_78BD_642F)
    return product.high ^ product.low
  }
}
