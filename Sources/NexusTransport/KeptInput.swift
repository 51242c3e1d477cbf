import Glibc
import NexusModel

/// The input of one connection that its door could not finish with yet. Owns no memory while it is empty.
///
/// Grows by doubling with what has really arrived: a declared length only keeps it from growing past what is needed.
struct KeptInput {
  /// Invariant: `capacity` bytes from malloc (nil when 0), of which `start..<start + count` are held.
  private var base: UnsafeMutableRawPointer?
  private var start: UInt32 = 0
  private var held: UInt32 = 0
  private var capacity: UInt32 = 0
  /// The door has seen this many bytes from the first and needs more than them to go on.
  var insufficient: UInt32 = 0

  static let smallestCapacity = 256

  var count: Int { Int(held) }
  var bytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base.map { $0 + Int(start) }, count: Int(held))
  }

  mutating func append(_ bytes: UnsafeRawPointer, _ byteCount: Int, expected: Int, _ gauge: MemoryGauge) {
    let space = makeSpace(atLeast: byteCount, expected: expected, gauge)
    space.baseAddress!.copyMemory(from: bytes, byteCount: byteCount)
    held += UInt32(byteCount)
  }

  /// Room behind the held bytes for at least so many more; `received` tells how many were written there.
  mutating func makeSpace(
    atLeast byteCount: Int, expected: Int, _ gauge: MemoryGauge
  ) -> UnsafeMutableRawBufferPointer {
    if Int(start) + Int(held) + byteCount > Int(capacity) {
      if start > 0 && Int(held) + byteCount <= Int(capacity) && held <= start {
        // Moving at most as much as has been consumed since: linear over all.
        base!.copyMemory(from: base! + Int(start), byteCount: Int(held))
        start = 0
      } else {
        grow(toHold: Int(held) + byteCount, expected: expected, gauge)
      }
    }
    let used = Int(start) + Int(held)
    return UnsafeMutableRawBufferPointer(start: base! + used, count: Int(capacity) - used)
  }

  mutating func received(_ byteCount: Int) { held += UInt32(byteCount) }

  private mutating func grow(toHold needed: Int, expected: Int, _ gauge: MemoryGauge) {
    var newCapacity = max(Self.smallestCapacity, needed, Int(held) * 2)
    if expected >= needed { newCapacity = min(newCapacity, max(expected, Self.smallestCapacity)) }
    if start > 0 {
      base!.copyMemory(from: base! + Int(start), byteCount: Int(held))
      start = 0
    }
    // Large blocks are moved by remapping pages, not by copying.
    base = realloc(base, newCapacity)!
    gauge.add(newCapacity - Int(capacity))
    capacity = UInt32(newCapacity)
  }

  /// The first bytes are done with.
  mutating func consume(_ byteCount: Int, _ gauge: MemoryGauge) {
    insufficient = 0
    if byteCount >= count { return release(gauge) }
    start += UInt32(byteCount)
    held -= UInt32(byteCount)
  }

  /// Gives back the memory of a large request when little is held behind it.
  mutating func trim(_ gauge: MemoryGauge) {
    guard capacity > 16 * 1024, held < capacity / 4 else { return }
    let newCapacity = max(Self.smallestCapacity, count)
    let smaller = malloc(newCapacity)!
    smaller.copyMemory(from: base! + Int(start), byteCount: count)
    free(base)
    gauge.subtract(Int(capacity) - newCapacity)
    base = smaller
    start = 0
    capacity = UInt32(newCapacity)
  }

  mutating func release(_ gauge: MemoryGauge) {
    guard let base else { return }
    free(base)
    gauge.subtract(Int(capacity))
    self = KeptInput()
  }
}
