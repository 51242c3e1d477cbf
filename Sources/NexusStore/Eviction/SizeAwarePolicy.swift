/// Weighs an entry's size against how long ago and how often it was of use: the entry with the largest
/// size x age / (1 + level)^2 leaves. Size x age is size-adjusted LRU (Aggarwal, Wolf, Yu: "Caching on the World Wide
/// Web", 1999); the level says how many times an entry has earned another round, and a returning ghost enters one level
/// above the one it left.
///
/// Entries are kept by size (two classes an octave) and level, each list in the order of entry, so that only the tails
/// need comparing. No entry has a time stamp: a list knows when something last entered it and at what intervals, which
/// times its length is its tail's age. Time is counted in entries into the lane.
///
/// Invariant: an entry's queue is its level, and it is in the list of its level and of its bytes' class; bit n of
/// `occupied` is set exactly if list n is not empty.
struct SizeAwarePolicy: EvictionPolicy {
  private struct Shelf: BitwiseCopyable {
    var list = LaneList()
    var lastEntry: UInt32 = 0
    /// Mean time between entries; 0: none yet.
    var interval: Float = 0
  }

  private static let classCount = 48
  private static let levelCount = 4
  private static let shelfCount = classCount * levelCount
  /// Bytes of the smallest class, as a power of two.
  private static let smallestShift = 5

  private let shelves: UnsafeMutablePointer<Shelf>
  private var occupied: (UInt64, UInt64, UInt64) = (0, 0, 0)
  private var ghosts = GhostTable(tagBits: 2)
  private var now: UInt32 = 0
  private(set) var count = 0

  init() {
    shelves = .allocate(capacity: Self.shelfCount)
    shelves.initialize(repeating: Shelf(), count: Self.shelfCount)
  }

  mutating func release() {
    shelves.deallocate()
    ghosts.release()
  }

  var heapBytes: Int { Self.shelfCount * MemoryLayout<Shelf>.stride + ghosts.heapBytes }

  // MARK: Shelves

  @inline(__always)
  private static func shelf(bytes: Int, level: UInt8) -> Int {
    let size = UInt64(max(bytes, 1 << smallestShift))
    let octave = 63 &- size.leadingZeroBitCount
    let upperHalf = Int(truncatingIfNeeded: size >> UInt64(octave &- 1)) & 1
    let sizeClass = min((octave &- smallestShift) &* 2 &+ upperHalf, classCount &- 1)
    return sizeClass &* levelCount &+ Int(level)
  }

  /// Bytes in the middle of the shelf's class.
  @inline(__always)
  private static func bytes(onShelf index: Int) -> Float {
    let sizeClass = index / levelCount
    return Float(((sizeClass & 1 == 0 ? 5 : 7) << (sizeClass / 2 + smallestShift)) / 4)
  }

  @inline(__always)
  private mutating func setOccupied(_ index: Int, _ isOccupied: Bool) {
    let bit: UInt64 = 1 << UInt64(index & 63)
    switch (index >> 6, isOccupied) {
    case (0, true): occupied.0 |= bit
    case (0, false): occupied.0 &= ~bit
    case (1, true): occupied.1 |= bit
    case (1, false): occupied.1 &= ~bit
    case (_, true): occupied.2 |= bit
    case (_, false): occupied.2 &= ~bit
    }
  }

  private mutating func enter<Items: ItemAccess>(_ handle: UInt32, bytes: Int, level: UInt8, _ items: Items) {
    let index = Self.shelf(bytes: bytes, level: level)
    let shelf = shelves + index
    if shelf.pointee.list.count == 0 { setOccupied(index, true) }
    items.setQueue(handle, level)
    shelf.pointee.list.pushFront(handle, items)
    // A mean over about half of what is on the shelf, and 0 (no interval) until the second entry.
    if shelf.pointee.lastEntry != 0 {
      let passed = Float(now &- shelf.pointee.lastEntry)
      let weight = max(4, Float(shelf.pointee.list.count) / 2)
      shelf.pointee.interval += (passed - shelf.pointee.interval) / weight
    }
    shelf.pointee.lastEntry = now
    count &+= 1
  }

  private mutating func leave<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) {
    let index = Self.shelf(bytes: bytes, level: items.queue(handle))
    shelves[index].list.unlink(handle, items)
    if shelves[index].list.count == 0 { setOccupied(index, false) }
    count &-= 1
  }

  /// The shelf whose tail is worth least for its bytes. Only while there are entries.
  private func worstShelf() -> Int {
    var worst = 0
    var worstCost: Float = -1
    func look(_ word: UInt64, _ base: Int) {
      var bits = word
      while bits != 0 {
        let index = base &+ bits.trailingZeroBitCount
        bits &= bits &- 1
        let shelf = shelves[index]
        let age = Float(now &- shelf.lastEntry) + Float(shelf.list.count) * shelf.interval + 1
        let uses = Float(1 &+ index % Self.levelCount)
        let cost = Self.bytes(onShelf: index) * age / (uses * uses)
        if cost > worstCost {
          worst = index
          worstCost = cost
        }
      }
    }
    look(occupied.0, 0)
    look(occupied.1, 64)
    look(occupied.2, 128)
    return worst
  }

  // MARK: The policy

  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    now &+= 1
    var level: UInt8 = 0
    if let left = ghosts.take(hash) { level = min(left + 1, UInt8(Self.levelCount - 1)) }
    enter(handle, bytes: bytes, level: level, items)
  }

  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {}

  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    let level = items.queue(old)
    let index = Self.shelf(bytes: oldBytes, level: level)
    if index == Self.shelf(bytes: newBytes, level: level) {
      shelves[index].list.replace(old, by: new, items)
    } else {
      leave(old, bytes: oldBytes, items)
      enter(new, bytes: newBytes, level: level, items)
    }
  }

  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) {
    leave(handle, bytes: bytes, items)
  }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    guard count > 0 else { return 0 }
    for _ in 0..<workLimit {
      let handle = shelves[worstShelf()].list.tail
      if items.frequency(handle) == 0 { return handle }
      items.setFrequency(handle, 0)
      let bytes = items.bytes(handle)
      let level = items.queue(handle)
      leave(handle, bytes: bytes, items)
      enter(handle, bytes: bytes, level: min(level + 1, UInt8(Self.levelCount - 1)), items)
    }
    return shelves[worstShelf()].list.tail
  }

  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    let level = items.queue(handle)
    leave(handle, bytes: bytes, items)
    ghosts.fit(entries: count)
    ghosts.put(hash, tag: level)
  }

  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    let bytes = items.bytes(handle)
    let level = items.queue(handle)
    leave(handle, bytes: bytes, items)
    enter(handle, bytes: bytes, level: level, items)
  }

  /// Higher levels first; within a level, smaller sizes first.
  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    var all = LaneList()
    for level in (0..<Self.levelCount).reversed() {
      for sizeClass in 0..<Self.classCount {
        let index = sizeClass * Self.levelCount + level
        all.append(shelves[index].list, items)
        shelves[index] = Shelf()
      }
    }
    occupied = (0, 0, 0)
    count = 0
    return all
  }

  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items) {
    var handle = list.tail
    while handle != 0 {
      let prev = items.prev(handle)
      now &+= 1
      enter(handle, bytes: items.bytes(handle), level: 0, items)
      handle = prev
    }
  }
}
