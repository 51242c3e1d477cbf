import NexusCache
import Testing

@Suite struct ConfigurationFileTests {
  @Test func bothWaysOfWritingASettingAndComments() throws {
    let file = try ConfigurationFile(
      path: "a.conf",
      text: """
        # a comment
        max-memory = 64mb   # another
        eviction lru

        \tredis-port=7000\r
        password = "p#1 \\" 2"   # quoted
        unix-socket = ''
        bind = 127.0.0.1, ::1
        data-dir = /tmp/a#b
        """)
    #expect(file.lines.map(\.number) == [2, 3, 5, 6, 7, 8, 9])
    #expect(
      file.lines.map { "\($0.name)|\($0.value)" } == [
        "max-memory|64mb", "eviction|lru", "redis-port|7000", "password|p#1 \" 2", "unix-socket|",
        "bind|127.0.0.1, ::1", "data-dir|/tmp/a#b",
      ])
  }

  @Test(arguments: [
    ("max-memory", "a.conf:1: max-memory has no value; write \"\" for an empty one"),
    ("max-memory =", "a.conf:1: max-memory has no value; write \"\" for an empty one"),
    ("\n= 64mb", "a.conf:2: write 'name = value', not '= 64mb'"),
    ("password = \"abc", "a.conf:1: password has an opening quote and no closing one"),
    ("password = 'a' b", "a.conf:1: password has something after its closing quote: 'b'"),
    ("threads 1\n\nthreads 2", "a.conf:3: threads is already set in line 1"),
  ])
  func errorsNameTheLine(_ text: String, _ sentence: String) {
    let error = #expect(throws: ConfigurationError.self) { try ConfigurationFile(path: "a.conf", text: text) }
    #expect(error?.description == sentence)
  }
}
