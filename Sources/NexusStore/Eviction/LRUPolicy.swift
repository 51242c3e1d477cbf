/// Least recently used first, exactly: every hit moves its entry to the front.
struct LRUPolicy: SingleListPolicy {
  var list = LaneList()

  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    list.moveToFront(handle, items)
  }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 { list.tail }
}
