/// How eviction sees entries: by handle, in whatever memory they lie. All but `frequency` is read and written under the
/// lock of the entry's lane. `frequency` is also raised by hits that hold no lane lock, so both halves of what a
/// program keeps for it (2 bits each) must be changed without losing the other half; a lost raise does no harm.
///
/// Handle 0 is no entry.
protocol ItemAccess: BitwiseCopyable {
  func next(_ handle: UInt32) -> UInt32
  func setNext(_ handle: UInt32, _ next: UInt32)
  func prev(_ handle: UInt32) -> UInt32
  func setPrev(_ handle: UInt32, _ prev: UInt32)
  /// How often hit lately, 0...3. The one who writes an entry starts it at 0 and raises it at each hit.
  func frequency(_ handle: UInt32) -> UInt8
  func setFrequency(_ handle: UInt32, _ frequency: UInt8)
  /// Which of its policy's lists the entry is in, 0...3.
  func queue(_ handle: UInt32) -> UInt8
  func setQueue(_ handle: UInt32, _ queue: UInt8)
  /// What the entry occupies: the same figure that its policy was last told for it.
  func bytes(_ handle: UInt32) -> Int
  /// Unix milliseconds; 0: never.
  func expiresAt(_ handle: UInt32) -> Int64
}

/// A doubly linked list through entries, newest at the head.
///
/// Invariant: `head` and `tail` are both 0 or both not; the links of its `count` entries form one chain between them
/// that ends in 0 on either side.
struct LaneList: BitwiseCopyable {
  var head: UInt32 = 0
  var tail: UInt32 = 0
  var count = 0

  @inline(__always)
  mutating func pushFront<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    items.setPrev(handle, 0)
    items.setNext(handle, head)
    if head != 0 { items.setPrev(head, handle) } else { tail = handle }
    head = handle
    count &+= 1
  }

  @inline(__always)
  mutating func unlink<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    let next = items.next(handle)
    let prev = items.prev(handle)
    if prev != 0 { items.setNext(prev, next) } else { head = next }
    if next != 0 { items.setPrev(next, prev) } else { tail = prev }
    count &-= 1
  }

  @inline(__always)
  mutating func moveToFront<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if head == handle { return }
    unlink(handle, items)
    pushFront(handle, items)
  }

  /// `new` takes the place of `old`, whose links are still readable.
  mutating func replace<Items: ItemAccess>(_ old: UInt32, by new: UInt32, _ items: Items) {
    if old == new { return }
    let next = items.next(old)
    let prev = items.prev(old)
    items.setNext(new, next)
    items.setPrev(new, prev)
    if prev != 0 { items.setNext(prev, new) } else { head = new }
    if next != 0 { items.setPrev(next, new) } else { tail = new }
  }

  /// All of `other` behind this list's tail.
  mutating func append<Items: ItemAccess>(_ other: LaneList, _ items: Items) {
    guard other.count > 0 else { return }
    if tail != 0 {
      items.setNext(tail, other.head)
      items.setPrev(other.head, tail)
    } else {
      head = other.head
    }
    tail = other.tail
    count &+= other.count
  }
}
