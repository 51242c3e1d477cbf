import Glibc

/// A numeric address to listen on.
struct BindAddress: Equatable {
  /// `127.0.0.1`, `::1`
  let numeric: String
  /// Left out where the machine does not have it.
  let isOptional: Bool

  /// As the transport reads it.
  var text: String { (isOptional ? "-" : "") + numeric }

  func withPort(_ port: Int) -> String { numeric.contains(":") ? "[\(numeric)]:\(port)" : "\(numeric):\(port)" }

  /// Numeric addresses, `*` for all of the machine, host names; `-` before one makes it optional.
  static func resolve(_ names: [String]) throws(StartFailure) -> [BindAddress] {
    var addresses: [BindAddress] = []
    for name in names {
      let isOptional = name.hasPrefix("-")
      let host = isOptional ? String(name.dropFirst()) : name
      let found =
        switch host {
        case "*":
          [BindAddress(numeric: "0.0.0.0", isOptional: isOptional), BindAddress(numeric: "::", isOptional: true)]
        case "::*": [BindAddress(numeric: "::", isOptional: isOptional)]
        default: try lookUp(host, isOptional)
        }
      for address in found where !addresses.contains(where: { $0.numeric == address.numeric }) {
        addresses.append(address)
      }
    }
    return addresses
  }

  private static func lookUp(_ host: String, _ isOptional: Bool) throws(StartFailure) -> [BindAddress] {
    var hints = addrinfo()
    hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
    hints.ai_flags = AI_PASSIVE
    var first: UnsafeMutablePointer<addrinfo>?
    let status = getaddrinfo(host, nil, &hints, &first)
    guard status == 0 else {
      if isOptional { return [] }
      throw StartFailure(
        "bind cannot be '\(host)': \(String(cString: gai_strerror(status))); "
          + "give addresses of this machine, a host name, or * for all")
    }
    defer { freeaddrinfo(first) }
    var addresses: [BindAddress] = []
    var next = first
    while let entry = next {
      var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
      let result = getnameinfo(
        entry.pointee.ai_addr, entry.pointee.ai_addrlen, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST)
      if result == 0 {
        let numeric = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        addresses.append(BindAddress(numeric: numeric, isOptional: isOptional))
      }
      next = entry.pointee.ai_next
    }
    return addresses
  }
}
