import NexusModel
import Testing

@testable import NexusBench

@Suite struct RequestTests {
  func text(_ arguments: String, _ body: (inout RequestWriter) -> UnsafeRawBufferPointer) throws -> String {
    let workload = try #require(try Workload.parse(arguments.split(separator: " ").map(String.init)))
    var writer = RequestWriter(workload, seed: 1)
    defer { writer.deallocate() }
    return String(decoding: body(&writer), as: UTF8.self)
  }

  @Test func loadingWritesTheKeysInOrder() throws {
    let line = "--op load --pipeline 2 --keys 100 --value-size 3"
    let sent = try text(line) { $0.load(from: 41, count: 2) }
    let shape = sent.replacing(/[a-z]{3}\r\n/, with: "VAL\r\n")
    #expect(
      shape
        == "*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000041\r\n$3\r\nVAL\r\n*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000042\r\n$3\r\nVAL\r\n"
    )
  }

  @Test(arguments: ["--first-key 7 --slots 3,100-4000,16383", "--key-size 12 --slots 0-99"])
  func keysOfChosenSlotsAreAllLoadedAndNoOthersAreAsked(options: String) throws {
    let line = "\(options) --keys 300 --value-size 3 --pipeline 300"
    func keys(_ requests: String) -> [String] {
      requests.split(separator: "\r\n").filter { $0.contains(/^(key:)?0+[0-9]*$/) && $0.utf8.count >= 12 }.map(
        String.init)
    }
    let loaded = keys(try text("\(line) --op load") { $0.load(from: 0, count: 300) })
    let asked = keys(try text("\(line) --op get") { $0.turn(nil, nil) })
    #expect(loaded.count == 300)
    #expect(Set(loaded).count == 300)
    #expect(asked.count == 300)
    #expect(Set(loaded).isSuperset(of: asked))
    let chosen = try #require(options.split(separator: " ").last)
    let slots = chosen.split(separator: ",").map { $0.split(separator: "-").map { UInt16($0)! } }
    for key in loaded {
      let slot = Array(key.utf8).withUnsafeBytes { Slot(of: $0).index }
      #expect(slots.contains { $0[0] <= slot && slot <= $0[$0.count - 1] }, "\(key) is in slot \(slot)")
    }
  }

  @Test func eachProtocolWritesAsItsManualSays() throws {
    let one = "--keys 1 --key-size 1 --value-size 1 --op set --ttl 1500ms"
    func sent(_ name: String) throws -> String {
      try text("\(one) --protocol \(name)") { $0.turn(nil, nil) }.replacing(/\r\n[a-z]\r\n/, with: "\r\nV\r\n")
    }
    #expect(
      try sent("resp") == "*5\r\n$3\r\nSET\r\n$1\r\n0\r\n$1\r\nV\r\n$2\r\nPX\r\n$4\r\n1500\r\n")
    #expect(try sent("memcached") == "set 0 0 2 1\r\nV\r\n")
    #expect(try sent("memcached-meta") == "ms 0 1 T2\r\nV\r\n")
    #expect(try sent("http").hasPrefix("PUT /api/cache/0?ttl=2 HTTP/1.1\r\nHost: 127.0.0.1\r\n"))
    #expect(try sent("http").contains("\r\nContent-Length: 1\r\n\r\n"))
  }

  @Test func aReadOfSeveralKeysNamesThemAll() throws {
    let sent = try text("--keys 1 --key-size 2 --op get --batch 3") { $0.turn(nil, nil) }
    #expect(sent == "*4\r\n$4\r\nMGET\r\n$2\r\n00\r\n$2\r\n00\r\n$2\r\n00\r\n")
    let lines = try text("--protocol memcached --keys 1 --key-size 2 --op get --batch 3") { $0.turn(nil, nil) }
    #expect(lines == "get 00 00 00\r\n")
  }

  @Test(arguments: [1, 3, 4, 5, 8, 9, 11, 12, 13, 16, 30]) func keysAreTheirNumberFilledWithZeros(size: Int) {
    var largest: UInt64 = 9
    while KeyFormat.digitCount(largest) < min(size, 12) { largest = largest * 10 + 9 }
    let format = KeyFormat(size: size, largest: largest)
    var random = SplitMix64(seed: 11)
    var key = format.blank()
    for number in [0, largest] + (0..<200).map({ _ in random.below(largest) }) {
      key.withUnsafeMutableBytes { format.patch($0.baseAddress!, number) }
      let digits = key.drop { !(48...57).contains($0) }
      #expect(key.count == size)
      #expect(UInt64(String(decoding: digits, as: UTF8.self)) == number)
    }
  }
}
