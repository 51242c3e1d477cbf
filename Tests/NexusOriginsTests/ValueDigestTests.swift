import NexusService
import NexusTestSupport
import Testing

@Suite struct ValueDigestTests {
  @Test func valuesThatDifferInOneByteOrInLengthHaveDifferentDigests() {
    var seen: [ValueDigest: [UInt8]] = [:]
    for length in 0...40 {
      for position in 0...length {
        var value = [UInt8](repeating: 0, count: length)
        if position < length { value[position] = 1 }
        let digest = ValueDigest(value)
        #expect(seen[digest] == nil, "\(value) and \(seen[digest] ?? [])")
        #expect(digest == ValueDigest(value))
        seen[digest] = value
      }
    }
  }
}
