import Foundation
import Testing

@testable import NexusHTTPDoor

/// What docs/http.md shows is what curl shows.
@Suite struct DocumentedExampleTests {
  struct Example {
    var command: String
    var output = ""
  }

  @Test func everyExampleOfTheHTTPPageAnswersAsItIsPrinted() throws {
    let server = try TestServer()
    defer { server.stop() }
    let examples = try Self.examples()
    #expect(examples.count > 15)
    for example in examples { #expect(try Self.run(example.command, port: server.door.port) == example.output) }
  }

  @Test func everyErrorCodeIsExplained() throws {
    let text = try Self.text("docs/http.md")
    var codes: Set<Substring> = []
    for file in ["Problem.swift", "Responder.swift"] {
      let source = try Self.text("Sources/NexusHTTPDoor/\(file)")
      for match in source.matches(of: #/code(?:\\?": ?|: )\\?"(\w+)\\?"/#) {
        codes.insert(match.1)
      }
    }
    #expect(codes.count >= 15)
    for code in codes { #expect(text.contains("| `\(code)` |"), "\(code) is not in docs/http.md") }
  }

  private static func text(_ path: String) throws -> String {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    return try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  /// Commands after `$ ` in console blocks, each with the lines that follow.
  private static func examples() throws -> [Example] {
    var examples: [Example] = []
    var isInside = false
    for line in try text("docs/http.md").split(separator: "\n", omittingEmptySubsequences: false) {
      if line.hasPrefix("```") {
        isInside = line == "```console"
      } else if isInside && line.hasPrefix("$ ") {
        examples.append(Example(command: String(line.dropFirst(2))))
      } else if isInside {
        examples[examples.count - 1].output += line + "\n"
      }
    }
    return examples
  }

  /// Replies end without a line feed; the page shows one.
  private static func run(_ command: String, port: UInt16) throws -> String {
    let shell = Process()
    shell.executableURL = URL(fileURLWithPath: "/bin/sh")
    let local = command.replacingOccurrences(of: "localhost:8080", with: "127.0.0.1:\(port)")
      .replacingOccurrences(of: "curl ", with: "curl --silent --noproxy '*' ")
    shell.arguments = ["-c", local]
    let output = Pipe()
    shell.standardOutput = output
    try shell.run()
    let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
    shell.waitUntilExit()
    return text.hasSuffix("\n") ? text : text + "\n"
  }
}
