import NexusModel
import Testing

@testable import NexusRedisDoor

/// Time passes here as the test says.
@Suite("Lifetimes pass")
struct ExpiryStories {
  private let console = CommandConsole()

  @Test("a key is there until its last millisecond and not one longer")
  func toTheMillisecond() {
    #expect(console.type("SET a 1 PX 1500") == "+OK")
    console.loop.now += 1499
    #expect(console.type("PTTL a") == ":1")
    #expect(console.type("TTL a") == ":0")
    #expect(console.type("GET a") == "\"1\"")
    console.loop.now += 1
    #expect(console.type("GET a") == "nil")
    #expect(console.type("TTL a") == ":-2")
    #expect(console.type("SETNX a 2") == ":1")
    #expect(console.type("TTL a") == ":-1")
  }

  @Test("seconds are rounded to the nearest")
  func rounding() {
    _ = console.type("SET a 1 PX 2500")
    #expect(console.type("TTL a") == ":3")
    console.loop.now += 1
    #expect(console.type("TTL a") == ":2")
  }

  @Test("an expired key is as absent as one that never was, whatever is asked")
  func expiredIsAbsent() {
    for command in [
      "APPEND a x", "INCR a", "STRLEN a", "EXISTS a", "RENAME a b", "COPY a b", "PERSIST a", "EXPIRE a 10", "TYPE a",
      "GETEX a PERSIST", "GETDEL a", "SET a 1 XX", "MSETNX a 1", "BITCOUNT a", "SETRANGE a 2 x", "OBJECT ENCODING a",
      "MGET a", "DEL a", "KEYS *", "RANDOMKEY", "BITOP NOT b a", "LCS a a", "MOVE a 1", "TOUCH a",
    ] {
      let (fresh, expired) = (CommandConsole(), CommandConsole())
      _ = expired.type("SET a 77 PX 10")
      expired.loop.now += 10
      fresh.loop.now += 10
      #expect(expired.type(command) == fresh.type(command), "\(command)")
    }
  }

  @Test("a copy and a renamed key keep the lifetime that is left")
  func lifetimeTravels() {
    _ = console.type("SET a 1 PX 9000")
    console.loop.now += 4000
    _ = console.type("COPY a b")
    _ = console.type("RENAME a c")
    #expect(console.type("PTTL b") == ":5000")
    #expect(console.type("PTTL c") == ":5000")
    _ = console.type("PERSIST b")
    _ = console.type("RENAME b d")
    #expect(console.type("TTL d") == ":-1")
  }
}
