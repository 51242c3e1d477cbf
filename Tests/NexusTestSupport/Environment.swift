import Glibc

/// Environment variables of the test process.
public enum Environment {
  public static subscript(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  public static func number(_ name: String, default standard: Int) -> Int {
    self[name].flatMap { Int($0) } ?? standard
  }

  /// How many times longer than usual everything may take: `scripts/sanitized` says so of what it has built.
  public static let patience = max(1, number("NEXUS_PATIENCE", default: 1))

  /// Where the built products are: the directory of the running test executable.
  public static var productsDirectory: String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let path = String(decoding: buffer[..<max(0, length)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return path[..<(path.lastIndex(of: "/") ?? path.startIndex)].description
  }

  /// The first directory of PATH that has this program.
  public static func find(program: String) -> String? {
    for directory in (self["PATH"] ?? "/usr/bin:/bin").split(separator: ":") {
      let candidate = "\(directory)/\(program)"
      if access(candidate, X_OK) == 0 { return candidate }
    }
    return nil
  }

  /// A new empty directory under the system's temporary one.
  public static func makeTemporaryDirectory() -> String {
    var template = Array("\(self["TMPDIR"] ?? "/tmp")/nexus-test-XXXXXX".utf8CString)
    return mkdtemp(&template) == nil ? "/tmp" : String(decoding: template.dropLast().map { UInt8($0) }, as: UTF8.self)
  }
}
