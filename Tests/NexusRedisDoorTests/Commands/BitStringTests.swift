import Testing

@testable import NexusRedisDoor

/// The word-at-a-time ways of counting and finding against the slow and obvious ones.
@Suite("Bits of values")
struct BitStringTests {
  /// Bytes that are mostly all zeros or all ones, so that whole words are skipped.
  private static func bytes(_ count: Int, _ random: inout some RandomNumberGenerator) -> [UInt8] {
    (0..<count).map { _ in
      switch UInt8.random(in: 0..<10, using: &random) {
      case 0: UInt8.random(in: 0...255, using: &random)
      case 1...5: 0
      default: 255
      }
    }
  }

  @Test("counting and finding agree with looking at every bit", arguments: 0..<200 as Range<UInt64>)
  func againstEveryBit(seed: UInt64) {
    var random = Chance(state: seed)
    var values = Self.bytes(Int.random(in: 1...40, using: &random), &random)
    if seed % 3 == 0 { values = values.map { _ in seed % 2 == 0 ? 0 : 255 } }
    values.withUnsafeBytes { bytes in
      let bits = BitString(bytes)
      let all = (0..<bytes.count * 8).map { bits.bit(at: $0) }
      for _ in 0..<20 {
        let first = Int.random(in: 0..<all.count, using: &random)
        let range = first..<Int.random(in: first...all.count, using: &random)
        #expect(bits.ones(in: range) == all[range].reduce(0, +))
        for bit in 0...1 { #expect(bits.first(bit, in: range) == all[range].firstIndex(of: bit)) }
      }
    }
  }

  @Test("a number written at any offset is read back, and its neighbours stay", arguments: 1...64)
  func numbers(bits: Int) {
    var random = Chance(state: UInt64(bits))
    for offset in 0..<70 {
      var values = Self.bytes(20, &random)
      let before = values
      let number = UInt64.random(in: 0...UInt64.max, using: &random) >> UInt64(64 - bits)
      values.withUnsafeMutableBytes { BitString.write(number, at: offset, bits: bits, to: $0) }
      values.withUnsafeBytes { after in
        before.withUnsafeBytes { before in
          #expect(BitString(after).number(at: offset, bits: bits) == number)
          for bit in 0..<160 where !(offset..<offset + bits ~= bit) {
            #expect(BitString(after).bit(at: bit) == BitString(before).bit(at: bit))
          }
        }
      }
    }
  }

  @Test("bits behind the end are zeros")
  func behindTheEnd() {
    [UInt8](repeating: 255, count: 3).withUnsafeBytes { bytes in
      #expect(BitString(bytes).number(at: 20, bits: 8) == 0xF0)
      #expect(BitString(bytes).number(at: 1_000, bits: 64) == 0)
      #expect(BitString(bytes).bit(at: 24) == 0)
    }
  }
}

@Suite("The longest common subsequence")
struct CommonSubsequenceTests {
  /// The definition, without any table.
  private func length(_ one: ArraySlice<UInt8>, _ other: ArraySlice<UInt8>) -> Int {
    guard let first = one.first, let second = other.first else { return 0 }
    if first == second { return 1 + length(one.dropFirst(), other.dropFirst()) }
    return max(length(one.dropFirst(), other), length(one, other.dropFirst()))
  }

  @Test("its runs stand in both strings, in order, and are as long as can be", arguments: 0..<200 as Range<UInt64>)
  func runs(seed: UInt64) {
    var random = Chance(state: seed)
    let strings = (0..<2).map { _ in
      (0..<Int.random(in: 0...9, using: &random)).map { _ in UInt8.random(in: 97...99, using: &random) }
    }
    strings[0].withUnsafeBytes { first in
      strings[1].withUnsafeBytes { second in
        let subject = CommonSubsequence(first: first, second: second)
        var wayBack = [UInt8](repeating: 0, count: CommonSubsequence.wayBackBytes(first.count, second.count))
        let expected = length(strings[0][...], strings[1][...])
        #expect(subject.length == expected)
        wayBack.withUnsafeMutableBytes { wayBack in
          #expect(subject.fill(wayBack) == expected)
          var total = 0
          var (firstLimit, secondLimit) = (first.count, second.count)
          subject.matches(wayBack) { match in
            #expect(strings[0][match.first] == strings[1][match.second])
            #expect(match.first.upperBound <= firstLimit && match.second.upperBound <= secondLimit)
            (firstLimit, secondLimit) = (match.first.lowerBound, match.second.lowerBound)
            total += match.first.count
          }
          #expect(total == expected)
        }
      }
    }
  }
}

/// The same choices for the same state.
struct Chance: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    let mixed = (state ^ state >> 30) &* 0xBF58_476D_1CE4_E5B9
    return mixed ^ mixed >> 27
  }
}
