import NexusService

/// gRPC's ways of writing in headers (grpc/doc/PROTOCOL-HTTP2.md).
enum StatusText {
  private static let digits = Array("0123456789ABCDEF".utf8)

  /// Everything but printable ASCII, and `%` itself, as `%XX`.
  static func encode(_ message: String) -> [UInt8] {
    var bytes: [UInt8] = []
    for byte in message.utf8 {
      if (0x20...0x7E).contains(byte) && byte != UInt8(ascii: "%") {
        bytes.append(byte)
      } else {
        bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
      }
    }
    return bytes
  }

  /// What is no valid `%XX` stays as it is.
  static func decode(_ text: UnsafeRawBufferPointer) -> String {
    var bytes: [UInt8] = []
    var index = 0
    while index < text.count {
      if text[index] == UInt8(ascii: "%"), index + 2 < text.count, let high = digit(text[index + 1]),
        let low = digit(text[index + 2])
      {
        bytes.append(high << 4 | low)
        index += 3
      } else {
        bytes.append(text[index])
        index += 1
      }
    }
    return String(decoding: bytes, as: UTF8.self)
  }

  private static func digit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    default: nil
    }
  }

  /// `grpc-timeout`: at most eight digits and a unit. Rounded up to milliseconds; nil where it is malformed.
  static func timeoutMilliseconds(_ text: UnsafeRawBufferPointer) -> Int? {
    guard (2...9).contains(text.count) else { return nil }
    var value = 0
    for byte in text.dropLast() {
      guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
      value = value * 10 + Int(byte - UInt8(ascii: "0"))
    }
    switch text[text.count - 1] {
    case UInt8(ascii: "H"): return value * 3_600_000
    case UInt8(ascii: "M"): return value * 60_000
    case UInt8(ascii: "S"): return value * 1000
    case UInt8(ascii: "m"): return value
    case UInt8(ascii: "u"): return (value + 999) / 1000
    case UInt8(ascii: "n"): return (value + 999_999) / 1_000_000
    default: return nil
    }
  }

  static func timeout(milliseconds: Int) -> String {
    let milliseconds = max(0, milliseconds)
    if milliseconds <= 99_999_999 { return "\(milliseconds)m" }
    return "\(min(milliseconds / 1000, 99_999_999))S"
  }

  /// What an answer that is not gRPC's means (grpc/doc/http-grpc-status-mapping.md).
  static func code(httpStatus: Int) -> CallStatus.Code {
    switch httpStatus {
    case 400: .internal
    case 401: .unauthenticated
    case 403: .permissionDenied
    case 404: .unimplemented
    case 429, 502, 503, 504: .unavailable
    default: .unknown
    }
  }

  /// What a stream that was reset means (PROTOCOL-HTTP2.md, "Errors").
  static func status(resetCode: UInt32) -> CallStatus {
    switch resetCode {
    case 7: CallStatus(.unavailable, "the other side refused the stream before it looked at it")
    case 8: CallStatus(.cancelled, "the other side gave the call up")
    case 11: CallStatus(.resourceExhausted, "the other side asks for fewer requests (ENHANCE_YOUR_CALM)")
    case 12: CallStatus(.permissionDenied, "the other side takes this connection for insecure")
    default: CallStatus(.internal, "the stream was reset with HTTP/2's error code \(resetCode)")
    }
  }
}
