import NexusModel
import Synchronization

/// What a loop tells its clients.
public enum InterestNews: Sendable, Equatable {
  /// A key that this client has read has changed, or is no longer followed. `writer`: the client that changed it,
  /// where it does not want to hear of its own changes; otherwise 0.
  case changed(client: UInt64, key: KeyName, writer: UInt64)
  /// A key with a prefix that clients of this loop want to hear of has changed.
  case broadcast(prefix: [UInt8], key: KeyName, writer: UInt64)
  /// All keys of these namespaces may have changed.
  case flushed([NamespaceNumber])
  /// More keys with prefixes have changed than are told one by one.
  case tooMany
  /// Other members may have changed what clients of this loop have read from them, and did not tell.
  case lost

  /// What it takes while it waits, nearly.
  var byteCount: Int {
    switch self {
    case .changed(_, let name, _): 128 + name.key.count
    // The prefix is the table's own.
    case .broadcast(_, let name, _): 128 + name.key.count
    case .flushed, .tooMany, .lost: 128
    }
  }
}

/// What waits for one loop, in order.
struct InterestOutbox {
  private(set) var items: [InterestNews] = []
  private(set) var byteCount = 0
  private var broadcasts = 0

  /// Keys with prefixes that wait: beyond them a loop that does not come to tell is told `tooMany`.
  static let broadcastsMost = 100_000

  mutating func append(_ news: InterestNews) {
    if case .broadcast = news {
      broadcasts += 1
      if broadcasts == Self.broadcastsMost { return collapse() }
      if broadcasts > Self.broadcastsMost { return }
    }
    items.append(news)
    byteCount += news.byteCount
  }

  private mutating func collapse() {
    items.removeAll { if case .broadcast = $0 { true } else { false } }
    items.append(.tooMany)
    byteCount = items.reduce(0) { $0 + $1.byteCount }
  }

  mutating func take() -> [InterestNews] {
    let taken = items
    self = InterestOutbox()
    return taken
  }
}

/// One loop's part of the interests; one more for all other threads, which tell and are not told.
struct InterestLane: ~Copyable {
  /// What this thread's changes are compared with: its own copy, so that threads do not wait for one another.
  let prefixes = Guarded(PrefixTable())
  let outbox = Guarded(InterestOutbox())
  let hasNews = Atomic<Bool>(false)
  /// The client whose command runs now on the loop and wants to hear nothing of it; 0: none. The loop's thread only.
  var writer: UInt64 = 0
  /// The stream whose operations run now on the loop. The loop's thread only.
  var asker: InterestedParty?
  /// What the loop tells over streams.
  let streamNews = Guarded<[StreamNews]>([])
  let hasStreamNews = Atomic<Bool>(false)
}
