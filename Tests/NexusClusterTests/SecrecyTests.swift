import NexusModel
import Testing

@testable import NexusCluster

/// Who may speak to a cluster, and how often the same words count.
@Suite struct SecrecyTests {
  private let now: UInt64 = 1_800_000_000_000
  private let key = ClusterKey(clusterName: "orders", secret: "s3cret")

  private func seal(_ key: ClusterKey, _ number: UInt8) -> DatagramSeal {
    DatagramSeal(key, session: [UInt8](repeating: number, count: 16))
  }

  private func open(_ seal: DatagramSeal, _ datagram: [UInt8], _ now: UInt64) -> Result<[UInt8], DatagramRefusal> {
    datagram.withUnsafeBytes { seal.open($0, now: now) }
  }

  @Test func aMemberReadsWhatAMemberWrote() throws {
    let alice = seal(key, 1), bob = seal(key, 2)
    for text in [[], [UInt8](0...255), [UInt8](repeating: 7, count: 1300)] {
      let datagram = alice.seal(text, now: now)
      #expect(datagram.count == text.count + DatagramSeal.overheadBytes)
      #expect(try open(bob, datagram, now + 5).get() == text)
    }
  }

  @Test func nothingOfTheTextCanBeRead() {
    let text = Array("GET secret-key please, and again: secret-key".utf8)
    let datagram = seal(key, 1).seal(text, now: now)
    #expect(!datagram.contains(subsequence: Array("secret-key".utf8)))
  }

  @Test func otherSecretsAndOtherClustersAreKeptOut() {
    let bob = seal(key, 2)
    for stranger in [
      ClusterKey(clusterName: "orders", secret: "S3cret"), ClusterKey(clusterName: "order", secret: "s3cret"),
      ClusterKey(clusterName: "orders", secret: ""),
    ] {
      #expect(open(bob, seal(stranger, 3).seal([1, 2, 3], now: now), now) == .failure(.wrongKey))
    }
  }

  @Test func everyFlippedBitIsNoticed() {
    let datagram = seal(key, 1).seal([1, 2, 3, 4], now: now)
    for bit in 0..<(datagram.count * 8) {
      var changed = datagram
      changed[bit / 8] ^= 1 << (bit % 8)
      let outcome = open(seal(key, 2), changed, now)
      #expect(outcome == .failure(bit < 32 ? .garbage : .wrongKey), "bit \(bit)")
    }
    for count in 0..<datagram.count {
      guard case .failure = open(seal(key, 2), Array(datagram.prefix(count)), now) else {
        Issue.record("\(count) bytes of \(datagram.count) were opened")
        continue
      }
    }
  }

  @Test func aDatagramCountsOnceInWhateverOrderItArrives() throws {
    let alice = seal(key, 1), bob = seal(key, 2)
    let datagrams = (0..<200).map { alice.seal([UInt8($0)], now: now) }
    for index in [3, 1, 2, 0, 70, 69, 60, 199] { #expect(try open(bob, datagrams[index], now).get() == [UInt8(index)]) }
    for index in [3, 1, 2, 0, 70, 69, 60, 199] { #expect(open(bob, datagrams[index], now) == .failure(.replayed)) }
    // Too far behind the newest to be told from one that has come.
    #expect(open(bob, datagrams[135], now) == .failure(.replayed))
    #expect(try open(bob, datagrams[136], now).get() == [136])
    // Sent back to where it came from.
    #expect(open(alice, datagrams[5], now) == .failure(.replayed))
  }

  @Test func whatWasRecordedLongAgoOpensNoSession() throws {
    let recorded = seal(key, 1).seal([9], now: now)
    #expect(open(seal(key, 2), recorded, now + 121_000) == .failure(.clock))
    #expect(open(seal(key, 2), recorded, now - 121_000) == .failure(.clock))
    #expect(try open(seal(key, 2), recorded, now + 119_000).get() == [9])
    // A session that is known may have any clock: time may be set while it lasts.
    let alice = seal(key, 1), bob = seal(key, 2)
    _ = try open(bob, alice.seal([1], now: now), now).get()
    #expect(try open(bob, alice.seal([2], now: now - 3_600_000), now).get() == [2])
  }

  @Test func aProofIsGoodForOneStreamAndOneDirection() {
    let first = [UInt8](repeating: 1, count: 32), second = [UInt8](repeating: 2, count: 32)
    func proof(_ key: ClusterKey, _ role: PeerProof.Role, _ a: [UInt8], _ b: [UInt8], _ caller: String) -> [UInt8] {
      PeerProof.make(key, role: role, callerNonce: a, calleeNonce: b, caller: caller, callee: "n2")
    }
    let right = proof(key, .caller, first, second, "n1")
    #expect(PeerProof.matches(right, proof(key, .caller, first, second, "n1")))
    let other = ClusterKey(clusterName: "orders", secret: "other")
    for wrong in [
      proof(key, .callee, first, second, "n1"), proof(key, .caller, second, first, "n1"),
      proof(key, .caller, first, second, "n3"), proof(other, .caller, first, second, "n1"), [], Array(right.dropLast()),
    ] {
      #expect(!PeerProof.matches(wrong, right))
    }
  }
}

extension Array where Element == UInt8 {
  fileprivate func contains(subsequence: [UInt8]) -> Bool {
    count >= subsequence.count
      && (0...(count - subsequence.count)).contains { Array(self[$0..<($0 + subsequence.count)]) == subsequence }
  }
}
