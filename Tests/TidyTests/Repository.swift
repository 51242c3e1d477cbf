import Foundation

/// The files of this repository, as the checks below read them.
enum Repository {
  static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  struct File {
    var path: String
    var lines: [Substring]
  }

  static func text(_ path: String) throws -> String {
    try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
  }

  /// Files under a folder whose name ends in one of these, by path.
  static func files(under folder: String, ending endings: String...) throws -> [File] {
    let names = FileManager.default.enumerator(atPath: root.appendingPathComponent(folder).path)
    var files: [File] = []
    while let name = names?.nextObject() as? String {
      guard endings.contains(where: name.hasSuffix) else { continue }
      let path = "\(folder)/\(name)"
      files.append(File(path: path, lines: try text(path).split(separator: "\n", omittingEmptySubsequences: false)))
    }
    return files.sorted { $0.path < $1.path }
  }

  /// The module that an import line names: `import A`, `@testable import A`, `import struct A.B`.
  static func imports(of file: File) -> [String] {
    file.lines.compactMap { line in
      let words = line.split(separator: " ")
      guard let at = words.firstIndex(of: "import"), at + 1 < words.count,
        words[..<at].allSatisfy({ $0.hasPrefix("@") || ["public", "internal", "private", "package"].contains($0) })
      else { return nil }
      let kinds: Set<Substring> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
      let module = kinds.contains(words[at + 1]) && at + 2 < words.count ? words[at + 2] : words[at + 1]
      return String(module.prefix { $0 != "." })
    }
  }
}
