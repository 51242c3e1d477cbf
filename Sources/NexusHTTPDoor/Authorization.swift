import NexusModel
import NexusService

/// The node's password, as HTTP carries it: `Authorization: Basic` (RFC 7617; any user name) or `Bearer` (RFC 6750).
enum Authorization {
  /// A header longer than this holds no password that an operator sets.
  private static let longestHeader = 4096

  static func isGranted(_ header: UnsafeRawBufferPointer?, _ settings: Settings) -> Bool {
    guard let header, header.count <= longestHeader else { return false }
    if let token = rest(of: header, after: "bearer ") { return settings.passwordMatches(token) }
    guard let encoded = rest(of: header, after: "basic ") else { return false }
    var copy = OutputBuffer(capacity: encoded.count)
    defer { copy.deallocate() }
    copy.append(encoded)
    let text = UnsafeMutableRawBufferPointer(start: copy.base, count: copy.count)
    guard let decoded = Base64.decodeInPlace(text), let colon = decoded.firstIndex(of: UInt8(ascii: ":")) else {
      return false
    }
    return settings.passwordMatches(UnsafeRawBufferPointer(rebasing: decoded[(colon + 1)...]))
  }

  /// What follows the scheme, whose case does not matter.
  private static func rest(of header: UnsafeRawBufferPointer, after scheme: StaticString) -> UnsafeRawBufferPointer? {
    let length = scheme.utf8CodeUnitCount
    guard header.count > length else { return nil }
    for index in 0..<length {
      let byte = header[index]
      let lower = byte &- 0x41 <= 25 ? byte | 0x20 : byte
      if lower != scheme.utf8Start[index] { return nil }
    }
    return UnsafeRawBufferPointer(rebasing: header[length...])
  }
}

extension Responder {
  /// Says whether the request may be served. Health may always be asked: it says nothing about what is stored.
  func authorize(_ head: RequestHead, for route: Route?) throws(Problem) {
    guard node.settings.hasPassword else { return }
    switch route {
    case .health, .live, .ready: return
    default: break
    }
    if !Authorization.isGranted(head.authorization, node.settings) { throw .unauthorized() }
  }
}
