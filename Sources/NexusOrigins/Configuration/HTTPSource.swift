/// Where and how an HTTP origin finds its values.
public struct HTTPSource: Hashable, Sendable {
  let template: KeyTemplate
  /// Fields of every request, `NAME: VALUE`.
  var fields: [String] = []
  /// Redirects that are followed; one more is a failure.
  public var redirects = 5
  /// Keys whose entity tag is remembered.
  public var entityTags = 10_000
  /// Certificates to trust instead of the system's.
  public var certificates: String?
  /// Writes are PUT and DELETE requests to the same URLs.
  public var takesWrites = false

  init(template: KeyTemplate) { self.template = template }
}

extension OriginConfiguration {
  /// `//HOST:PORT/PATH/{key}?QUERY#OPTIONS`.
  static func parsedHTTP(_ scheme: String, _ text: Substring) throws(OriginConfigurationError) -> Self {
    // The question mark is the URL's own; a fragment is never sent, so that options may stand there.
    let (location, optionText) = split(text, at: "#")
    let template: KeyTemplate
    do throws(KeyTemplate.Refusal) {
      template = try KeyTemplate(KeyTemplate.Scheme(rawValue: scheme)!, afterScheme: location)
    } catch {
      throw OriginConfigurationError("\(scheme): \(error.reason)")
    }
    var options = try OptionReader(optionText, origin: template.name)
    var source = HTTPSource(template: template)
    try options.count("redirects", 0...50, into: &source.redirects)
    try options.count("etags", 0...10_000_000, into: &source.entityTags)
    source.takesWrites = try options.word("write", ["no", "put"]) == "put"
    source.certificates = options.text("ca-file")
    for field in options.texts("header") {
      guard isField(field) else {
        throw options.failure("header cannot be this: give NAME: VALUE, in one line of ASCII")
      }
      source.fields.append(field)
    }
    return try OriginConfiguration(.http(source), canStore: source.takesWrites, rest: &options)
  }

  private static func isField(_ text: String) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, !parts[0].isEmpty, !parts[1].allSatisfy({ $0 == " " }) else { return false }
    let isToken = parts[0].utf8.allSatisfy {
      (48...57).contains($0) || (97...122).contains($0 | 32) || "!#$%&'*+-.^_`|~".utf8.contains($0)
    }
    return isToken && parts[1].utf8.allSatisfy { (32...126).contains($0) }
  }
}
