import NexusModel

/// Where etcd is, as its own tools write it: `http://HOST:PORT`, several with commas between.
public struct EtcdEndpoint: Hashable, Sendable, CustomStringConvertible {
  public struct Invalid: Error, CustomStringConvertible {
    public let description: String
  }

  public static let defaultPort: UInt16 = 2379

  public let address: NetworkAddress

  public init(_ address: NetworkAddress) { self.address = address }

  public init(_ text: String) throws(Invalid) {
    if text.lowercased().hasPrefix("https://") {
      throw Invalid(
        description: "'\(text)' asks for TLS, which is not spoken with etcd: give http://HOST:\(Self.defaultPort)")
    }
    var rest = text[...]
    if text.lowercased().hasPrefix("http://") { rest = rest.dropFirst(7) }
    if rest.hasSuffix("/") { rest = rest.dropLast() }
    let invalid = Invalid(
      description: "'\(text)' is no address of etcd: give http://HOST:PORT, as in http://10.0.0.9:\(Self.defaultPort), "
        + "several with commas between")
    // No path, no name and password, no query.
    guard !rest.contains(where: { "/@?#".contains($0) }) else { throw invalid }
    do throws(NetworkAddress.Invalid) {
      address = try NetworkAddress(parsing: String(rest), defaultPort: Self.defaultPort)
    } catch { throw invalid }
  }

  /// - Throws: also where there is none.
  public static func list(_ text: String) throws(Invalid) -> [EtcdEndpoint] {
    var endpoints: [EtcdEndpoint] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      var part = part.drop { $0 == " " }
      while part.last == " " { part.removeLast() }
      let endpoint = try EtcdEndpoint(String(part))
      if !endpoints.contains(endpoint) { endpoints.append(endpoint) }
    }
    return endpoints
  }

  public var description: String { "http://\(address)" }
}
