import Glibc

/// `HOST:PORT` as people write it: a name or an IPv4 address, or an IPv6 address in brackets.
public struct HostPort: Hashable, Sendable, CustomStringConvertible {
  public struct Invalid: Error, CustomStringConvertible {
    public let text: String
    public var description: String {
      "'\(text)' is no address: give HOST:PORT, as in cache-1.example:7946, 10.0.0.5:7946 or [fd00::5]:7946"
    }
  }

  public let host: String
  public let port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// - Parameter defaultPort: where the text names none; nil: it must.
  public init(_ text: String, defaultPort: UInt16? = nil) throws(Invalid) {
    let invalid = Invalid(text: text)
    guard !text.utf8.contains(where: { $0 <= 32 || $0 == 127 }) else { throw invalid }
    var host = text[...]
    var port: Substring?
    if text.hasPrefix("[") {
      guard let close = text.firstIndex(of: "]") else { throw invalid }
      host = text[text.index(after: text.startIndex)..<close]
      let rest = text[text.index(after: close)...]
      guard host.contains(":"), rest.isEmpty || rest.hasPrefix(":") else { throw invalid }
      if !rest.isEmpty { port = rest.dropFirst() }
    } else if let colon = text.lastIndex(of: ":") {
      host = text[..<colon]
      port = text[text.index(after: colon)...]
      // An IPv6 address without brackets: where its port would begin cannot be known.
      guard !host.contains(":") else { throw invalid }
    }
    guard !host.isEmpty, host.utf8.count <= 253 else { throw invalid }
    if let port {
      guard port.utf8.allSatisfy({ (48...57).contains($0) }), let number = UInt16(port), number > 0 else {
        throw invalid
      }
      self.init(host: String(host), port: number)
    } else {
      guard let defaultPort else { throw invalid }
      self.init(host: String(host), port: defaultPort)
    }
  }

  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

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
