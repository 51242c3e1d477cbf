import NexusModel

/// Every member that is known, in places that stay theirs until `compact`, and the digest over all of them.
struct MemberTable: Sendable {
  struct Entry: Sendable {
    fileprivate(set) var record: MemberRecord
    fileprivate(set) var digest: UInt64
    fileprivate(set) var estimatedBytes: Int32
    /// Counts the record's changes: a timer set for an older one is void.
    fileprivate(set) var version: UInt32 = 0
    /// Counts what was to be told of it: news queued for an older one is void.
    var news: UInt32 = 0
  }

  private(set) var entries: [Entry] = []
  private var places: [MemberID: Int] = [:]
  /// The wrapping sum of the records' digests: independent of order, and of constant cost per change.
  private(set) var digest: UInt64 = 0
  /// Alive and suspect.
  private(set) var liveCount = 0

  func place(of id: MemberID) -> Int? { places[id] }

  @discardableResult
  mutating func insert(_ record: MemberRecord) -> Int {
    let place = entries.count
    let share = record.digest
    entries.append(Entry(record: record, digest: share, estimatedBytes: Int32(clamping: record.estimatedBytes)))
    places[record.member.id] = place
    digest &+= share
    if record.status.isLive { liveCount += 1 }
    return place
  }

  mutating func replace(_ place: Int, with record: MemberRecord) {
    let share = record.digest
    digest = digest &- entries[place].digest &+ share
    liveCount += (record.status.isLive ? 1 : 0) - (entries[place].record.status.isLive ? 1 : 0)
    entries[place].record = record
    entries[place].digest = share
    entries[place].estimatedBytes = Int32(clamping: record.estimatedBytes)
    entries[place].version &+= 1
    entries[place].news &+= 1
  }

  mutating func renewNews(of place: Int) -> UInt32 {
    entries[place].news &+= 1
    return entries[place].news
  }

  func isLive(_ place: Int) -> Bool { entries[place].record.status.isLive }

  /// Drops entries; the others close ranks. The result has every old place's new one, or nil.
  mutating func compact(dropping dropped: Set<Int>) -> [Int?] {
    var moves: [Int?] = []
    var kept: [Entry] = []
    for (place, entry) in entries.enumerated() {
      moves.append(dropped.contains(place) ? nil : kept.count)
      if dropped.contains(place) {
        digest = digest &- entry.digest
        liveCount -= entry.record.status.isLive ? 1 : 0
        places[entry.record.member.id] = nil
      } else {
        places[entry.record.member.id] = kept.count
        kept.append(entry)
      }
    }
    entries = kept
    return moves
  }
}
