import NexusService

/// A configuration file: one `name = value` or `name value` a line, `#` comments, values in quotes where spaces at
/// their ends or a `#` belong to them. `namespace` may have several lines.
public struct ConfigurationFile: Sendable {
  public struct Line: Sendable, Equatable {
    public var number: Int
    public var name: String
    public var value: String
  }

  public let path: String
  public let lines: [Line]

  public init(path: String, text: String) throws(ConfigurationError) {
    self.path = path
    var lines: [Line] = []
    var firstSeen: [String: Int] = [:]
    for (index, raw) in text.split(
      omittingEmptySubsequences: false, whereSeparator: { $0 == "\n" || $0 == "\r\n" }
    ).enumerated() {
      let place = "\(path):\(index + 1)"
      guard let (name, value) = try Self.parse(SettingText.trimmed(raw), place) else { continue }
      // What may be given several times may not say twice of one thing.
      let isRepeatable = Setting.named(name)?.isRepeatable == true
      let subject = isRepeatable ? "\(name) \(value.prefix { $0 != ":" })" : name
      if let earlier = firstSeen[subject] {
        throw ConfigurationError("\(place): \(subject) is already set in line \(earlier)")
      }
      firstSeen[subject] = index + 1
      lines.append(Line(number: index + 1, name: name, value: value))
    }
    self.lines = lines
  }

  private static func parse(_ line: String, _ place: String) throws(ConfigurationError) -> (String, String)? {
    guard !line.isEmpty, !line.hasPrefix("#") else { return nil }
    let name = line.prefix { !($0 == "=" || $0 == " " || $0 == "\t") }
    var rest = SettingText.trimmed(line.dropFirst(name.count))
    if rest.hasPrefix("=") { rest = SettingText.trimmed(rest.dropFirst()) }
    guard !name.isEmpty else { throw ConfigurationError("\(place): write 'name = value', not '\(line)'") }
    if rest.isEmpty || rest.hasPrefix("#") {
      throw ConfigurationError("\(place): \(name) has no value; write \"\" for an empty one")
    }
    return (String(name), try unquoted(rest, String(name), place))
  }

  /// A quoted value with its escapes undone, or a bare one up to a comment.
  private static func unquoted(_ text: String, _ name: String, _ place: String) throws(ConfigurationError) -> String {
    guard let quote = text.first, quote == "\"" || quote == "'" else {
      // A comment starts with a # that follows a space, so that passwords may hold one.
      var previous: Character = "x"
      let end = text.indices.first { index in
        defer { previous = text[index] }
        return text[index] == "#" && (previous == " " || previous == "\t")
      }
      return SettingText.trimmed(text[..<(end ?? text.endIndex)])
    }
    var value = ""
    var index = text.index(after: text.startIndex)
    while index < text.endIndex {
      if text[index] == quote {
        let rest = SettingText.trimmed(text[text.index(after: index)...])
        guard rest.isEmpty || rest.hasPrefix("#") else {
          throw ConfigurationError("\(place): \(name) has something after its closing quote: '\(rest)'")
        }
        return value
      }
      if quote == "\"", text[index] == "\\", text.index(after: index) < text.endIndex {
        index = text.index(after: index)
      }
      value.append(text[index])
      index = text.index(after: index)
    }
    throw ConfigurationError("\(place): \(name) has an opening quote and no closing one")
  }
}

/// Why a configuration cannot be used, in one line for an operator.
public struct ConfigurationError: Error, Sendable, CustomStringConvertible {
  public let description: String
  public init(_ description: String) { self.description = description }
}
