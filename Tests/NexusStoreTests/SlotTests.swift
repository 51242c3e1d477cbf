import CIntrinsics
import NexusModel
import Testing

@Suite struct SlotTests {
  /// Bit by bit, as the polynomial has it.
  func remainder(_ bytes: ArraySlice<UInt8>) -> UInt16 {
    bytes.reduce(0) { remainder, byte in
      (0..<8).reduce(remainder ^ UInt16(byte) << 8) { bits, _ in
        bits & 0x8000 != 0 ? (bits << 1) ^ 0x1021 : bits << 1
      }
    }
  }

  func expected(_ key: [UInt8]) -> UInt16 {
    guard let open = key.firstIndex(of: UInt8(ascii: "{")),
      let close = key[(open + 1)...].firstIndex(of: UInt8(ascii: "}")), close > open + 1
    else { return remainder(key[...]) }
    return remainder(key[(open + 1)..<close])
  }

  func check(_ key: [UInt8], _ note: String) {
    // Memory that ends with the key: the sanitizer sees every byte read beyond it.
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: key.count, alignment: 1)
    defer { memory.deallocate() }
    memory.copyBytes(from: key)
    let wanted = expected(key)
    #expect(CRC16.ofKey(UnsafeRawBufferPointer(memory)) == wanted, "tables, \(note): \(key)")
    guard ci_has_crc16(), let base = memory.baseAddress else { return }
    #expect(ci_crc16_key(base, Int64(key.count)) == wanted, "multiplied, \(note): \(key)")
  }

  @Test func multiplyingAgreesWithTheTablesAndWithThePolynomial() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed \(seed)")
    var random = Seeded(state: seed)
    for count in 0...300 {
      for round in 0..<20 {
        var key = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
        if round % 2 == 0 { key = key.map { $0 == UInt8(ascii: "{") ? 0 : $0 } }
        check(key, "seed \(seed)")
        guard count > 0 else { continue }
        // Braces anywhere: a tag, an empty one, one that is never closed, one in another.
        for brace in Array("{}".utf8) + (round % 3 == 0 ? Array("{}".utf8) : []) {
          key[Int.random(in: 0..<count, using: &random)] = brace
          check(key, "seed \(seed)")
        }
      }
      check([UInt8](repeating: 0, count: count), "zeros")
      check([UInt8](repeating: 0xFF, count: count), "ones")
    }
  }

  @Test func theSpecificationsExamples() {
    #expect(remainder(Array("123456789".utf8)[...]) == 0x31C3)
    for key in ["123456789", "{123456789}.following", "foo{123456789}{bar}", "x{123456789}"] {
      check(Array(key.utf8), "example")
      #expect(expected(Array(key.utf8)) == 0x31C3)
    }
    for key in ["", "{}", "foo{}{bar}", "foo{{bar}}zap", "foo{bar", "}{"] { check(Array(key.utf8), "example") }
  }
}
