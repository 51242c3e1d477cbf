/// An HTTP URL with a place for the key: `https://scores.example/v1/scores/{key}?unit=points`.
struct KeyTemplate: Hashable, Sendable {
  enum Scheme: String, Sendable { case http, https }

  struct Refusal: Error, Hashable, Sendable {
    /// What is wrong, without the URL.
    var reason: String
  }

  static let placeholder = "{key}"

  let scheme: Scheme
  /// User and password, where the URL has them.
  let credentials: Authority.Credentials?
  /// `SCHEME://HOST:PORT`.
  private let site: String
  /// What surrounds the keys: one piece more than there are places for them.
  private let pieces: [String]

  init(_ scheme: Scheme, afterScheme text: Substring) throws(Refusal) {
    guard text.hasPrefix("//") else { throw Refusal(reason: "a host is to follow, as in \(scheme)://host/{key}") }
    let rest = text.dropFirst(2)
    let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
    let authority: Authority
    do throws(Authority.Refusal) { authority = try Authority(rest[..<end]) } catch {
      throw Refusal(reason: error.reason)
    }
    guard let host = authority.host else { throw Refusal(reason: "it names no host") }
    self.scheme = scheme
    credentials = authority.credentials
    site = "\(scheme)://\(host.contains(":") ? "[\(host)]" : host)" + (authority.port.map { ":\($0)" } ?? "")

    let path = rest[end...].hasPrefix("/") ? String(rest[end...]) : "/" + rest[end...]
    pieces = Self.split(path)
    guard pieces.count > 1 else {
      throw Refusal(reason: "it has no place for the key: write \(Self.placeholder) where the key is to stand")
    }
    for piece in pieces where !piece.utf8.allSatisfy(Self.mayStand) {
      throw Refusal(reason: "'\(piece)' has characters that a URL has percent-encoded only")
    }
    guard pieces.allSatisfy({ PercentText.decoded($0) != nil }) else {
      throw Refusal(reason: "a % is to be followed by two hexadecimal digits")
    }
    guard case .success = url(for: [UInt8(ascii: "k")]) else {
      throw Refusal(reason: "its path has '.' or '..'")
    }
  }

  /// For people: no password, and no query, which may hold another secret.
  var name: String {
    let path = pieces.joined(separator: Self.placeholder)
    return site + path.prefix { $0 != "?" } + (path.contains("?") ? "?..." : "")
  }

  /// Whether a whole URL leads to the same server. In doubt it does not.
  func isSameSite(_ url: String) -> Bool { url.hasPrefix(site + "/") }

  /// The key percent-encoded in each place. A failure says why there is no URL for this key: servers give a path of
  /// `..` another meaning, even percent-encoded, and a folder is not the value of the empty key.
  func url(for key: [UInt8]) -> Result<String, Refusal> {
    let encoded = PercentText.encoded(key)
    let path = pieces.joined(separator: Self.placeholder).prefix { $0 != "?" }.dropFirst()
    for segment in path.split(separator: "/", omittingEmptySubsequences: false) {
      let filled = PercentText.decoded(Self.split(String(segment)).joined(separator: encoded)) ?? []
      if filled == Array(".".utf8) || filled == Array("..".utf8) {
        return .failure(Refusal(reason: "'\(String(decoding: filled, as: UTF8.self))' means another folder in a path"))
      }
      if filled.isEmpty && segment == Self.placeholder {
        return .failure(Refusal(reason: "an empty key leaves the path without a name"))
      }
    }
    return .success(site + pieces.joined(separator: encoded))
  }

  private static func split(_ text: String) -> [String] {
    var pieces: [String] = []
    var rest = text[...]
    while let place = rest.firstRange(of: placeholder) {
      pieces.append(String(rest[..<place.lowerBound]))
      rest = rest[place.upperBound...]
    }
    return pieces + [String(rest)]
  }

  /// RFC 3986's characters of paths and queries, and `%`.
  private static func mayStand(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: "-._~!$&'()*+,;=:@/?%".utf8.contains(byte)
    }
  }
}
