import NexusModel

/// Some of the 16,384 slots of Redis Cluster: what one member of a cluster executes.
struct SlotSet: Equatable {
  /// One element a slot.
  private var members = [Bool](repeating: false, count: Slot.count)
  let count: Int

  /// `0-8191,9000`; nil for anything else.
  init?(_ text: String) {
    for part in text.split(separator: ",", omittingEmptySubsequences: false) {
      let ends = part.split(separator: "-", omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count <= 2, let first = ends[0], let last = ends[ends.count - 1], first <= last,
        first >= 0, last < Slot.count
      else { return nil }
      for slot in first...last { members[slot] = true }
    }
    count = members.count { $0 }
  }

  /// How many numbers in a row hold `keys` keys of these slots, with room to spare for chance.
  func reach(_ keys: UInt64) -> UInt64 { keys * UInt64(Slot.count) / UInt64(count) * 2 + 1_000_000 }

  /// The first `keys` numbers from `first` on whose keys, as `format` writes them, are in these slots: each less
  /// `first`, ascending. Fewer where `reach` does not hold so many.
  func offsets(of keys: UInt64, from first: UInt64, _ format: KeyFormat) -> [UInt32] {
    var found: [UInt32] = []
    found.reserveCapacity(Int(keys))
    var key = format.blank()
    key.withUnsafeMutableBytes { bytes in
      for offset in 0..<UInt32(reach(keys)) where found.count < keys {
        format.patch(bytes.baseAddress!, first + UInt64(offset))
        if members[Int(Slot(of: UnsafeRawBufferPointer(bytes)).index)] { found.append(offset) }
      }
    }
    return found
  }
}
