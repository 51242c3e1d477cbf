/// Where something listens: an IPv4 or IPv6 address, or a name that has yet to be looked up, and a port.
public struct NetworkAddress: Hashable, Comparable, Sendable, CustomStringConvertible {
  public struct Invalid: Error, CustomStringConvertible {
    public let text: String
    public var description: String {
      "'\(text)' is no address: give HOST:PORT, as in cache-1.example:7946, 10.0.0.5:7946 or [fd00::5]:7946"
    }
  }

  /// Without brackets.
  public var host: String
  public var port: UInt16

  public init(host: String, port: UInt16) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT` as people write it: a name or an IPv4 address, or an IPv6 address in brackets.
  /// - Parameter defaultPort: where the text names none; nil: it must.
  public init(parsing text: String, defaultPort: UInt16? = nil) throws(Invalid) {
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

  /// Nil where `init(parsing:)` says why.
  public init?(_ text: String) {
    guard let address = try? NetworkAddress(parsing: text) else { return nil }
    self = address
  }

  /// As it is written in front of other words: `10.0.0.7:7946`, `[::1]:7946`.
  public var description: String { host.utf8.contains(UInt8(ascii: ":")) ? "[\(host)]:\(port)" : "\(host):\(port)" }

  /// By bytes, so that every machine sorts alike.
  public static func < (left: NetworkAddress, right: NetworkAddress) -> Bool {
    left.host == right.host ? left.port < right.port : left.host.utf8.lexicographicallyPrecedes(right.host.utf8)
  }
}
