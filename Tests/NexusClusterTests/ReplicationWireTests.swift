import NexusModel
import NexusReplication
import NexusWire
import Testing

@testable import NexusCluster

/// What the copies' keepers say to one another survives the way.
@Suite struct ReplicationWireTests {
  private static let slots = SlotSet(0..<3).union(SlotSet(700..<1400)).union(SlotSet(16_383..<16_384))
  private static let version = PlacementVersion(digest: 0xFEDC_BA98_7654_3210)
  private static let versions = [
    KeyVersion(hash: .max, stamp: Stamp(rawValue: 1 << 62), namespace: 65_535, isTombstone: true),
    KeyVersion(hash: 0, stamp: Stamp(rawValue: 5)),
  ]
  private static let keys = [KeyHash(hash: 1 << 63, namespace: 3), KeyHash(hash: 7)]
  private static let flushes = [FlushStamp(namespace: 9, stamp: Stamp(rawValue: 77))]
  private static let inventory = SlotInventory(
    Slot(index: 16_383), HashRange(bits: 3, index: 5), floor: Stamp(rawValue: 12), isPartial: true, isComplete: true,
    versions, bitsNeeded: 4)

  private static let messages: [ReplicationMessage] = [
    .compare(
      CopyComparison(
        1 << 60, version, session: 3, leftOut: slots, root: RepairDigest.Root(first: 0, second: .max), isSettled: true,
        isComplete: true)),
    .compared(CopyComparisonAnswer(2, session: 5, sums: (0..<128).map { UInt64($0) << 50 }, partial: slots)),
    .compared(CopyComparisonAnswer(0, session: 0, sums: [], partial: SlotSet())),
    .otherVersion(id: 4), .askDigests(DigestQuestion(4, version, .all, withTombstones: true)),
    .digests(id: 1, session: 2, [0, .max, 3]),
    .askInventories(
      InventoryQuestion(3, version, flushes, [(Slot(index: 0), .all), (Slot(index: 9), HashRange(bits: 1, index: 1))])),
    .inventories(InventoryAnswer(3, session: 4, flushes, [inventory])),
    .askVersions(id: 5, [SlotKeys(slot: Slot(index: 8), keys: keys), SlotKeys(slot: Slot(index: 9), keys: [])]),
    .versionsSent(id: 5, bytes: 1 << 40),
    .drop(version: version, [SlotDrops(slot: Slot(index: 1), versions: versions)]),
    .agreed(session: 8, version: version, slots, complete: .all),
    .differ(session: 3, version: version, slots), .offerLeftovers(id: 1, version: version, slots),
    .release(id: 2, slots), .askSettled(id: 1, version: version),
    .settledAnswer(id: 1, version: version, isSettled: true, tombstones: 12),
    .collect(version: version, slots, upTo: Stamp(rawValue: 1 << 61)),
    .askKey(id: 1, Slot(index: 2), keys[0], have: versions[0]), .askKey(id: 1, Slot(index: 2), keys[1], have: nil),
    .keyAnswer(id: 4, versions[1]), .keyAnswer(id: 4, nil), .keepKey(id: 6, Slot(index: 3), keys[0]),
  ]

  private func encoded(_ post: ReplicationPost) -> [UInt8] {
    var bytes = OutputBuffer(capacity: 64)
    defer { bytes.deallocate() }
    post.encode(to: &bytes)
    return Array(bytes.bytes)
  }

  @Test func everyMessageIsReadAsItWasWritten() throws {
    for message in Self.messages {
      let bytes = encoded(ReplicationPost(message))
      #expect(ReplicationPost(message).encodedCount == bytes.count)
      let content = try bytes.reading { bytes throws(WireError) in try ReplicationPost(decoding: bytes).content }
      guard case .message(let read) = content else {
        Issue.record("read as something else: \(message)")
        continue
      }
      #expect(read == message)
    }
  }

  @Test func versionsOfKeysTravelWithAnId() throws {
    let (key, value) = (Array("k".utf8), Array("v".utf8))
    try key.withUnsafeBytes { key in
      try value.withUnsafeBytes { value in
        let bytes = encoded(
          ReplicationPost(.versions(id: 7, [WireEntry(key: key, value: value, namespace: 3, stamp: 99)])))
        try bytes.reading { bytes throws(WireError) in
          guard case .versions(7, let entries) = try ReplicationPost(decoding: bytes).content else {
            Issue.record("not read as versions")
            return
          }
          #expect(entries.count == 1 && entries[0].stamp == 99 && entries[0].namespace == 3)
          #expect(entries[0].value.elementsEqual(Array("v".utf8)))
        }
      }
    }
    let taken = encoded(ReplicationPost(.versionsTaken(id: 7, refused: 2)))
    let content = try taken.reading { bytes throws(WireError) in try ReplicationPost(decoding: bytes).content }
    guard case .versionsTaken(7, 2) = content else {
      Issue.record("not read as an answer")
      return
    }
  }

  @Test func whatIsCutOffIsRefused() throws {
    for message in Self.messages {
      let bytes = encoded(ReplicationPost(message))
      for count in 0..<bytes.count {
        let part = Array(bytes[..<count])
        // Whatever it is read as: nothing is read beyond its end.
        _ = try? part.reading { bytes throws(WireError) in try ReplicationPost(decoding: bytes) }
      }
    }
  }
}
