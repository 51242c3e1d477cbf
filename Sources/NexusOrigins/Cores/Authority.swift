/// `USER:PASSWORD@HOST:PORT`, each part but the host optional.
struct Authority: Hashable, Sendable {
  struct Credentials: Hashable, Sendable {
    var user: String
    var password: String?
  }

  struct Refusal: Error {
    /// What is wrong. Never shows what stands before the `@`.
    var reason: String
  }

  var credentials: Credentials?
  /// Without brackets; nil where it is empty.
  var host: String?
  var port: Int?

  init(_ text: Substring) throws(Refusal) {
    var rest = text
    if let at = text.lastIndex(of: "@") {
      let parts = text[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
      let decoded = parts.map { PercentText.decoded($0).flatMap { String(validating: $0, as: UTF8.self) } }
      guard decoded.allSatisfy({ $0 != nil && !$0!.utf8.contains(0) }) else {
        throw Refusal(reason: "user and password are to be percent-encoded where they have %, @, :, / or ?")
      }
      credentials = Credentials(user: decoded[0]!, password: decoded.count > 1 ? decoded[1] : nil)
      rest = text[text.index(after: at)...]
    }
    if rest.hasPrefix("[") {
      guard let close = rest.firstIndex(of: "]") else { throw Refusal(reason: "'\(rest)' has no closing bracket") }
      host = String(rest[rest.index(after: rest.startIndex)..<close])
      rest = rest[rest.index(after: close)...]
      guard host!.utf8.allSatisfy({ "0123456789abcdefABCDEF:.".utf8.contains($0) }), !host!.isEmpty else {
        throw Refusal(reason: "'\(host!)' is no IPv6 address")
      }
    } else {
      let name = rest.prefix { $0 != ":" }
      let isName = name.utf8.allSatisfy {
        (48...57).contains($0) || (97...122).contains($0 | 32) || "-._".utf8.contains($0)
      }
      guard isName else { throw Refusal(reason: "'\(name)' is no name of a host") }
      host = name.isEmpty ? nil : String(name)
      rest = rest.dropFirst(name.count)
    }
    guard !rest.isEmpty else { return }
    guard rest.first == ":", rest.dropFirst().utf8.allSatisfy({ (48...57).contains($0) }),
      let number = Int(rest.dropFirst()), (1...65_535).contains(number)
    else { throw Refusal(reason: "'\(rest)' is no port: write :1 to :65535") }
    port = number
  }

  /// A whole URL without the user and password in it.
  static func withoutCredentials(_ url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return url }
    let end = url[scheme.upperBound...].firstIndex { "/?#".contains($0) } ?? url.endIndex
    guard let at = url[scheme.upperBound..<end].lastIndex(of: "@") else { return url }
    return String(url[..<scheme.upperBound]) + url[url.index(after: at)...]
  }
}
