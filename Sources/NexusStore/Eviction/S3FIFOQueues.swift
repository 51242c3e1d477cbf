/// The queues of S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: "FIFO queues are all you need for cache eviction", SOSP 2023):
/// newcomers enter a small queue; who was hit twice there goes on to the main one, the others leave and are
/// remembered as ghosts; a ghost that returns enters the main queue at once. The main queue gives every entry one
/// more round for each hit. Hits only raise a 2-bit counter, so that they need no lock of the lane.
///
/// Invariant: an entry's queue is 0 and it is in `small`, or 1 and in `main`.
struct S3FIFOQueues: BitwiseCopyable {
  private(set) var small = LaneList()
  private(set) var main = LaneList()
  private var ghosts = GhostTable()
  /// Set by the first search for a victim. Until then nobody knows how large the lane will be, and newcomers are dealt
  /// to both queues in proportion.
  private(set) var isFull = false
  /// The small queue's part of all entries, in 1/1024.
  var smallShare: Int

  /// Hits in the small queue that earn the main one.
  private static let promotionFrequency: UInt8 = 2

  init(smallShare: Int) { self.smallShare = smallShare }

  var count: Int { small.count &+ main.count }
  var heapBytes: Int { ghosts.heapBytes }
  private var smallTarget: Int { max(1, (count &* smallShare) >> 10) }

  mutating func release() { ghosts.release() }

  mutating func insert<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, _ items: Items) {
    let returns = isFull ? ghosts.take(hash) != nil : small.count > smallTarget
    if returns { enterMain(handle, items) } else { small.pushFront(handle, items) }
  }

  @inline(__always)
  mutating func enterMain<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    items.setQueue(handle, 1)
    main.pushFront(handle, items)
  }

  mutating func remove<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if items.queue(handle) == 1 { main.unlink(handle, items) } else { small.unlink(handle, items) }
  }

  mutating func replace<Items: ItemAccess>(_ old: UInt32, by new: UInt32, _ items: Items) {
    if items.queue(old) == 1 { main.replace(old, by: new, items) } else { small.replace(old, by: new, items) }
  }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    isFull = true
    var work = workLimit
    if small.count >= smallTarget || main.count == 0 {
      while small.tail != 0 {
        let handle = small.tail
        if work == 0 || items.frequency(handle) < Self.promotionFrequency { return handle }
        work &-= 1
        small.unlink(handle, items)
        items.setFrequency(handle, 0)
        enterMain(handle, items)
      }
    }
    while main.tail != 0 {
      let handle = main.tail
      let frequency = items.frequency(handle)
      if work == 0 || frequency == 0 { return handle }
      work &-= 1
      items.setFrequency(handle, frequency &- 1)
      main.moveToFront(handle, items)
    }
    return small.tail
  }

  mutating func evict<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, _ items: Items) {
    if items.queue(handle) == 1 {
      main.unlink(handle, items)
    } else {
      small.unlink(handle, items)
      ghosts.fit(entries: count)
      ghosts.put(hash)
    }
  }

  mutating func spare<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    if items.queue(handle) == 1 { main.moveToFront(handle, items) } else { small.moveToFront(handle, items) }
  }

  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    var all = main
    all.append(small, items)
    small = LaneList()
    main = LaneList()
    return all
  }

  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items) {
    var handle = list.head
    while handle != 0 {
      items.setQueue(handle, 1)
      handle = items.next(handle)
    }
    main.append(list, items)
  }
}
