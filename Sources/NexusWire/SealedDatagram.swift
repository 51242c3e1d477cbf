import NexusModel

/// The envelope of a gossip datagram: what stands in clear in front of the sealed packet.
///
///     0       magic: 0xC1, the version of this layout in its low bits
///     1..<5   number of the key that seals it, little-endian
///     5..<17  nonce
///     17...   ciphertext, its authentication tag last
///
/// The first 17 bytes are the associated data: nobody changes them unnoticed either. Sealing and opening are the
/// shell's.
public struct SealedDatagram: BitwiseCopyable {
  public static let magic: UInt8 = 0xC1
  public static let nonceBytes = 12
  public static let headBytes = 17
  public static let tagBytes = 16

  public let keyID: UInt32
  public let nonce: UnsafeRawBufferPointer
  public let associatedData: UnsafeRawBufferPointer
  public let ciphertext: UnsafeRawBufferPointer

  /// Where everything lies in a datagram that arrived.
  public init(parsing datagram: UnsafeRawBufferPointer) throws(WireError) {
    guard let first = datagram.first else { throw WireError(.truncated, "SealedDatagram") }
    guard first == Self.magic else { throw WireError(.invalidValue, "SealedDatagram.magic") }
    guard datagram.count > Self.headBytes + Self.tagBytes else { throw WireError(.truncated, "SealedDatagram") }
    keyID = UInt32(littleEndian: datagram.loadUnaligned(fromByteOffset: 1, as: UInt32.self))
    nonce = UnsafeRawBufferPointer(rebasing: datagram[5..<Self.headBytes])
    associatedData = UnsafeRawBufferPointer(rebasing: datagram[..<Self.headBytes])
    ciphertext = UnsafeRawBufferPointer(rebasing: datagram[Self.headBytes...])
  }

  /// Appends the head; the ciphertext follows.
  public static func appendHead(keyID: UInt32, nonce: UnsafeRawBufferPointer, to out: inout OutputBuffer) {
    precondition(nonce.count == nonceBytes)
    out.append(byte: magic)
    out.fixed32(keyID)
    out.append(nonce)
  }
}
