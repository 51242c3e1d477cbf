import NexusModel
import NexusRESP
import NexusService
import NexusStore

/// What the families that work on values share: room for writes, expiry of what is written, values changed in place.
///
/// Where the store is used more than once, a local holds it: each reading of the call's own would count references.
extension Call {
  /// The longest value: Redis's `proto-max-bulk-len`.
  static var longestValue: Int { 512 << 20 }

  // MARK: Replies

  mutating func replyTooLong() {
    reply(error: "ERR string exceeds maximum allowed size (proto-max-bulk-len)")
  }

  mutating func replyInvalidExpiry() {
    reply(error: "ERR invalid expire time in '\(commandName)' command")
  }

  // MARK: Finding

  /// True for a string and for no entry at all; otherwise replies WRONGTYPE.
  @inline(__always)
  mutating func isString(_ entry: Entry?) -> Bool {
    guard let entry, !entry.isString else { return true }
    replyWrongType()
    return false
  }

  /// Runs `body` under the key's lock with its live entry. Replies itself where that is not a string.
  @inline(__always)
  mutating func withString(_ key: Key, _ body: (inout Call, Entry?) -> Void) {
    let store = store
    let taken = store.lock(key, as: worker)
    let entry = store.find(key, now: now, touch: touches)
    if isString(entry) { body(&self, entry) }
    store.unlock(key, taken)
  }

  /// The same for reading: counts the hit or the miss.
  @inline(__always)
  mutating func readString(_ index: Int, _ body: (inout Call, Entry?) -> Void) {
    withString(key(index)) { call, entry in
      call.countLookup(found: entry != nil)
      body(&call, entry)
    }
  }

  // MARK: Counting

  @inline(__always)
  func countLookup(found: Bool) {
    if found { statistics.pointee.keyspaceHits.add() } else { statistics.pointee.keyspaceMisses.add() }
  }

  /// The same for what reads a whole value.
  @inline(__always)
  func countGet(found: Bool) {
    countLookup(found: found)
    if found { statistics.pointee.getHits.add() } else { statistics.pointee.getMisses.add() }
  }

  @inline(__always)
  func countDelete(found: Bool) {
    if found { statistics.pointee.deleteHits.add() } else { statistics.pointee.deleteMisses.add() }
  }

  // MARK: Whole values

  /// Stores a whole value; false after replying that there was no room. What has been replied from `mark` on is taken
  /// back then.
  @inline(__always)
  mutating func set(
    _ key: Key, over entry: Entry?, _ value: UnsafeRawBufferPointer, _ expiry: Expiry, undoing mark: Int? = nil
  ) -> Bool {
    counted(store.put(key, over: entry, value, expiry), undoing: mark)
  }

  @inline(__always)
  mutating func counted(_ outcome: WriteOutcome, undoing mark: Int? = nil) -> Bool {
    if outcome == .stored {
      statistics.pointee.sets.add()
      return true
    }
    statistics.pointee.setErrors.add()
    out.count = mark ?? out.count
    return succeeded(outcome)
  }

  // MARK: Writing

  /// False after replying that there was no room.
  @inline(__always)
  mutating func succeeded(_ outcome: WriteOutcome) -> Bool {
    if outcome == .stored { return true }
    replyOutOfMemory()
    return false
  }

  /// What a value written without a TTL gets: the namespace's default, less a random share of at most its jitter.
  func defaultExpiry() -> Expiry { defaultExpiry(in: namespace) }

  func defaultExpiry(in namespace: NamespaceNumber) -> Expiry {
    let (lifetime, jitter) = store.lifetime(in: namespace)
    guard lifetime > 0 else { return .none }
    return TimeToLive.namespaceDefault.expiry(
      defaultMilliseconds: lifetime, jitter: jitter, now: now, chance: jitter > 0 ? engine.chance() : 0)
  }

  /// Keeps the TTL that the entry has; a new entry gets the namespace's default.
  func kept(_ entry: Entry?) -> Expiry { entry == nil ? defaultExpiry() : .keep }

  /// Changes the string under a key in place, making it longer (or making it) where needed.
  ///
  /// `newLength` gets the live entry and answers the length that its value is to have, never a smaller one; nil where
  /// it has replied and nothing is to be done. `change` gets all bytes, the new ones 0, and the former length, and
  /// answers whether it changed any: where neither bytes nor length changed, nobody who watches the key is told.
  ///
  /// Answers false where a reply has been written.
  mutating func edit(
    _ key: Key, newLength: (inout Call, Entry?) -> Int?,
    _ change: (inout Call, UnsafeMutableRawBufferPointer, Int) -> Bool
  ) -> Bool {
    let store = store
    var admitted = 0
    var needed = 0
    while true {
      if needed > admitted {
        guard admit(needed) else { return false }
        admitted = needed
      }
      let taken = store.lock(key, as: worker)
      defer { store.unlock(key, taken) }
      let entry = find(key)
      guard isString(entry), let length = newLength(&self, entry) else { return false }
      let former = entry?.value.count ?? 0
      if let entry, length == former {
        if change(&self, entry.mutableValue, former) { store.changed(key) }
        return true
      }
      // How much room it takes is known only under the lock, and room is made outside of it: once more, then.
      needed = length + key.count
      if needed > admitted { continue }
      return succeeded(store.resize(key, entry, to: length, kept(entry)) { _ = change(&self, $0, former) })
    }
  }

  // MARK: Many keys

  /// Runs `body` for every key argument from `first` on. A window of keys at a time is hashed and fetched from memory
  /// ahead, so that their cache misses overlap.
  @inline(__always)
  mutating func forEachKey(from first: Int, _ body: (inout Call, Store, Key) -> Void) {
    let store = store
    let window = 32
    withUnsafeTemporaryAllocation(of: Key.self, capacity: window) { keys in
      var start = first
      while start < count {
        let length = min(window, count - start)
        for offset in 0..<length {
          keys.initializeElement(at: offset, to: store.key(self[start + offset], in: namespace))
          store.prefetchBucket(keys[offset])
        }
        for offset in 0..<length { store.prefetchEntry(keys[offset]) }
        for offset in 0..<length { body(&self, store, keys[offset]) }
        start += length
      }
    }
  }

  /// Runs `body` with the keys of the arguments from `first` on, every `step`th, all locked together.
  mutating func withAllLocked(
    from first: Int, step: Int = 1, _ body: (inout Call, UnsafeBufferPointer<Key>) -> Void
  ) {
    let store = store
    let total = (count - first + step - 1) / step
    withUnsafeTemporaryAllocation(of: Key.self, capacity: total) { keys in
      for offset in 0..<total {
        keys.initializeElement(at: offset, to: store.key(self[first + offset * step], in: namespace))
        store.prefetchBucket(keys[offset])
      }
      for offset in 0..<total { store.prefetchEntry(keys[offset]) }
      withLocked(UnsafeBufferPointer(keys), body)
    }
  }

  @inline(__always)
  mutating func withLocked(
    _ keys: UnsafeBufferPointer<Key>, _ body: (inout Call, UnsafeBufferPointer<Key>) -> Void
  ) {
    let store = store
    let stripes = store.lock(keys, as: worker)
    body(&self, keys)
    store.unlock(stripes)
  }

  mutating func withLocked(_ one: Key, _ other: Key, _ body: (inout Call) -> Void) {
    withUnsafeTemporaryAllocation(of: Key.self, capacity: 2) { keys in
      keys.initializeElement(at: 0, to: one)
      keys.initializeElement(at: 1, to: other)
      withLocked(UnsafeBufferPointer(keys)) { call, _ in body(&call) }
    }
  }

  /// How much of a scratch has to be admitted first: nothing up to 4 MiB, which is gone again before it counts.
  static func fleetingRoom(_ byteCount: Int) -> Int { byteCount > 4 << 20 ? byteCount : 0 }

  /// Bytes for the length of `body`, counted against the node's memory; `fleetingRoom` of them have been admitted. Not
  /// initialised.
  mutating func withScratch(_ byteCount: Int, _ body: (inout Call, UnsafeMutableRawBufferPointer) -> Void) {
    let gauge = store.configuration.outside
    gauge.add(byteCount)
    withUnsafeTemporaryAllocation(byteCount: byteCount, alignment: 16) { body(&self, $0) }
    gauge.subtract(byteCount)
  }
}
