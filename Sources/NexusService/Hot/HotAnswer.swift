import NexusModel

/// What the owner of a hot key says to a member that asks for a copy: a byte for what it has, eight for how many
/// milliseconds that lives (little-endian; 0: no end is known), then the value.
enum HotAnswer {
  /// The value lies in the payload.
  case value(UnsafeRawBufferPointer, milliseconds: UInt64)
  case absent
  /// None is to be had: the key is not executed there, or is no string, or too large, or about to be loaded anew.
  case none

  private static let headBytes = 9

  static func append(_ answer: HotAnswer, to out: inout OutputBuffer) {
    var (kind, lifetime): (UInt8, UInt64) = (0, 0)
    switch answer {
    case .none: break
    case .value(_, let milliseconds): (kind, lifetime) = (1, milliseconds)
    case .absent: kind = 2
    }
    out.append(byte: kind)
    withUnsafeBytes(of: lifetime.littleEndian) { out.append($0) }
    if case .value(let bytes, _) = answer { out.append(bytes) }
  }

  /// What cannot be read is no copy.
  init(_ payload: UnsafeRawBufferPointer) {
    guard payload.count >= Self.headBytes else {
      self = .none
      return
    }
    let milliseconds = UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
    switch payload[0] {
    case 1: self = .value(UnsafeRawBufferPointer(rebasing: payload[Self.headBytes...]), milliseconds: milliseconds)
    case 2: self = .absent
    default: self = .none
    }
  }
}
