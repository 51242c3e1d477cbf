/// What expires soonest leaves first, as far as a sample shows: the soonest of the next few entries after a hand that
/// walks the entries with an expiry. Entries without one stay.
///
/// Invariant: an entry's queue is 1 and it is in `expiring` exactly if it has an expiry, else 0 and `lasting`;
/// `hand` is an entry of `expiring`, or 0 for its head.
struct TTLPolicy: EvictionPolicy {
  private var lasting = LaneList()
  private var expiring = LaneList()
  private var hand: UInt32 = 0

  private static let sampleCount = 16

  var count: Int { lasting.count &+ expiring.count }

  private mutating func enter<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if items.expiresAt(handle) != 0 {
      items.setQueue(handle, 1)
      expiring.pushFront(handle, items)
    } else {
      items.setQueue(handle, 0)
      lasting.pushFront(handle, items)
    }
  }

  private mutating func leave<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if hand == handle { hand = items.next(handle) }
    if items.queue(handle) == 1 { expiring.unlink(handle, items) } else { lasting.unlink(handle, items) }
  }

  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    enter(handle, items)
  }

  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {}

  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    let wasExpiring = items.queue(old) == 1
    if wasExpiring == (items.expiresAt(new) != 0) {
      if hand == old { hand = new }
      if wasExpiring { expiring.replace(old, by: new, items) } else { lasting.replace(old, by: new, items) }
    } else {
      leave(old, items)
      enter(new, items)
    }
  }

  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) { leave(handle, items) }
  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    leave(handle, items)
  }
  /// The hand has passed it already.
  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {}

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    var soonest: UInt32 = 0
    var soonestExpiry = Int64.max
    for _ in 0..<min(Self.sampleCount, expiring.count) {
      if hand == 0 { hand = expiring.head }
      let expiry = items.expiresAt(hand)
      if expiry < soonestExpiry || soonest == 0 {
        soonest = hand
        soonestExpiry = expiry
      }
      hand = items.next(hand)
    }
    return soonest
  }

  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    var all = lasting
    all.append(expiring, items)
    self = TTLPolicy()
    return all
  }

  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items) {
    var handle = list.tail
    while handle != 0 {
      let prev = items.prev(handle)
      enter(handle, items)
      handle = prev
    }
  }

  mutating func release() {}
  var heapBytes: Int { 0 }
}
