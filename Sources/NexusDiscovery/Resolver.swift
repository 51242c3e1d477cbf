import Glibc

/// An IPv4 or IPv6 address, no name.
func isNumericHost(_ host: String) -> Bool {
  var bytes = in6_addr()
  return inet_pton(host.contains(":") ? AF_INET6 : AF_INET, host, &bytes) == 1
}

/// Turns a name into IP addresses, or says why it cannot. Blocks for as long as the system's resolver does.
public typealias Resolver = @Sendable (_ host: String) -> Result<[String], ResolverFailure>

public struct ResolverFailure: Error, Hashable, Sendable {
  public let reason: String

  public init(reason: String) { self.reason = reason }
}

/// The system's resolver: addresses as text, each once.
@Sendable public func resolveBySystem(_ host: String) -> Result<[String], ResolverFailure> {
  var hints = addrinfo()
  hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
  var list: UnsafeMutablePointer<addrinfo>?
  let code = getaddrinfo(host, nil, &hints, &list)
  guard code == 0 else { return .failure(ResolverFailure(reason: String(cString: gai_strerror(code)).lowercased())) }
  defer { freeaddrinfo(list) }
  var addresses: [String] = []
  var next = list
  while let entry = next {
    var text = [CChar](repeating: 0, count: Int(NI_MAXHOST))
    let length = entry.pointee.ai_addrlen
    if getnameinfo(entry.pointee.ai_addr, length, &text, socklen_t(text.count), nil, 0, NI_NUMERICHOST) == 0 {
      let address = String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if !addresses.contains(address) { addresses.append(address) }
    }
    next = entry.pointee.ai_next
  }
  return .success(addresses)
}
