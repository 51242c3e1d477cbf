/// Any entry: a hand walks the list in random steps of one to four and takes whom it meets, so that at each round
/// every entry has the same chance to stay, whatever its age.
///
/// Invariant: `hand` is an entry of the list, or 0 for its head.
struct RandomPolicy: SingleListPolicy {
  var list = LaneList()
  private var hand: UInt32 = 0
  private var state: UInt64

  init(seed: UInt64) { state = seed | 1 }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    guard list.count > 0 else { return 0 }
    // Marsaglia's xorshift.
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    var victim = hand != 0 ? hand : list.head
    for _ in 0..<(state >> 62) {
      let next = items.next(victim)
      victim = next != 0 ? next : list.head
    }
    hand = items.next(victim)
    return victim
  }

  private mutating func leave<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if hand == handle { hand = items.next(handle) }
    list.unlink(handle, items)
  }

  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) { leave(handle, items) }
  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    leave(handle, items)
  }
  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {}
  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    if hand == old { hand = new }
    list.replace(old, by: new, items)
  }
  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    defer {
      list = LaneList()
      hand = 0
    }
    return list
  }
}
