import NexusModel
import Testing

@testable import NexusRedisDoor

/// What no dialogue recorded from Redis shows.
@Suite("Values, large and in the third version of the protocol")
struct ValueStories {
  private let console = CommandConsole()

  private func bulk(_ bytes: [UInt8]) -> [UInt8] { Array("$\(bytes.count)\r\n".utf8) + bytes + [13, 10] }

  @Test("values of any size pass through every command that copies them", arguments: [0, 1, 511, 512, 513, 100_000])
  func largeValues(size: Int) {
    let value = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    _ = console.send(["SET", "a"].map { Array($0.utf8) } + [value])
    #expect(console.type("COPY a b") == ":1")
    #expect(console.type("RENAME b c") == "+OK")
    #expect(console.type("MOVE c 1") == ":1")
    console.session.namespace = 1
    #expect(console.send(words(of: "GET c")) == bulk(value))
    #expect(console.type("BITOP OR d c") == ":\(size)")
    #expect(console.type("APPEND c end") == ":\(size + 3)")
    #expect(console.send(words(of: "GET c")) == bulk(value + Array("end".utf8)))
    #expect(console.type("BITOP NOT d c") == ":\(size + 3)")
    #expect(console.type("BITOP NOT d d") == ":\(size + 3)")
    #expect(console.send(words(of: "GET d")) == bulk(value + Array("end".utf8)))
  }

  @Test("hundreds of keys in one command, more than are looked up at a time")
  func manyKeys() {
    let names = (0..<500).map { "key\($0)" }
    #expect(console.type("MSET " + names.map { "\($0) \($0)" }.joined(separator: " ")) == "+OK")
    #expect(
      console.type("MGET " + names.joined(separator: " ")) == "[" + names.map { "\"\($0)\"" }.joined(separator: " ")
        + "]")
    #expect(console.type("EXISTS " + names.joined(separator: " ")) == ":500")
    #expect(console.type("DEL " + (names + names).joined(separator: " ")) == ":500")
    #expect(console.type("DBSIZE") == ":0")
  }

  @Test("in RESP3 the absent value and maps have forms of their own")
  func thirdVersion() {
    console.session.protocolVersion = 3
    #expect(console.send(words(of: "GET nokey")) == Array("_\r\n".utf8))
    #expect(console.send(words(of: "SET a 1 GET")) == Array("_\r\n".utf8))
    #expect(console.send(words(of: "SET a abc XX")) == Array("+OK\r\n".utf8))
    #expect(console.type("BITFIELD a OVERFLOW FAIL SET u2 0 9 GET u8 0") == "[nil :97]")
    #expect(console.type("LCS a a IDX") == "{\"matches\" [[[:0 :2] [:0 :2]]] \"len\" :3}")
    #expect(console.send(words(of: "RANDOMKEY")) == bulk(Array("a".utf8)))
    _ = console.type("FLUSHDB")
    #expect(console.send(words(of: "RANDOMKEY")) == Array("_\r\n".utf8))
  }

  @Test("reads, writes and deletes are counted")
  func figures() {
    for line in ["SET a 1", "GET a", "GET b", "MGET a b c", "MSET a 1 b 2", "DEL a b c", "STRLEN c", "SETNX a 1"] {
      _ = console.type(line)
    }
    let figures = console.node.statistics
    #expect((figures.pointee.getHits.value, figures.pointee.getMisses.value) == (2, 3))
    #expect((figures.pointee.keyspaceHits.value, figures.pointee.keyspaceMisses.value) == (2, 4))
    #expect(figures.pointee.sets.value == 4)
    #expect((figures.pointee.deleteHits.value, figures.pointee.deleteMisses.value) == (2, 1))
  }

  @Test("OBJECT FREQ answers where the policy counts, and says so where it does not")
  func frequency() {
    _ = console.type("SET a 1")
    #expect(console.type("OBJECT FREQ a").hasPrefix(":"))
    console.configure { $0.eviction = .lru }
    #expect(console.type("OBJECT FREQ a").hasPrefix("-ERR the namespace's eviction policy"))
    #expect(console.type("OBJECT IDLETIME a").hasPrefix("-ERR idle time is not tracked"))
    #expect(console.type("OBJECT REFCOUNT a") == ":1")
    #expect(console.type("OBJECT HELP").hasPrefix("[+OBJECT <subcommand>"))
  }
}
