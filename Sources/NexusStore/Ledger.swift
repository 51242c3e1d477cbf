import CIntrinsics
import NexusModel

/// The one account of what counts against the node's ceiling. Any thread adds and reads; sums may be a moment old.
final class Ledger: @unchecked Sendable {
  /// Invariant: each points to one Int64 that is only touched atomically, alone on its cache line.
  private let words: UnsafeMutablePointer<Int64>
  let outside: MemoryGauge

  private enum Word: Int {
    case limit = 0, pages = 8, external = 16, fixed = 24, entries = 32, peak = 40, table = 48
    case tombstoneBytes = 56, tombstones
  }

  init(limitBytes: Int, outside: MemoryGauge) {
    words = .allocate(capacity: 64)
    words.initialize(repeating: 0, count: 64)
    self.outside = outside
    words[Word.limit.rawValue] = Int64(limitBytes)
  }

  deinit { words.deallocate() }

  private func load(_ word: Word) -> Int { Int(atomicLoad(words + word.rawValue)) }
  private func add(_ word: Word, _ bytes: Int) { atomicAdd(words + word.rawValue, Int64(bytes)) }

  var limitBytes: Int {
    get { load(.limit) }
    set { atomicStore(words + Word.limit.rawValue, Int64(newValue)) }
  }
  /// Pages of the arena that have been touched and not given back.
  var pageBytes: Int { load(.pages) }
  func addPages(_ bytes: Int) { add(.pages, bytes) }
  /// Values and tables with memory of their own.
  var externalBytes: Int { load(.external) }
  func addExternal(_ bytes: Int) { add(.external, bytes) }
  /// Slot headers, page descriptors, lanes, ghosts, shadow caches.
  var fixedBytes: Int { load(.fixed) }
  func addFixed(_ bytes: Int) { add(.fixed, bytes) }
  /// Of the above: chunks and external values in use by entries.
  var entryBytes: Int { load(.entries) }
  func addEntries(_ bytes: Int) { add(.entries, bytes) }
  /// Of the above: chunks and spans in use by tables.
  var tableBytes: Int { load(.table) }
  func addTable(_ bytes: Int) { add(.table, bytes) }
  /// Of the above: chunks and external keys in use by tombstones.
  var tombstoneBytes: Int { load(.tombstoneBytes) }
  var tombstones: Int { load(.tombstones) }
  func addTombstones(_ count: Int, _ bytes: Int) {
    add(.tombstones, count)
    add(.tombstoneBytes, bytes)
  }

  var usedBytes: Int { pageBytes + externalBytes + fixedBytes + outside.bytes }

  var peakBytes: Int { max(load(.peak), usedBytes) }
  func notePeak() {
    let used = Int64(usedBytes)
    if used > atomicLoad(words + Word.peak.rawValue) { atomicStore(words + Word.peak.rawValue, used) }
  }
  func resetPeak() { atomicStore(words + Word.peak.rawValue, Int64(usedBytes)) }

  /// Room for this many more bytes?
  func fits(_ bytes: Int) -> Bool { usedBytes + bytes <= limitBytes }
}
