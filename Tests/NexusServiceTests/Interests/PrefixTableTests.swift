import NexusModel
import Testing

@testable import NexusService

@Suite("A table of prefixes")
struct PrefixTableTests {
  private func matches(_ table: PrefixTable, _ key: String) -> [String] {
    var found: [String] = []
    Array(key.utf8).withUnsafeBytes { bytes in
      table.forEachMatch(bytes) { found.append("\(String(decoding: $0, as: UTF8.self)):\($1)") }
    }
    return found
  }

  private func table(_ prefixes: (String, Int)...) -> PrefixTable {
    var table = PrefixTable()
    for (prefix, listener) in prefixes { table.add(Array(prefix.utf8), for: listener) }
    return table
  }

  @Test("names every prefix of a key, the shortest first, with everybody who asked")
  func matching() {
    let table = table(("user:", 1), ("", 0), ("user:1", 2), ("user:", 3), ("item:", 1))
    #expect(matches(table, "user:17") == [":0", "user::1", "user::3", "user:1:2"])
    #expect(matches(table, "user:") == [":0", "user::1", "user::3"])
    #expect(matches(table, "use") == [":0"])
    #expect(matches(table, "") == [":0"])
    #expect(table.count == 4)
  }

  @Test("knows nothing of a prefix when the last who asked has gone")
  func removing() {
    var table = table(("a", 1), ("a", 1), ("a", 2), ("bb", 1))
    table.remove([0x61], for: 1)
    #expect(matches(table, "ab") == ["a:1", "a:2"], "it has been asked for twice")
    table.remove([0x61], for: 1)
    #expect(matches(table, "ab") == ["a:2"])
    table.remove([0x61], for: 7)
    table.remove([0x61], for: 2)
    #expect(matches(table, "ab") == [])
    #expect(table.count == 1)
    #expect(matches(table, "bbb") == ["bb:1"])
  }
}
