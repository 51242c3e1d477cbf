import NexusModel
@testable import NexusStore

/// Entries in plain memory: number n has handle n + 1. Never freed before the test's end.
struct FakeItems: ItemAccess {
  struct Record {
    var next: UInt32 = 0
    var prev: UInt32 = 0
    var bytes = 0
    var expiresAt: Int64 = 0
    var frequency: UInt8 = 0
    var queue: UInt8 = 0
    var isResident = false
  }
  /// Invariant: `count` + 1 records, of which number 0 is nobody.
  let records: UnsafeMutablePointer<Record>
  let count: Int

  init(count: Int) {
    self.count = count
    records = .allocate(capacity: count + 1)
    records.initialize(repeating: Record(), count: count + 1)
  }
  func release() { records.deallocate() }

  func next(_ handle: UInt32) -> UInt32 { records[Int(handle)].next }
  func setNext(_ handle: UInt32, _ next: UInt32) { records[Int(handle)].next = next }
  func prev(_ handle: UInt32) -> UInt32 { records[Int(handle)].prev }
  func setPrev(_ handle: UInt32, _ prev: UInt32) { records[Int(handle)].prev = prev }
  func frequency(_ handle: UInt32) -> UInt8 { records[Int(handle)].frequency }
  func setFrequency(_ handle: UInt32, _ frequency: UInt8) { records[Int(handle)].frequency = frequency }
  func queue(_ handle: UInt32) -> UInt8 { records[Int(handle)].queue }
  func setQueue(_ handle: UInt32, _ queue: UInt8) { records[Int(handle)].queue = queue }
  func bytes(_ handle: UInt32) -> Int { records[Int(handle)].bytes }
  func expiresAt(_ handle: UInt32) -> Int64 { records[Int(handle)].expiresAt }

  func hash(_ handle: UInt32) -> UInt64 {
    var generator = SplitMix(state: UInt64(handle))
    return generator.next()
  }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}

/// A cache of one lane over fake entries, driven as the store drives it: a miss makes room, then enters.
struct FakeCache {
  var policy: LanePolicy
  let items: FakeItems
  var limit: Int
  var used = 0
  var hits = 0
  var misses = 0

  init(_ name: EvictionPolicyName, objects: Int, limit: Int) {
    policy = LanePolicy(name, tunes: true, seed: 1)
    items = FakeItems(count: objects)
    self.limit = limit
  }

  mutating func release() {
    policy.release()
    items.release()
  }

  func holds(_ number: Int) -> Bool { items.records[number + 1].isResident }

  /// Look-aside: true for a hit; a miss stores the object.
  @discardableResult
  mutating func request(_ number: Int, bytes: Int = 1, expiresAt: Int64 = 0) -> Bool {
    let handle = UInt32(number + 1)
    let record = items.records + Int(handle)
    let hash = items.hash(handle)
    if record.pointee.isResident {
      hits += 1
      if record.pointee.frequency < 3 { record.pointee.frequency += 1 }
      if hash & policy.touchMask == 0 { policy.accessed(handle, hash: hash, bytes: bytes, items) }
      return true
    }
    misses += 1
    if bytes > limit { return false }
    while used + bytes > limit {
      if evictOne() == nil { return false }
    }
    record.pointee = FakeItems.Record(bytes: bytes, expiresAt: expiresAt, isResident: true)
    used += bytes
    policy.inserted(handle, hash: hash, bytes: bytes, items)
    return false
  }

  @discardableResult
  mutating func evictOne() -> Int? {
    let victim = policy.nextVictim(items)
    guard victim != 0 else { return nil }
    let bytes = items.bytes(victim)
    policy.evicted(victim, hash: items.hash(victim), bytes: bytes, items)
    items.records[Int(victim)].isResident = false
    used -= bytes
    return Int(victim) - 1
  }

  mutating func remove(_ number: Int) {
    let handle = UInt32(number + 1)
    used -= items.bytes(handle)
    policy.removed(handle, bytes: items.bytes(handle), items)
    items.records[Int(handle)].isResident = false
  }
}
