/// A reply as a client reads it, in RESP2 or RESP3.
public indirect enum Reply: Hashable, Sendable {
  case simple([UInt8])
  case error([UInt8])
  case integer(Int)
  case bulk([UInt8])
  /// RESP2's absent bulk and absent array, RESP3's null.
  case null
  case double(Double)
  case boolean(Bool)
  case bigNumber([UInt8])
  /// `format` has three letters.
  case verbatim(format: [UInt8], text: [UInt8])
  case array([Reply])
  /// Keys and values in turn.
  case map([Reply])
  case set([Reply])
  /// Out of band: the reply that was waited for comes later.
  case push([Reply])

  public var text: String? {
    switch self {
    case .simple(let bytes), .error(let bytes), .bulk(let bytes), .bigNumber(let bytes), .verbatim(_, let bytes):
      String(decoding: bytes, as: UTF8.self)
    default: nil
    }
  }
}

/// Why bytes are not a reply.
public enum ReplyError: Error, Equatable, Sendable {
  case unknownType(UInt8)
  case invalidLength
  case invalidNumber
  case tooDeep
  case tooLong
}
