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

/// A cache over fake entries, driven as the store drives it: a miss makes room, then enters. The first lane tunes;
/// victims come from the lanes in turn.
struct FakeCache {
  var lanes: [LanePolicy]
  let items: FakeItems
  var limit: Int
  var used = 0
  var hits = 0
  var misses = 0
  private var turn = 0

  init(_ name: EvictionPolicyName, objects: Int, limit: Int, lanes: Int = 1) {
    self.lanes = (0..<lanes).map { LanePolicy(name, tunes: $0 == 0, seed: UInt64($0 + 1)) }
    items = FakeItems(count: objects)
    self.limit = limit
  }

  /// The first lane's.
  var policy: LanePolicy {
    get { lanes[0] }
    _modify { yield &lanes[0] }
  }

  mutating func release() {
    for index in lanes.indices { lanes[index].release() }
    items.release()
  }

  func holds(_ number: Int) -> Bool { items.records[number + 1].isResident }

  /// By bits of a hash of its own, as the store goes by the slot.
  private func lane(of handle: UInt32) -> Int {
    if lanes.count == 1 { return 0 }
    var generator = SplitMix(state: ~UInt64(handle))
    return Int(generator.next() % UInt64(lanes.count))
  }

  /// Look-aside: true for a hit; a miss stores the object.
  @discardableResult
  mutating func request(_ number: Int, bytes: Int = 1, expiresAt: Int64 = 0) -> Bool {
    let handle = UInt32(number + 1)
    let record = items.records + Int(handle)
    let hash = items.hash(handle)
    if record.pointee.isResident {
      hits += 1
      if record.pointee.frequency < 3 { record.pointee.frequency += 1 }
      if hash & lanes[0].touchMask == 0 {
        lanes[lane(of: handle)].accessed(handle, hash: hash, bytes: record.pointee.bytes, items)
      }
      return true
    }
    misses += 1
    if bytes > limit { return false }
    while used + bytes > limit {
      if evictOne() == nil { return false }
    }
    record.pointee = FakeItems.Record(bytes: bytes, expiresAt: expiresAt, isResident: true)
    used += bytes
    lanes[lane(of: handle)].inserted(handle, hash: hash, bytes: bytes, items)
    return false
  }

  @discardableResult
  mutating func evictOne() -> Int? {
    for _ in lanes.indices {
      turn = (turn + 1) % lanes.count
      lanes[turn].smallShare = lanes[0].smallShare
      let victim = lanes[turn].nextVictim(items)
      guard victim != 0 else { continue }
      let bytes = items.bytes(victim)
      lanes[turn].evicted(victim, hash: items.hash(victim), bytes: bytes, items)
      items.records[Int(victim)].isResident = false
      used -= bytes
      return Int(victim) - 1
    }
    return nil
  }
}
