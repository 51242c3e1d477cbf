import NexusModel
import Testing

@testable import NexusRing

@Suite struct RingHashTests {
  private func digest(_ hash: RingHash, _ text: String) -> UInt64 {
    Array(text.utf8).withUnsafeBytes { hash.digest($0) }
  }

  /// The first eight bytes of the published digests, in their order.
  @Test func hashesAreThoseOfTheirSpecifications() {
    // RFC 1321, appendix A.5.
    #expect(digest(.md5, "abc") == UInt64(0x9001_5098_3CD2_4FB0).byteSwapped)
    #expect(digest(.md5, "") == UInt64(0xD41D_8CD9_8F00_B204).byteSwapped)
    // FIPS 180-4, example of one block.
    #expect(digest(.sha256, "abc") == UInt64(0xBA78_16BF_8F01_CFEA).byteSwapped)
    // RFC 9923's test vectors.
    #expect(Array("a".utf8).withUnsafeBytes { RingHash.fnv1a($0) } == 0xAF63_DC4C_8601_EC8C)
    #expect(Array("foobar".utf8).withUnsafeBytes { RingHash.fnv1a($0) } == 0x8594_4171_F739_67E8)
    #expect(digest(.fnv1a64, "foobar") == RingHash.scatter(0x8594_4171_F739_67E8))
    // xxHash's own sanity check: the empty input with seed 0.
    #expect(digest(.xxh3, "") == 0x2D06_8005_38D3_94C2)
  }

  @Test func settingsOutOfRangeAreNamed() {
    #expect(throws: RingSettingsError.self) { try RingSettings(virtualNodes: 0) }
    #expect(throws: RingSettingsError.self) { try RingSettings(copies: 17) }
    #expect(throws: RingSettingsError.self) { try RingSettings(loadPercent: 99) }
    let error = #expect(throws: RingSettingsError.self) { try RingSettings(virtualNodes: 10_001) }
    #expect("\(error!)" == "virtual nodes: 10001 is not between 1 and 10000; choose one that is")
    #expect(settings() == .standard)
  }

  @Test func virtualNodesFollowTheWeights() {
    #expect(Ring.pointCounts(members(3) { [100, 200, 50][$0] }, 150) == [150, 300, 75])
    // Where every weight is far from the usual one, they count beside one another.
    #expect(Ring.pointCounts(members(3) { _ in 1 }, 150) == [96, 96, 96])
    #expect(Ring.pointCounts(members(2) { _ in 10_000 }, 150) == [234, 234])
    #expect(Ring.pointCounts(members(2) { [1, 10_000][$0] }, 10) == [1, 16])
    #expect(Ring.pointCounts(members(1000), 10_000).reduce(0, +) <= Ring.pointsLimit)
  }
}
