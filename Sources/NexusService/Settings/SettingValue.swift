/// A parsed value: the text as it is shown again, and the number behind it (for text and lists: the length).
struct SettingValue: Sendable, Equatable {
  var text: String
  var number: Int
}

/// What values are taken, whether of a setting or of a namespace's option.
struct ValueShape: Sendable {
  let name: String
  let kind: SettingKind
  let words: [String: Int]
  let defaultText: String
  let isSecret: Bool
}

extension Setting {
  var shape: ValueShape {
    ValueShape(name: name, kind: kind, words: words, defaultText: defaultText, isSecret: isSecret)
  }

  func parse(_ raw: String, machineMemoryBytes: Int) throws(SettingError) -> SettingValue {
    try shape.parse(raw, machineMemoryBytes: machineMemoryBytes)
  }

  /// What an operator may write, as the end of a sentence: `a size such as 512mb ...`.
  public var accepted: String { shape.accepted }
}

extension ValueShape {
  /// Parses a value as an operator writes it.
  /// - Parameter machineMemoryBytes: what a percentage of memory is a share of.
  func parse(_ raw: String, machineMemoryBytes: Int) throws(SettingError) -> SettingValue {
    let text = SettingText.trimmed(raw)
    if let number = words[text.lowercased()] { return SettingValue(text: text.lowercased(), number: number) }
    switch kind {
    case .bytes(let range):
      return try number(SettingText.bytes(text), in: range, raw, SettingText.bytesText)
    case .memory(let range):
      if text.hasSuffix("%") {
        guard let share = Int(text.dropLast()), 1...100 ~= share else { throw invalid(raw) }
        return SettingValue(text: text, number: max(machineMemoryBytes / 100 * share, range.lowerBound))
      }
      // 0, Redis's "no limit", is the default share here: a node never grows until the machine ends it.
      if text == "0" { return try parse(defaultText, machineMemoryBytes: machineMemoryBytes) }
      return try number(SettingText.bytes(text), in: range, raw, SettingText.bytesText)
    case .duration(let range):
      return try number(
        SettingText.microseconds(text), in: max(0, range.lowerBound)...range.upperBound, raw, SettingText.durationText)
    case .integer(let range):
      return try number(Int(text), in: range, raw) { String($0) }
    case .percent(let range):
      return try number(Int(text.hasSuffix("%") ? String(text.dropLast()) : text), in: range, raw) { "\($0)%" }
    case .bool:
      guard let value = SettingText.bool(text) else { throw invalid(raw) }
      return SettingValue(text: value ? "yes" : "no", number: value ? 1 : 0)
    case .choice(let choices):
      guard let index = choices.firstIndex(of: text.lowercased()) else { throw invalid(raw) }
      return SettingValue(text: choices[index], number: index)
    case .text:
      guard !raw.utf8.contains(0) else { throw invalid(raw) }
      let value = isSecret ? raw : text
      return SettingValue(text: value, number: value.utf8.count)
    case .list:
      let parts = text.split { $0 == "," || $0 == " " || $0 == "\t" }
      return SettingValue(text: parts.joined(separator: " "), number: parts.count)
    case .namespaces:
      return NamespaceDeclaration.value(try NamespaceDeclaration.merged([], adding: raw))
    }
  }

  private func number(
    _ value: Int?, in range: ClosedRange<Int>, _ raw: String, _ write: (Int) -> String
  ) throws(SettingError) -> SettingValue {
    guard let value else { throw invalid(raw) }
    guard range.contains(value) else { throw SettingError(.outOfRange(range), self, raw) }
    return SettingValue(text: write(value), number: value)
  }

  private func invalid(_ raw: String) -> SettingError { SettingError(.invalid, self, raw) }

  var accepted: String {
    let alternatives = words.keys.sorted().map { ", or \($0)" }.joined()
    return switch kind {
    case .bytes(let range): "a size such as 64mb or 2gb, \(from(range, SettingText.bytesText))\(alternatives)"
    case .memory(let range):
      "a size such as 512mb or 2gb, at least \(SettingText.bytesText(range.lowerBound)), or a share such as 75%"
    case .duration: "a duration with its unit, such as 250us, 10ms, 30s, 5m, 1h or 1d\(alternatives)"
    case .integer(let range): "a whole number \(from(range) { String($0) })\(alternatives)"
    case .percent(let range): "a percentage from \(range.lowerBound)% to \(range.upperBound)%\(alternatives)"
    case .bool: "yes or no"
    case .choice(let choices): choices.dropLast().joined(separator: ", ") + " or " + choices.last!
    case .text: "text"
    case .list: "values separated by commas"
    case .namespaces: "NAME, or NAME:option=value;option=value"
    }
  }

  private func from(_ range: ClosedRange<Int>, _ write: (Int) -> String) -> String {
    "from \(write(range.lowerBound)) to \(write(range.upperBound))"
  }
}
