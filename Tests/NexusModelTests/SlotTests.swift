import NexusModel
import Testing

@Suite struct SlotTests {
  func slot(_ text: String) -> UInt16 {
    var text = text
    return text.withUTF8 { Slot(of: UnsafeRawBufferPointer($0)).index }
  }

  @Test func agreesWithTheRedisClusterSpecification() {
    // The specification's own check value: CRC16 of "123456789" is 0x31C3.
    #expect(slot("123456789") == 0x31C3 & 0x3FFF)
    #expect(slot("foo") == 12182)
    #expect(slot("") == 0)
    #expect(
      slot("a rather longer key, to pass through several steps")
        == bitwise("a rather longer key, to pass through several steps"))
  }

  @Test func onlyTheFirstTagCounts() {
    #expect(slot("{user1000}.following") == slot("{user1000}.followers"))
    #expect(slot("foo{}{bar}") == bitwise("foo{}{bar}"))
    #expect(slot("foo{{bar}}zap") == slot("{bar"))
    #expect(slot("foo{bar}{zap}") == slot("bar"))
    #expect(slot("foo{bar") == bitwise("foo{bar"))
  }

  /// The definition of the CRC, one bit at a time.
  func bitwise(_ text: String) -> UInt16 {
    var remainder: UInt16 = 0
    for byte in text.utf8 {
      remainder ^= UInt16(byte) << 8
      for _ in 0..<8 { remainder = remainder & 0x8000 != 0 ? (remainder << 1) ^ 0x1021 : remainder << 1 }
    }
    return remainder & 0x3FFF
  }
}
