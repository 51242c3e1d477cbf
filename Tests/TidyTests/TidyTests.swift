import Foundation
import Testing

/// The style that no compiler checks.
@Suite struct TidyTests {
  /// What a pure core may import: the vocabulary, its C shim, and the C library for memory. No IO, no clock, no
  /// chance: those are arguments.
  @Test(arguments: [
    ("NexusModel", ["Glibc", "Musl", "Synchronization"]),
    ("NexusStore", ["NexusModel", "CIntrinsics", "CXXHash", "Glibc", "Musl", "Synchronization"]),
    ("NexusRing", ["NexusModel", "CNettle", "CXXHash"]),
    ("NexusRESP", ["NexusModel", "CIntrinsics", "Glibc", "Musl"]),
    ("NexusWire", ["NexusModel", "Glibc", "Musl"]),
    ("NexusGossip", ["NexusModel"]),
    ("NexusReplication", ["NexusModel"]),
    ("NexusSketch", ["NexusModel", "CXXHash", "Glibc", "Musl"]),
    // The deciding parts of a shell are pure too.
    ("NexusOrigins/Cores", ["NexusModel", "NexusService"]),
    // A fake world is pure as well.
    ("NexusSimulation", ["NexusModel", "NexusGossip", "NexusReplication", "NexusService"]),
  ])
  func pureCoresImportOnlyTheVocabulary(_ core: String, _ allowed: [String]) throws {
    for file in try Repository.files(under: "Sources/\(core)", ending: ".swift") {
      for module in Repository.imports(of: file) {
        #expect(allowed.contains(module), "\(file.path) imports \(module); \(core) may import \(allowed)")
      }
    }
  }

  /// Foundation is five times the size of everything else the server links, and slower than what is used here.
  @Test func nothingTheServerLinksImportsFoundation() throws {
    for file in try Repository.files(under: "Sources", ending: ".swift") {
      for module in Repository.imports(of: file) {
        #expect(!module.hasPrefix("Foundation"), "\(file.path) imports \(module)")
      }
    }
  }

  /// One idea a file. Longer ones are named here, with the reason.
  private let longFiles: [String: String] = [:]

  @Test func filesHaveAtMost400Lines() throws {
    for file in try source() where longFiles[file.path] == nil {
      #expect(file.lines.count <= 401, "\(file.path) has \(file.lines.count - 1) lines; give each idea its own file")
    }
  }

  @Test func linesHaveAtMost120Columns() throws {
    for file in try source() {
      for (index, line) in file.lines.enumerated() where line.utf8.count > 120 && line.count > 120 {
        // A sentence that a test expects word for word is not broken.
        let isExpectation = file.path.hasPrefix("Tests/") && line.contains("\"")
        #expect(isExpectation, "\(file.path):\(index + 1) has \(line.count) columns")
      }
    }
  }

  @Test func nothingIsLeftForLater() throws {
    let words = ["TO" + "DO", "FIX" + "ME"]
    for file in try source() {
      for (index, line) in file.lines.enumerated() {
        for word in words where line.contains(word) && !line.contains("\"\(word)") {
          Issue.record("\(file.path):\(index + 1) says \(word)")
        }
      }
    }
  }

  /// docs/decisions/NNNN-title.md: `# NNNN. Title`, then what was, what we do, what follows.
  @Test func decisionRecordsHaveTheirShape() throws {
    let records = try Repository.files(under: "docs/decisions", ending: ".md")
    #expect(!records.isEmpty)
    var numbers: Set<String> = []
    for record in records {
      let name = record.path.split(separator: "/").last!
      let number = String(name.prefix(4))
      #expect(number.allSatisfy(\.isNumber) && name.dropFirst(4).hasPrefix("-"), "\(record.path): NNNN-title.md")
      #expect(numbers.insert(number).inserted, "\(record.path): its number is taken")
      #expect(record.lines.first?.hasPrefix("# \(number). ") == true, "\(record.path): starts with '# \(number). '")
      let headings = record.lines.filter { $0.hasPrefix("## ") }
      #expect(headings == ["## Context", "## Decision", "## Consequence"], "\(record.path)")
    }
  }

  private func source() throws -> [Repository.File] {
    try Repository.files(under: "Sources", ending: ".swift", ".c", ".h")
      + Repository.files(under: "Tests", ending: ".swift")
  }
}
