import NexusModel
import Testing

@testable import NexusRedisDoor

/// Time passes here as the test says.
@Suite("Lifetimes pass")
struct ExpiryStories {
  private let console = CommandConsole()

  private func setDefaults(milliseconds: Int64, jitter: Double = 0) {
    console.configure {
      $0.defaultTTLMilliseconds = milliseconds
      $0.ttlJitter = jitter
    }
  }

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

  @Test("a namespace's default TTL is for whatever is written without one")
  func defaultTTL() {
    setDefaults(milliseconds: 60_000)
    for (command, ttl) in [
      ("SET a 1", ":60"), ("SET a 1 EX 5", ":5"), ("SET a 2 KEEPTTL", ":5"), ("GETSET a 3", ":60"), ("INCR a", ":60"),
      ("PERSIST a", ":-1"), ("INCR a", ":-1"), ("APPEND a 1", ":-1"), ("MSET a 1", ":60"), ("DEL a", ":-2"),
      ("SETNX a 1", ":60"), ("DEL a", ":-2"), ("APPEND a x", ":60"), ("DEL a", ":-2"), ("SETBIT a 1 1", ":60"),
      ("DEL a", ":-2"), ("SETRANGE a 1 x", ":60"), ("DEL a", ":-2"), ("INCRBYFLOAT a 1", ":60"), ("DEL a", ":-2"),
      ("SET a 1 KEEPTTL", ":60"), ("PERSIST a", ":-1"), ("BITOP NOT a a", ":60"), ("MSETNX b 1", ":60"),
    ] {
      _ = console.type(command)
      #expect(console.type("TTL a") == ttl, "after \(command)")
    }
  }

  @Test("jitter shortens the default TTL by a share that differs, and leaves a given TTL alone")
  func jitter() {
    setDefaults(milliseconds: 100_000, jitter: 0.5)
    var seen: Set<String> = []
    for step in 0..<50 {
      console.loop.now += 1
      _ = console.type("SET key\(step) 1")
      let left = console.type("PTTL key\(step)")
      let milliseconds = Int(left.dropFirst())!
      #expect(50_000...100_000 ~= milliseconds)
      seen.insert(left)
    }
    #expect(seen.count > 40)
    _ = console.type("SET a 1 EX 100")
    #expect(console.type("TTL a") == ":100")
  }

  @Test("a copy and a renamed key keep the lifetime that is left")
  func lifetimeTravels() {
    setDefaults(milliseconds: 60_000)
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
