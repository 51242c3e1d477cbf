import NexusService

/// The options of one origin's configuration, taken one after another; what is left in the end is unknown.
struct OptionReader {
  /// How the origin is called in errors.
  private let origin: String
  private var given: [(name: String, value: String)] = []

  /// - Parameter text: `NAME=VALUE&NAME=VALUE`, percent-encoded where it has `&`, `%` or control characters.
  init(_ text: Substring, origin: String) throws(OriginConfigurationError) {
    self.origin = origin
    for piece in text.split(separator: "&") {
      guard let equals = piece.firstIndex(of: "=") else {
        throw failure("the option '\(piece)' has no value: write \(piece)=VALUE, and %26 for an & within a value")
      }
      let name = String(piece[..<equals])
      guard let bytes = PercentText.decoded(piece[piece.index(after: equals)...]),
        let value = String(validating: bytes, as: UTF8.self), !bytes.contains(0)
      else {
        throw failure("the value of \(name) is not percent-encoded text: write %25 for a %, and UTF-8 without NUL")
      }
      guard let option = OriginOption.named(name) else { throw unknown(name) }
      guard option.isRepeatable || !given.contains(where: { $0.name == name }) else {
        throw failure("\(name) is given twice")
      }
      given.append((name, value))
    }
  }

  mutating func text(_ name: String) -> String? {
    guard let index = given.firstIndex(where: { $0.name == name }) else { return nil }
    return given.remove(at: index).value
  }

  mutating func texts(_ name: String) -> [String] {
    var values: [String] = []
    while let value = text(name) { values.append(value) }
    return values
  }

  mutating func count(_ name: String, _ range: ClosedRange<Int>, into target: inout Int)
    throws(OriginConfigurationError)
  {
    guard let value = text(name) else { return }
    guard let number = Int(value), range.contains(number) else {
      throw failure("\(name) cannot be '\(value)': give a whole number from \(range.lowerBound) to \(range.upperBound)")
    }
    target = number
  }

  /// A duration with its unit, in milliseconds, of at most a day.
  mutating func duration(_ name: String, atLeast least: Int = 0, into target: inout Int)
    throws(OriginConfigurationError)
  {
    guard let value = text(name) else { return }
    guard let microseconds = SettingText.microseconds(value), microseconds % 1000 == 0,
      (least...86_400_000).contains(microseconds / 1000)
    else {
      throw failure("\(name) cannot be '\(value)': give a duration from \(least)ms to 1d, such as 250ms or 2s")
    }
    target = microseconds / 1000
  }

  mutating func bytes(_ name: String, _ range: ClosedRange<Int>, into target: inout Int)
    throws(OriginConfigurationError)
  {
    guard let value = text(name) else { return }
    guard let count = SettingText.bytes(value), range.contains(count) else {
      let least = SettingText.bytesText(range.lowerBound), most = SettingText.bytesText(range.upperBound)
      throw failure("\(name) cannot be '\(value)': give a size from \(least) to \(most), such as 64kb or 16mb")
    }
    target = count
  }

  /// One of these words; the first where it is not given.
  mutating func word(_ name: String, _ words: [String]) throws(OriginConfigurationError) -> String {
    guard let value = text(name) else { return words[0] }
    guard words.contains(value) else {
      throw failure("\(name) cannot be '\(value)': give \(words.joined(separator: " or "))")
    }
    return value
  }

  /// To be called when all that this origin knows has been taken.
  func finish() throws(OriginConfigurationError) {
    if let rest = given.first { throw failure("\(rest.name) means nothing to an origin of this kind") }
  }

  func failure(_ sentence: String) -> OriginConfigurationError {
    OriginConfigurationError("the origin \(origin): \(sentence)")
  }

  private func unknown(_ name: String) -> OriginConfigurationError {
    let names = OriginOption.all.map(\.name)
    if let near = nearestName(to: name, among: names) {
      return failure("there is no option '\(name)'; did you mean '\(near)'?")
    }
    return failure("there is no option '\(name)'; there are \(names.joined(separator: ", "))")
  }
}
