import NexusModel
import NexusService
import NexusStore

/// Whether a command may be filled from its namespace's origin.
enum Filling {
  /// In a transaction, and wherever nothing can wait: the cache alone answers.
  case none
  /// Where something has to be loaded, it goes to where it can wait: through the loop's router.
  case elsewhere
  /// It came from there.
  case here
}

/// Reads of whole values, which an origin may have.
extension Call {
  /// Runs `body` with the string under the key, or nil: the store's, else what the origin gave. Where that has to be
  /// loaded first, the call is put off; where it cannot be had, the error is replied.
  mutating func withFilled(_ key: Key, _ body: (inout Call, UnsafeRawBufferPointer?) -> Void) {
    let store = store
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    let entry = store.find(key, now: now, touch: touches)
    guard isString(entry) else { return }
    guard engine.filler.fills(namespace), engine.filling != .none else { return body(&self, entry?.value) }
    switch fill(key, entry) {
    case .useStore: body(&self, entry?.value)
    case .absent: body(&self, nil)
    case .value(let bytes): bytes.withUnsafeBytes { body(&self, $0) }
    case .failed(let error): reply(error: "ORIGIN \(error)")
    case .wait(let number): putOff(number)
    }
  }

  @inline(never) private func fill(_ key: Key, _ entry: Entry?) -> FillOutcome {
    engine.node.fillers[engine.loop.index].fill(key, entry, now: now, waits: engine.filling == .here)
  }

  /// Nothing has been replied that counts.
  private mutating func putOff(_ number: UInt64) {
    isPostponed = true
    engine.awaited = (number, engine.filler.source(of: namespace)?.timeoutMilliseconds ?? 0)
  }

  /// Replies what the origin has of a key that the store has not. The key's stripe is locked.
  mutating func replyLoaded(_ key: Key) {
    let fills = engine.filler.fills(namespace) && engine.filling != .none
    switch fills ? fill(key, nil) : .absent {
    case .useStore, .absent:
      countGet(found: false)
      replyNull()
    case .value(let bytes):
      countGet(found: false)
      bytes.withUnsafeBytes { reply(bulk: $0) }
    case .failed(let error): reply(error: "ORIGIN \(error)")
    case .wait(let number): putOff(number)
    }
  }

  /// The same for one of many keys, which `allFilled` has loaded: a value that is no string is none.
  mutating func withFilledOrNull(_ key: Key, _ body: (inout Call, UnsafeRawBufferPointer?) -> Void) {
    let store = store
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    let entry = store.find(key, now: now, touch: touches)
    if let entry { return body(&self, entry.isString ? entry.value : nil) }
    if engine.filling != .none, case .value(let bytes) = fill(key, nil) {
      return bytes.withUnsafeBytes { body(&self, $0) }
    }
    body(&self, nil)
  }

  /// For a command of many keys, before it replies: false where it was put off, with all its loads under way, or has
  /// replied an error.
  mutating func allFilled(from first: Int) -> Bool {
    guard engine.filler.fills(namespace), engine.filling != .none else { return true }
    for index in first..<count {
      let key = key(index)
      let taken = store.lock(key, as: worker)
      let entry = store.find(key, now: now, touch: false)
      let isOther = entry.map { !$0.isString } ?? false
      let outcome = isOther ? FillOutcome.useStore : fill(key, entry)
      store.unlock(key, taken)
      switch outcome {
      case .useStore, .absent, .value: break
      case .failed(let error):
        reply(error: "ORIGIN \(error)")
        return false
      case .wait(let number): putOff(number)
      }
    }
    return !isPostponed
  }
}
