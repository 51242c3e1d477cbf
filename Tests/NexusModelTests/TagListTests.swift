import NexusModel
import Testing

@Suite struct TagListTests {
  private func hash(_ tag: String) -> UInt32 { Array(tag.utf8).withUnsafeBytes { TagList.hash(of: $0) } }

  @Test("Eight tags fit, each once")
  func most() {
    var list = TagList()
    let taken = ([0, 1, 2, 3, 4, 5, 6, 7, 3, 8] as [UInt32]).map { list.insert($0) }
    #expect(taken == [true, true, true, true, true, true, true, true, true, false])
    #expect(list.count == 8 && !list.contains(8) && list.contains(7))
  }

  @Test("A list travels as its bytes, and what is no list is none")
  func bytes() {
    var list = TagList()
    for tag in ["page", "user:7", ""] { _ = list.insert(hash(tag)) }
    list.withBytes { bytes in
      #expect(bytes.count == 12 && TagList(bytes) == list)
      #expect(TagList(UnsafeRawBufferPointer(rebasing: bytes[..<7])) == nil)
    }
    [UInt8](repeating: 1, count: 36).withUnsafeBytes { #expect(TagList($0) == nil) }
    [UInt8]().withUnsafeBytes { #expect(TagList($0) == TagList()) }
  }

  @Test("The hash is FNV-1a of 64 bits, folded: the same on every member of every version")
  func hashes() {
    // The known answers of RFC 9923's test vectors for FNV-1a, 64 bits: "" and "a".
    #expect(hash("") == UInt32(truncatingIfNeeded: 0xCBF2_9CE4_8422_2325 ^ (0xCBF2_9CE4_8422_2325 as UInt64) >> 32))
    #expect(hash("a") == UInt32(truncatingIfNeeded: 0xAF63_DC4C_8601_EC8C ^ (0xAF63_DC4C_8601_EC8C as UInt64) >> 32))
  }
}
