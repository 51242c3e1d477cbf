import NexusService

/// The effective settings, as `config check` and `config show` print them.
struct SettingsReport {
  let settings: Settings

  init(_ settings: Settings) { self.settings = settings }

  /// One line a setting: name, value, where it comes from.
  var withOrigins: String {
    let rows = Setting.all.map { (name: $0.name, value: value($0), origin: settings.origin($0.id).description) }
    let nameWidth = rows.map(\.name.count).max()! + 2
    let valueWidth = rows.map(\.value.count).max()! + 2
    return rows.map { padded($0.name, nameWidth) + padded($0.value, valueWidth) + $0.origin + "\n" }.joined()
  }

  /// A file that `--config` accepts. A password is left out.
  var asFile: String {
    var text = ""
    for group in SettingGroup.allCases {
      text += "\(text.isEmpty ? "" : "\n")# \(group.rawValue)\n"
      for setting in Setting.all where setting.group == group {
        if setting.isSecret && !settings.text(setting.id).isEmpty {
          text += "# \(setting.name) is set, and not shown\n"
        } else if setting.isRepeatable && !settings.text(setting.id).isEmpty {
          for namespace in settings.namespaces {
            let (value, hidden) = namespace.withoutSecrets
            text += "\(setting.name) = \(quoted(value))\n"
            for option in hidden { text += "# \(option) of \(namespace.name) is set, and not shown\n" }
          }
        } else {
          text += "\(setting.name) = \(quoted(settings.text(setting.id)))\n"
        }
      }
    }
    return text
  }

  private func value(_ setting: Setting) -> String {
    let text = settings.shownText(setting.id)
    if setting.isSecret { return text.isEmpty ? "(none)" : "(set)" }
    if text.isEmpty { return "(none)" }
    if case .memory = setting.kind, text.hasSuffix("%") {
      return "\(text) (\(settings.number(setting.id) >> 20)mb)"
    }
    return text
  }

  private func quoted(_ text: String) -> String {
    let isPlain = !text.isEmpty && !text.contains { " \t#\"'\\".contains($0) }
    if isPlain { return text }
    return "\"" + text.flatMap { $0 == "\"" || $0 == "\\" ? ["\\", $0] : [$0] } + "\""
  }

  private func padded(_ text: String, _ width: Int) -> String {
    text + String(repeating: " ", count: max(0, width - text.count))
  }
}
