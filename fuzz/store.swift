import NexusModel
import NexusStore

// The store against a dictionary: any sequence of writes, resizes, expiries, removals, flushes and passing time leaves
// both with the same entries.
//
// The input is read as operations of a few bytes each: what to do, which of 64 keys, how long or how late.

let store: Store = {
  var configuration = StoreConfiguration()
  configuration.maxMemoryBytes = 256 << 20
  return try! Store(configuration)
}()
nonisolated(unsafe) var now: UnixMilliseconds = 1_700_000_000_000
let worker: Worker = 1

struct Known {
  var value: [UInt8]
  var expiresAt: UnixMilliseconds
}

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOne(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  guard let start else { return 0 }
  var operations = UnsafeBufferPointer(start: start, count: count).makeIterator()
  var known: [UInt8: Known] = [:]
  store.flush(0, as: worker)
  while let what = operations.next(), let which = operations.next(), let amount = operations.next() {
    // Lengths from 0 to some 65 thousand, most of them short.
    let length = Int(amount) * (amount & 7 == 7 ? 257 : 1)
    if what % 8 == 7 {
      now += Int64(amount)
      known = known.filter { $0.value.expiresAt == 0 || $0.value.expiresAt > now }
      _ = store.maintain(loop: 0, as: worker, now: now, budgetNanoseconds: 20_000)
    } else if what == 0xF6 {
      store.flush(0, as: worker)
      known = [:]
    } else {
      one(what % 8, which % 64, length, &known)
    }
  }
  compare(known)
  return 0
}

func one(_ what: UInt8, _ which: UInt8, _ length: Int, _ known: inout [UInt8: Known]) {
  precondition(store.admit(length + 64, in: 0, as: worker, now: now) == .stored)
  withKey(which) { key in
    let taken = store.lock(key, as: worker)
    defer { store.unlock(key, taken) }
    let entry = store.find(key, now: now)
    precondition((entry == nil) == (known[which] == nil), "the store and the model disagree on a key")
    let value = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ Int(which)) }
    switch what {
    case 0, 1:
      let expiry: Expiry = what == 0 ? .none : .at(now + Int64(length) + 1)
      precondition(value.withUnsafeBytes { store.put(key, over: entry, $0, expiry) } == .stored)
      known[which] = Known(value: value, expiresAt: what == 0 ? 0 : now + Int64(length) + 1)
    case 2:
      precondition(value.withUnsafeBytes { store.put(key, over: entry, $0, .keep) } == .stored)
      known[which] = Known(value: value, expiresAt: known[which]?.expiresAt ?? 0)
    case 3:
      precondition(store.resize(key, entry, to: length, .keep) { $0.first.map { _ in } } == .stored)
      var old = known[which] ?? Known(value: [], expiresAt: 0)
      old.value = Array(old.value.prefix(length)) + Array(repeating: 0, count: max(0, length - old.value.count))
      known[which] = old
    case 4:
      guard let entry else { return }
      let moment = now + Int64(length) + 1
      precondition(store.setExpiry(key, entry, .at(moment)) != nil)
      known[which]!.expiresAt = moment
    case 5:
      guard let entry else { return }
      store.remove(key, entry)
      known[which] = nil
    default:
      guard let entry else { return }
      precondition(entry.value.elementsEqual(known[which]!.value), "a value is not what was written")
    }
  }
}

func compare(_ known: [UInt8: Known]) {
  var seen: Set<UInt8> = []
  var cursor: UInt64 = 0
  repeat {
    cursor = store.scan(0, from: cursor, budget: 10, as: worker, now: now) { entry in
      let which = entry.keyBytes[0]
      precondition(entry.keyBytes.count == 1 + Int(which) * 3, "a key is not what was written")
      precondition(known[which].map { entry.value.elementsEqual($0.value) } == true, "a scanned value is wrong")
      seen.insert(which)
    }
  } while cursor != 0
  precondition(seen == Set(known.keys), "a scan missed an entry")
  for which in 0..<UInt8(64) {
    withKey(which) { key in
      let taken = store.lock(key, as: worker)
      defer { store.unlock(key, taken) }
      let entry = store.find(key, now: now)
      precondition(entry.map { $0.value.elementsEqual(known[which]?.value ?? []) } ?? (known[which] == nil))
    }
  }
}

/// Keys of 1 to 190 bytes.
func withKey(_ which: UInt8, _ body: (Key) -> Void) {
  let bytes = [UInt8](repeating: which, count: 1 + Int(which) * 3)
  bytes.withUnsafeBytes { body(store.key($0, in: 0)) }
}
