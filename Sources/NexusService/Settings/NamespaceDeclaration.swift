import NexusModel
import NexusStore

/// One namespace as the setting `namespace` declares it: `NAME` or `NAME:option=value;option=value`.
///
/// Options end at a `;` and have their value behind the first `=`, so that addresses with `?`, `&`, `=`, `,` and `:`
/// are values as they stand. Declarations end at a space. A value with a `;` or a space cannot be written: addresses
/// write these %3B and %20.
public struct NamespaceDeclaration: Sendable, Equatable {
  public let name: String
  let values: [String: SettingValue]

  public var number: NamespaceNumber { NamespaceName.number(of: name) }

  /// As `parse` reads it again, options in their table's order.
  public var text: String { written { _, value in value.text } }

  /// The same for whoever looks on: without what is secret.
  public var shownText: String { written { option, value in option.isSecret ? Self.hidden : value.text } }

  /// The same without the secret options, and their names.
  public var withoutSecrets: (text: String, hidden: [String]) {
    let hidden = NamespaceOption.all.filter { $0.isSecret && values[$0.name] != nil }.map(\.name)
    return (written { option, value in option.isSecret ? nil : value.text }, hidden)
  }

  private func written(_ write: (NamespaceOption, SettingValue) -> String?) -> String {
    let options = NamespaceOption.all.compactMap { option in
      values[option.name].flatMap { write(option, $0) }.map { "\(option.name)=\($0)" }
    }
    return options.isEmpty ? name : "\(name):\(options.joined(separator: ";"))"
  }

  /// - Parameter options: names and values; a value of nil was not given.
  init(_ name: String, _ options: [(name: String, value: String?)], of text: String) throws(SettingError) {
    if let why = NamespaceName.refusal(of: name) {
      throw Self.error(text, "'\(name.prefix(80))' cannot be a namespace's name: \(why)")
    }
    self.name = name
    var values: [String: SettingValue] = [:]
    for (optionName, value) in options {
      guard let option = NamespaceOption.named(optionName) else {
        throw Self.error(text, Self.unknown(optionName))
      }
      guard let value, !value.isEmpty else {
        throw Self.error(text, "\(option.name) has no value: write \(option.name)=VALUE, with VALUE \(option.accepted)")
      }
      guard !value.contains(where: { $0 == ";" || $0.isWhitespace }) else {
        throw Self.error(text, "\(option.name) has a ';' or a space in its value: an address writes these %3B and %20")
      }
      guard values[option.name] == nil else { throw Self.error(text, "\(option.name) is given twice") }
      do throws(SettingError) {
        values[option.name] = try option.shape.parse(value, machineMemoryBytes: 0)
      } catch { throw Self.error(text, error.description) }
    }
    self.values = values
  }

  private init(_ text: Substring) throws(SettingError) {
    let name = text.prefix { $0 != ":" }
    let options = text.dropFirst(name.count + 1).split(separator: ";").map { part in
      let option = part.prefix { $0 != "=" }
      let value = part.count > option.count ? String(part.dropFirst(option.count + 1)) : nil
      return (name: String(option), value: value)
    }
    try self.init(String(name), options, of: String(text))
  }

  /// Whether it may have been meant as an option's name, and is no piece of a value.
  private static func isOptionLike(_ name: some StringProtocol) -> Bool {
    name.utf8.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) || $0 == UInt8(ascii: "-") }
  }

  private static func unknown(_ option: String) -> String {
    let names = NamespaceOption.all.map(\.name)
    guard isOptionLike(option) else {
      return "what stands behind a ';' there is no option: an address writes ';' as %3B; the options are "
        + names.joined(separator: ", ")
    }
    let hint = nearestName(to: option, among: names).map { "did you mean '\($0)'?" }
    return "there is no option '\(option)'; " + (hint ?? "the options are \(names.joined(separator: ", "))")
  }

  private static func error(_ text: String, _ why: String) -> SettingError {
    SettingError(.conflict(why), Setting.all[SettingID.namespace.rawValue], String(shown(text).prefix(200)))
  }

  private static let hidden = "(hidden)"

  /// A text that may be wrong, without the values of options that are secret or may have been meant to be.
  private static func shown(_ text: String) -> String {
    let name = text.prefix { $0 != ":" }
    let options = text.dropFirst(name.count + 1).split(separator: ";").map { part in
      let option = part.prefix { $0 != "=" }
      if NamespaceOption.named(String(option))?.isSecret == false || part == option && isOptionLike(part) {
        return String(part)
      }
      return isOptionLike(option) ? "\(option)=\(hidden)" : hidden
    }
    return options.isEmpty ? text : "\(name):\(options.joined(separator: ";"))"
  }

  // MARK: Several

  /// The declarations of a text, in its order.
  static func parse(_ text: String) throws(SettingError) -> [NamespaceDeclaration] {
    var declarations: [NamespaceDeclaration] = []
    for part in text.split(whereSeparator: { $0.isWhitespace }) { declarations.append(try NamespaceDeclaration(part)) }
    return declarations
  }

  /// With those of a text added: a name that is there already is declared anew, as a whole. Refused are two names with
  /// one number.
  static func merged(
    _ before: [NamespaceDeclaration], adding text: String
  ) throws(SettingError) -> [NamespaceDeclaration] {
    var merged = before
    for declaration in try parse(text) {
      if let index = merged.firstIndex(where: { $0.number == declaration.number }) {
        guard merged[index].name == declaration.name else {
          throw error(
            declaration.text,
            "the name '\(declaration.name)' has the number \(declaration.number), and so has '\(merged[index].name)': "
              + "choose another name for one of them")
        }
        merged[index] = declaration
      } else {
        merged.append(declaration)
      }
    }
    return merged
  }

  static func value(_ declarations: [NamespaceDeclaration]) -> SettingValue {
    SettingValue(text: declarations.map(\.text).joined(separator: " "), number: declarations.count)
  }
}

extension Settings {
  /// Declares a namespace, or an existing one anew: as `change` does for its text.
  public func declareNamespace(
    _ name: String, _ options: [(name: String, value: String)], as worker: Worker = Settings.visitor()
  ) throws(SettingError) {
    let text = options.isEmpty ? name : "\(name):" + options.map { "\($0.name)=\($0.value)" }.joined(separator: ";")
    let declaration = try NamespaceDeclaration(name, options.map { ($0.name, Optional($0.value)) }, of: text)
    try change([(.namespace, declaration.text)], as: worker)
  }

  /// Every namespace that is declared, in the order in which they came.
  public var namespaces: [NamespaceDeclaration] {
    guard let declarations = try? NamespaceDeclaration.parse(text(.namespace)) else {
      preconditionFailure("the setting namespace holds what it does not accept")
    }
    return declarations
  }
}
