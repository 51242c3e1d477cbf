import NexusModel
import Testing

@Suite struct NetworkAddressTests {
  @Test(arguments: [
    ("127.0.0.1:7946", "127.0.0.1", 7946), ("node-2:1", "node-2", 1), ("[::1]:65535", "::1", 65535),
    ("a.example:80", "a.example", 80),
  ])
  func isReadAsPeopleWriteIt(_ text: String, _ host: String, _ port: UInt16) throws {
    let address = try #require(NetworkAddress(text))
    #expect(address == NetworkAddress(host: host, port: port))
    #expect(address.description == text)
  }

  @Test(arguments: [
    "", ":", "host", "host:", ":80", "host:0", "host:65536", "host:-1", "host:+1", "host:1x", "::1:80", "[::1:80",
    "a b:80", "http://host:80",
  ])
  func anythingElseIsRefused(_ text: String) { #expect(NetworkAddress(text) == nil) }
}
