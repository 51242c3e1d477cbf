import Foundation
import NexusService
import Testing

/// The documentation says what the tables say. `make docs` writes the sections between the markers anew.
@Suite(.serialized) struct DocumentationTests {
  @Test func operatingNamesEverySettingAsItsTableDoes() throws {
    try check("settings", Self.settings)
  }

  @Test func operatingNamesEveryRedisSettingWithoutCounterpart() throws {
    try check("redis-settings", Self.redisSettings)
  }

  @Test func thePageOfNamespacesNamesEveryOptionAsItsTableDoes() throws {
    try check("namespace-options", Self.namespaceOptions, in: "docs/namespaces.md")
  }

  private func check(_ marker: String, _ expected: String, in path: String = "docs/operating.md") throws {
    let start = "<!-- \(marker): written by make docs -->\n", end = "<!-- end of \(marker) -->"
    let text = try Repository.text(path)
    let opening = try #require(text.range(of: start), "\(path) has no section \(marker)")
    let closing = try #require(text.range(of: end), "\(path) does not close its section \(marker)")
    let section = opening.upperBound..<closing.lowerBound
    if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
      let updated = text.replacingCharacters(in: section, with: expected)
      try updated.write(to: Repository.root.appendingPathComponent(path), atomically: true, encoding: .utf8)
    } else {
      #expect(text[section] == expected, "\(path) does not agree with the settings: run 'make docs'")
    }
  }

  private static var settings: String {
    var text = ""
    for group in SettingGroup.allCases {
      text += "\n### \(group.rawValue)\n\n| setting | default | meaning | takes | Redis name |\n|---|---|---|---|---|\n"
      for setting in Setting.all where setting.group == group {
        let redis = setting.redis.map { "`\($0.name)`" } ?? ""
        text += "| `\(setting.name)`\(setting.isMutable ? " \\*" : "") | \(code(setting.defaultText)) | "
        text += "\(setting.help) | \(setting.accepted) | \(redis) |\n"
      }
    }
    return text + "\n"
  }

  private static var namespaceOptions: String {
    var text = "\n| option | where it is not given | meaning | takes |\n|---|---|---|---|\n"
    for option in NamespaceOption.all {
      let standard = option.follows == nil ? code(option.defaultText) : "the node's"
      text += "| `\(option.name)` | \(standard) | \(option.help) | \(option.accepted) |\n"
    }
    return text + "\n"
  }

  private static var redisSettings: String {
    var text = "\n| Redis setting | answers | may be set to | because |\n|---|---|---|---|\n"
    for setting in RedisOnlySetting.all {
      let change =
        switch setting.change {
        case .ignored: "anything of its kind, without effect"
        case .fixed: "what it is"
        case .immutable: "nothing"
        }
      text += "| `\(setting.name)` | \(code(setting.value)) | \(change) | \(setting.why) |\n"
    }
    return text + "\n"
  }

  private static func code(_ text: String) -> String { text.isEmpty ? "(empty)" : "`\(text)`" }
}
