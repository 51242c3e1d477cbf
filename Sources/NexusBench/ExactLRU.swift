/// True least-recently-used replacement over a trace: the yardstick for every policy. Objects count 1, or their
/// size where `sizes` are given; no overhead is counted, and what is larger than the cache is not kept.
public struct ExactLRU {
  private let capacity: Int
  private let sizes: [Int]
  private var used = 0
  /// A doubly linked list over key numbers; the last place is the head, whose `next` is the most recent key.
  private var next: [Int32]
  private var previous: [Int32]
  private var isHeld: [Bool]
  private let head: Int32

  public init(capacity: Int, objectCount: Int, sizes: [Int] = []) {
    self.capacity = capacity
    self.sizes = sizes
    head = Int32(objectCount)
    next = [Int32](repeating: Int32(objectCount), count: objectCount + 1)
    previous = next
    isHeld = [Bool](repeating: false, count: objectCount)
  }

  /// One look-aside read: true if the key was held; it is afterwards, if it fits at all.
  public mutating func access(_ key: UInt32) -> Bool {
    let place = Int32(key)
    if isHeld[Int(key)] {
      unlink(place)
      linkFirst(place)
      return true
    }
    let size = sizes.isEmpty ? 1 : sizes[Int(key)]
    guard size <= capacity else { return false }
    while used + size > capacity {
      let victim = previous[Int(head)]
      unlink(victim)
      isHeld[Int(victim)] = false
      used -= sizes.isEmpty ? 1 : sizes[Int(victim)]
    }
    used += size
    isHeld[Int(key)] = true
    linkFirst(place)
    return false
  }

  /// Misses of a whole trace, from an empty cache.
  public static func misses(of trace: Trace, capacity: Int, countingBytes: Bool) -> Int {
    var cache = ExactLRU(
      capacity: capacity, objectCount: trace.objectCount, sizes: countingBytes ? trace.sizes : [])
    var misses = 0
    for key in trace.keys where !cache.access(key) { misses += 1 }
    return misses
  }

  private mutating func unlink(_ place: Int32) {
    next[Int(previous[Int(place)])] = next[Int(place)]
    previous[Int(next[Int(place)])] = previous[Int(place)]
  }

  private mutating func linkFirst(_ place: Int32) {
    let second = next[Int(head)]
    next[Int(place)] = second
    previous[Int(place)] = head
    previous[Int(second)] = place
    next[Int(head)] = place
  }
}
