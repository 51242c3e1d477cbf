import Foundation
import Testing

@testable import NexusOrigins

/// docs/origins.md lists the options as their table does. `make docs` writes the section anew.
@Suite struct OriginsDocumentationTests {
  @Test func thePageNamesEveryOptionAsItsTableDoes() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let page = root.appendingPathComponent("docs/origins.md")
    let text = try String(contentsOf: page, encoding: .utf8)
    let opening = try #require(text.range(of: "<!-- options: written by make docs -->\n"))
    let closing = try #require(text.range(of: "<!-- end of options -->"))
    let section = opening.upperBound..<closing.lowerBound
    if ProcessInfo.processInfo.environment["UPDATE_DOCS"] == "1" {
      try text.replacingCharacters(in: section, with: table).write(to: page, atomically: true, encoding: .utf8)
    } else {
      #expect(text[section] == table, "docs/origins.md does not agree with OriginOption.all: run 'make docs'")
    }
  }

  private var table: String {
    "\n| option | of | takes | default | meaning |\n|---|---|---|---|---|\n"
      + OriginOption.all.map { option in
        let of = option.schemes.isEmpty ? "all but `static`" : option.schemes.map { "`\($0)`" }.joined(separator: ", ")
        let value = option.defaultText.isEmpty ? "" : "`\(option.defaultText)`"
        return "| `\(option.name)` | \(of) | \(option.accepted) | \(value) | \(option.help) |\n"
      }.joined() + "\n"
  }
}
