import NexusModel
import NexusService
import NexusTestSupport
import NexusWire
import Testing

@testable import NexusDiscovery

@Suite struct EtcdWireTests {
  private func bytes(_ request: EtcdRequest) -> [UInt8] {
    var buffer = OutputBuffer(capacity: 64)
    defer { buffer.deallocate() }
    request.encode(to: &buffer)
    return Array(UnsafeRawBufferPointer(start: buffer.base, count: buffer.count))
  }

  @Test func `requests are as the API has them`() {
    #expect(bytes(.grant(seconds: 10)) == [0x08, 10])
    #expect(bytes(.revoke(lease: 300)) == [0x08, 0xAC, 0x02])
    // In two's complement: ten bytes.
    #expect(bytes(.keepAlive(lease: -1)) == [0x08] + Array(repeating: 0xFF, count: 9) + [0x01])
    #expect(bytes(.put(key: "/a", value: "b", lease: 1)) == [0x0A, 2, 0x2F, 0x61, 0x12, 1, 0x62, 0x18, 1])
    #expect(bytes(.range(prefix: "/a/")) == [0x0A, 3, 0x2F, 0x61, 0x2F, 0x12, 3, 0x2F, 0x61, 0x30])
    #expect(bytes(.watch(prefix: "/", from: 5)) == [0x0A, 8, 0x0A, 1, 0x2F, 0x12, 1, 0x30, 0x18, 5])
  }

  @Test(arguments: [
    ("http://h1:2379", ["http://h1:2379"]), ("http://h1", ["http://h1:2379"]), ("h1:1234", ["http://h1:1234"]),
    ("http://h1:2379/,HTTP://[fd00::5]:2380", ["http://h1:2379", "http://[fd00::5]:2380"]),
    ("http://h1:1, http://h1:1", ["http://h1:1"]),
  ])
  func `endpoints as they are written`(_ text: String, _ expected: [String]) throws {
    #expect(try EtcdEndpoint.list(text).map(\.description) == expected)
  }

  @Test(arguments: [
    "", "http://", "http://h1:0", "http://h1:2379/v3", "http://me:secret@h1:2379", "ftp://h1:2379",
    "http://h1,,http://h2", "http://h1:99999", "http://fd00::5:2379", "http://h1 h2",
  ])
  func `endpoints that are none are named`(_ text: String) {
    let error = #expect(throws: EtcdEndpoint.Invalid.self) { try EtcdEndpoint.list(text) }
    #expect(error?.description.contains("give http://HOST:PORT") == true, "\(String(describing: error))")
  }

  @Test func `TLS is refused in so many words`() {
    let error = #expect(throws: EtcdEndpoint.Invalid.self) { try EtcdEndpoint.list("http://a:1,https://h1:2379") }
    #expect(
      error?.description == "'https://h1:2379' asks for TLS, which is not spoken with etcd: give http://HOST:2379")
  }

  @Test func `bytes that are no answer are no answer`() {
    let seed = Dice.seed()
    print("NEXUS_SEED=\(seed)")
    var dice = Dice(seed: seed)
    let kinds: [EtcdRequest.Kind] = [.grant, .keepAlive, .revoke, .put, .range, .watch]
    // Most are refused; none does harm.
    for _ in 0..<20_000 {
      let bytes = (0..<dice.below(40)).map { _ in UInt8(dice.below(256)) }
      bytes.withUnsafeBytes { bytes in _ = try? EtcdAnswer(kinds[dice.below(kinds.count)], decoding: bytes) }
    }
    #expect(throws: WireError.self) {
      try [0x12, 0x7F].withUnsafeBytes { try EtcdAnswer(.range, decoding: UnsafeRawBufferPointer($0)) }
    }
  }

  /// Keeps what a watch says.
  final class Watch: MessageStreamHandler, @unchecked Sendable {
    let log = KeptLog()
    func opened(_ stream: any MessageStream) {}
    func received(_ message: UnsafeRawBufferPointer) {
      log.info((try? EtcdAnswer(.watch, decoding: message)).map { "\($0)" } ?? "garbled")
    }
    func closed(_ end: CallEnd, _ trailers: [(name: String, value: String)]) {}
  }

  @Test(.enabled(if: EtcdServer.isInstalled, "scripts/setup test installs etcd"))
  func `a real etcd says which revisions it has forgotten`() throws {
    let etcd = try EtcdServer(), loop = try DiscoveryLoop()
    for value in ["1", "2", "3"] { try etcd.control("put", "/m/a", value) }
    #expect(try etcd.control("compact", "4").status == 0)
    let watch = Watch()
    let address = NetworkAddress(host: "127.0.0.1", port: UInt16(etcd.port))
    loop.loop.post { [streams = loop.streams] in
      let path = EtcdRequest.Kind.watch.path
      let stream = streams.open(to: address, path: path, headers: [], timeoutMilliseconds: nil, watch)
      _ = stream.send { EtcdRequest.watch(prefix: "/m/", from: 1).encode(to: &$0) }
    }
    #expect(eventually { watch.log.count("isCanceled: true, compactRevision: 4") == 1 }, "\(watch.log.all)")
  }
}
