import NexusModel
import NexusStore

/// Who is interested in which keys of one slot. Told once, a key is forgotten: whoever wants to hear of the change
/// after that has to read the key again.
struct InterestTable {
  struct Interest {
    let namespace: NamespaceNumber
    let key: [UInt8]
    fileprivate(set) var first: InterestedParty
    /// Those after the first: most keys have none.
    fileprivate(set) var others: [InterestedParty] = []

    var count: Int { 1 + others.count }
    /// What it takes, nearly: its share of the table, the key's own memory, and the others.
    var byteCount: Int { 128 + key.count + others.count * MemoryLayout<InterestedParty>.stride }

    func forEachParty(_ body: (InterestedParty) -> Void) {
      body(first)
      for other in others { body(other) }
    }

    fileprivate func isFor(_ key: Key) -> Bool {
      namespace == key.namespace && self.key.count == key.count
        && self.key.withUnsafeBytes { $0.elementsEqual(key.bytes) }
    }
  }

  enum Added {
    case known
    /// Another party is interested in the key already.
    case joined
    /// Nobody was; another key that had the same hash had to go: its parties are told early.
    case made(insteadOf: Interest?)
  }

  /// By the keys' 64-bit hashes.
  private var interests: [UInt64: Interest] = [:]

  var isEmpty: Bool { interests.isEmpty }
  var count: Int { interests.count }

  mutating func add(_ party: InterestedParty, to key: Key) -> Added {
    guard let interest = interests[key.hash], interest.isFor(key) else {
      let made = Interest(namespace: key.namespace, key: Array(key.bytes), first: party)
      return .made(insteadOf: interests.updateValue(made, forKey: key.hash))
    }
    if interest.first == party || interest.others.contains(party) { return .known }
    interests[key.hash]!.others.append(party)
    return .joined
  }

  func interest(in key: Key) -> Interest? { interests[key.hash].flatMap { $0.isFor(key) ? $0 : nil } }

  mutating func take(_ key: Key) -> Interest? {
    guard let index = interests.index(forKey: key.hash), interests.values[index].isFor(key) else { return nil }
    return interests.remove(at: index).value
  }

  /// Those of a key's parties that are meant; the others stay.
  mutating func take(_ key: Key, where isMeant: (InterestedParty) -> Bool) -> Interest? {
    guard var interest = interests[key.hash], interest.isFor(key) else { return nil }
    let all = [interest.first] + interest.others
    let (taken, left) = (all.filter(isMeant), all.filter { !isMeant($0) })
    guard let first = taken.first else { return nil }
    if let stays = left.first {
      interests[key.hash]!.first = stays
      interests[key.hash]!.others = Array(left.dropFirst())
    } else {
      interests[key.hash] = nil
    }
    interest.first = first
    interest.others = Array(taken.dropFirst())
    return interest
  }

  /// Any of them. The order of hashes is each process's own: to those outside it is chance.
  mutating func takeAny() -> Interest? { interests.popFirst()?.value }

  mutating func takeAll(where isMeant: (Interest) -> Bool) -> [Interest] {
    let taken = interests.filter { isMeant($0.value) }
    for hash in taken.keys { interests[hash] = nil }
    return Array(taken.values)
  }

  /// Forgets those of a key's parties that are gone; answers how many.
  mutating func prune(_ key: Key, isGone: (InterestedParty) -> Bool) -> Int {
    guard let interest = interests[key.hash], interest.isFor(key) else { return 0 }
    let all = [interest.first] + interest.others
    let left = all.filter { !isGone($0) }
    guard let first = left.first, left.count < all.count else { return 0 }
    interests[key.hash]!.first = first
    interests[key.hash]!.others = Array(left.dropFirst())
    return all.count - left.count
  }
}
