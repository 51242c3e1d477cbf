import NexusModel
import NexusStore
import Testing

@testable import NexusRedisDoor

@Suite("A value that is no string")
struct TypeStories {
  /// A node that holds such a value under `f`, and a string under `s`.
  private func console() -> CommandConsole {
    let console = CommandConsole()
    put("f", in: console.node.store)
    _ = console.type("SET s 1")
    return console
  }

  private func put(_ name: String, in store: Store) {
    Array(name.utf8).withUnsafeBytes { name in
      let key = store.key(name, in: 0)
      let taken = store.lock(key, as: 1)
      defer { store.unlock(key, taken) }
      let outcome = [UInt8](repeating: 0x31, count: 40).withUnsafeBytes {
        store.put(key, over: nil, $0, .none, type: .cuckooFilter)
      }
      #expect(outcome == .stored)
    }
  }

  @Test(
    "is refused by every command on strings and bits",
    arguments: [
      "GET f", "GETSET f v", "GETDEL f", "GETEX f", "GETRANGE f 0 1", "SUBSTR f 0 1", "STRLEN f", "APPEND f x",
      "SETRANGE f 0 x", "SETRANGE f 0 \"\"", "INCR f", "DECR f", "INCRBY f 2", "DECRBY f 2", "INCRBYFLOAT f 1",
      "SET f v GET", "SETBIT f 0 1", "GETBIT f 0", "BITCOUNT f", "BITPOS f 1", "BITFIELD f GET u8 0",
      "BITFIELD f SET u8 0 1", "BITOP AND t f s", "BITOP OR t s f",
    ])
  func refused(_ line: String) {
    let console = console()
    #expect(console.type(line) == "-WRONGTYPE Operation against a key holding the wrong kind of value")
    #expect(console.type("TYPE f") == "+MBbloomCF")
    #expect(console.type("EXISTS t") == ":0")
  }

  @Test("is overwritten and asked about as Redis does it")
  func others() {
    let transcript = ##"""
      > LCS f s
      -ERR The specified keys must contain string values
      > MGET s f
      ["1" nil]
      > SETNX f v
      :0
      > SET f v NX
      nil
      > OBJECT ENCODING f
      "raw"
      > SCAN 0 TYPE MBbloomCF
      ["0" ["f"]]
      > EXPIRE f 100
      :1
      > COPY f g
      :1
      > TYPE g
      +MBbloomCF
      > TTL g
      :100
      > RENAME g h
      +OK
      > TYPE h
      +MBbloomCF
      > COPY s h REPLACE
      :1
      > TYPE h
      +string
      > COPY f h REPLACE
      :1
      > MOVE h 1
      :1
      > BITOP NOT f s
      :1
      > TYPE f
      +string
      """##
    #expect(differences(transcript, on: console()) == [])
    for line in ["SET f v", "SET f v XX", "SET f v EX 9", "SETEX f 9 v", "MSET f v"] {
      let console = console()
      #expect(console.type(line) == "+OK", "\(line)")
      #expect(console.type("GET f") == "\"v\"", "\(line)")
    }
  }

  @Test("is refused by a plain GET wherever it comes from")
  func plainGet() {
    let refusal = "-WRONGTYPE Operation against a key holding the wrong kind of value|"
    let alone = FakeNode()
    put("f", in: alone.node.store)
    #expect(alone.connect().ask("SET s 1", "GET f", "GET s") == "+OK|\(refusal)$1|1|")
    let cluster = FakeCluster(3)
    put("f", in: cluster.nodes[cluster.owner(of: "f")].node.store)
    for index in 0..<3 { #expect(cluster.connect(to: index).ask("GET f", "TYPE f") == "\(refusal)+MBbloomCF|") }
  }
}
