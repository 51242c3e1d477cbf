import NexusModel
import Testing

@Suite("A glob pattern")
struct GlobPatternTests {
  @Test(
    "matches as Redis matches",
    arguments: [
      ("*", "a", true), ("*", "", false), ("", "", true), ("", "a", false), ("a*", "a", true), ("a**", "a", true),
      ("*a", "ba", true), ("*a", "ab", false), ("a?c", "abc", true), ("a?", "a", false), ("?", "", false),
      ("[abc]", "b", true), ("[^abc]", "b", false), ("[^abc]", "d", true), ("[a-c]x", "bx", true),
      ("[c-a]", "b", true), ("[a-]", "-", false), ("[", "a", false), ("[a", "a", true), ("[^", "x", true),
      ("[\\]]", "]", true), ("\\*", "*", true), ("\\*", "a", false), ("\\", "\\", true), ("a\\", "a\\", true),
      ("h*llo*d", "hello world", true), ("*a*b*c*", "xxaxxbxxc", true), ("*a*b*c*", "xxaxxcxxb", false),
      ("a*", "ab*", true), ("*b", "aab", true), ("[]a", "a", false),
    ])
  func matches(_ pattern: String, _ text: String, _ expected: Bool) {
    #expect(GlobPattern.matches(Array(pattern.utf8), Array(text.utf8)) == expected)
  }

  @Test("can ignore the case of letters")
  func ignoringCase() {
    #expect(GlobPattern.matches(Array("MAX*[A-C]".utf8), Array("maxMemoryb".utf8), ignoringCase: true))
    #expect(!GlobPattern.matches(Array("MAX*".utf8), Array("max".utf8)))
  }

  @Test("full of stars takes no long time to fail")
  func manyStars() {
    let pattern = Array(String(repeating: "a*", count: 200).utf8) + [0x62]
    #expect(!GlobPattern.matches(pattern, Array(repeating: 0x61, count: 5000)))
  }
}
