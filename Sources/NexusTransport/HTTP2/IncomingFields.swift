import NexusService

/// One block of header fields as it comes in: what HTTP/2 and gRPC mean by it, and the custom ones.
struct IncomingFields {
  enum Timeout: Equatable { case none, milliseconds(Int), malformed }

  var method = ""
  var path = ""
  var httpStatus: Int?
  var isGRPC = false
  var timeout = Timeout.none
  /// `grpc-encoding` other than `identity`.
  var encoding: String?
  var grpcStatus: Int?
  var grpcMessage = ""
  var custom: [(name: String, value: String)] = []
  private(set) var bytes = 0

  mutating func add(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    // As SETTINGS_MAX_HEADER_LIST_SIZE counts (RFC 9113, section 6.5.2).
    bytes += name.count + value.count + 32
    if name.first == UInt8(ascii: ":") { return addPseudo(name, value) }
    switch name.count {
    case 2 where name.elementsEqual("te".utf8): break
    case 10 where name.elementsEqual("user-agent".utf8): break
    case 12 where name.elementsEqual("content-type".utf8): isGRPC = Self.isGRPC(value)
    case 12 where name.elementsEqual("grpc-timeout".utf8):
      timeout = StatusText.timeoutMilliseconds(value).map { .milliseconds($0) } ?? .malformed
    case 11 where name.elementsEqual("grpc-status".utf8):
      grpcStatus = Int(String(decoding: value, as: UTF8.self)) ?? CallStatus.Code.unknown.rawValue
    case 12 where name.elementsEqual("grpc-message".utf8): grpcMessage = StatusText.decode(value)
    case 13 where name.elementsEqual("grpc-encoding".utf8):
      if !value.elementsEqual("identity".utf8) { encoding = String(decoding: value, as: UTF8.self) }
    case 20 where name.elementsEqual("grpc-accept-encoding".utf8): break
    default: custom.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
    }
  }

  private mutating func addPseudo(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) {
    if name.elementsEqual(":path".utf8) {
      path = String(decoding: value, as: UTF8.self)
    } else if name.elementsEqual(":method".utf8) {
      method = String(decoding: value, as: UTF8.self)
    } else if name.elementsEqual(":status".utf8) {
      httpStatus = Int(String(decoding: value, as: UTF8.self))
    }
  }

  /// `application/grpc`, alone or followed by `+proto`, `;charset=...`.
  private static func isGRPC(_ value: UnsafeRawBufferPointer) -> Bool {
    let prefix = "application/grpc".utf8
    guard value.starts(with: prefix) else { return false }
    return value.count == prefix.count || value[prefix.count] == UInt8(ascii: "+")
      || value[prefix.count] == UInt8(ascii: ";")
  }

  /// The status that ends a call, from a block of trailers.
  var status: CallStatus {
    guard let grpcStatus else {
      return CallStatus(.unknown, "the call ended without a status (grpc-status)")
    }
    guard let code = CallStatus.Code(rawValue: grpcStatus) else {
      return CallStatus(.unknown, "status \(grpcStatus): \(grpcMessage)")
    }
    return CallStatus(code, grpcMessage)
  }
}
