/// Where something listens: an IPv4 or IPv6 address, or a name that has yet to be looked up, and a port.
public struct NetworkAddress: Hashable, Sendable, CustomStringConvertible {
  /// Without brackets.
  public let host: String
  public let port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `host:port` or `[ipv6]:port`. Nil if there is no host, no colon, or no port of 1...65535.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":") else { return nil }
    let digits = text[text.index(after: colon)...]
    guard let port = UInt16(digits), port > 0, digits.utf8.allSatisfy({ (48...57).contains($0) }) else { return nil }
    var host = text[..<colon]
    if host.hasPrefix("[") {
      guard host.hasSuffix("]") else { return nil }
      host = host.dropFirst().dropLast()
    } else if host.contains(":") {
      return nil
    }
    guard !host.isEmpty, !host.contains(where: { $0.isWhitespace || $0 == "/" }) else { return nil }
    self.init(host: String(host), port: port)
  }

  /// As it is written in front of other words: `10.0.0.7:7946`, `[::1]:7946`.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
