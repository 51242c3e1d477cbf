import Glibc
import NexusModel
import NexusStore

/// What a copy says of its key.
public enum HotValue {
  /// Valid until the next call.
  case value(UnsafeRawBufferPointer)
  case absent
}

/// One loop's copies of hot keys that other members own: a bounded number of places in bounded memory. A place is kept
/// while its key is hot, whether what it holds is good or not.
///
/// A look-up allocates nothing. Exactly one owner calls `deallocate`.
struct HotCopies {
  struct Place {
    var hash: UInt64 = 0
    /// The key's bytes, then the value's.
    var block: UnsafeMutableRawPointer?
    var keyCount = 0
    /// -1: the key is absent.
    var valueCount = 0
    /// Good while the slot has this mark, and until this millisecond of the loop's clock; 0: holds nothing.
    var mark = HotMarks.Mark(slot: 0, all: 0, routes: 0)
    var until: UInt64 = 0
    /// Reads since it came; and of late, halved every second, to find the place that is wanted least.
    var reads: UInt32 = 0
    var recentReads: UInt32 = 0
    /// Asked for now.
    var isAsked = false
    /// Not asked for again before this millisecond, and how long that was last.
    var restsUntil: UInt64 = 0
    var rest: UInt64 = 0
    var slot: UInt16 = 0
    var namespace: NamespaceNumber = 0
    /// The next one of the same chain, or of the free ones; -1: none.
    var next: Int32 = -1

    var isUsed: Bool { block != nil }
    var blockBytes: Int { max(1, keyCount + max(0, valueCount)) }
    var key: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: block, count: keyCount) }
    var value: HotValue {
      valueCount < 0
        ? .absent : .value(UnsafeRawBufferPointer(start: block.map { $0 + keyCount }, count: valueCount))
    }
  }

  static let capacity = 1024

  /// Invariant: `capacity` initialised places.
  let places: UnsafeMutablePointer<Place>
  /// The first place of each chain of hashes; -1: none.
  private let chains: UnsafeMutablePointer<Int32>
  private static let chainMask = UInt64(capacity * 2 - 1)
  private var free: Int32 = 0
  /// Places in use.
  private(set) var count = 0
  /// Of all blocks.
  private(set) var byteCount = 0

  init() {
    places = .allocate(capacity: Self.capacity)
    places.initialize(repeating: Place(), count: Self.capacity)
    for index in 0..<Self.capacity { places[index].next = index + 1 < Self.capacity ? Int32(index + 1) : -1 }
    chains = .allocate(capacity: Self.capacity * 2)
    chains.initialize(repeating: -1, count: Self.capacity * 2)
  }

  func deallocate() {
    for index in 0..<Self.capacity { places[index].block?.deallocate() }
    places.deallocate()
    chains.deallocate()
  }

  // MARK: Finding

  @inline(__always) func find(_ key: Key) -> Int? {
    var index = chains[Int(truncatingIfNeeded: key.hash & Self.chainMask)]
    while index >= 0 {
      let place = places + Int(index)
      if place.pointee.hash == key.hash, place.pointee.namespace == key.namespace,
        isKey(place, key.base, key.count)
      {
        return Int(index)
      }
      index = place.pointee.next
    }
    return nil
  }

  @inline(__always) private func isKey(
    _ place: UnsafeMutablePointer<Place>, _ base: UnsafeRawPointer, _ count: Int
  ) -> Bool {
    place.pointee.keyCount == count && (count == 0 || memcmp(place.pointee.block!, base, count) == 0)
  }

  var names: [KeyName] {
    (0..<Self.capacity).filter { places[$0].isUsed }.map {
      KeyName(namespace: places[$0].namespace, key: Array(places[$0].key))
    }
  }

  // MARK: Coming and going

  /// A place for the key, which has none: where all are taken, the one that is wanted least goes. Nil: none may.
  mutating func add(_ key: Key) -> Int? {
    if free < 0, let least = leastWanted(besides: nil) { remove(least) }
    guard free >= 0 else { return nil }
    let index = Int(free)
    free = places[index].next
    let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, key.count), alignment: 1)
    if key.count > 0 { block.copyMemory(from: key.base, byteCount: key.count) }
    let chain = Int(truncatingIfNeeded: key.hash & Self.chainMask)
    places[index] = Place(
      hash: key.hash, block: block, keyCount: key.count, slot: key.slot, namespace: key.namespace, next: chains[chain])
    chains[chain] = Int32(truncatingIfNeeded: index)
    count += 1
    byteCount += places[index].blockBytes
    return index
  }

  mutating func remove(_ index: Int) {
    let chain = Int(truncatingIfNeeded: places[index].hash & Self.chainMask)
    if chains[chain] == Int32(index) {
      chains[chain] = places[index].next
    } else {
      var before = Int(chains[chain])
      while places[before].next != Int32(index) { before = Int(places[before].next) }
      places[before].next = places[index].next
    }
    byteCount -= places[index].blockBytes
    count -= 1
    places[index].block?.deallocate()
    places[index] = Place(next: free)
    free = Int32(truncatingIfNeeded: index)
  }

  /// Gives the place what its key has now; nil: nothing. False: it is too large, or nothing else may go for it.
  mutating func store(
    _ value: UnsafeRawBufferPointer?, at index: Int, mark: HotMarks.Mark, until: UInt64, limitBytes: Int
  ) -> Bool {
    let place = places + index
    let needed = max(1, place.pointee.keyCount + (value?.count ?? 0))
    guard needed <= limitBytes / 4 else {
      empty(index)
      return false
    }
    while byteCount - place.pointee.blockBytes + needed > limitBytes {
      guard let least = leastWanted(besides: index) else { return false }
      remove(least)
    }
    byteCount += needed - place.pointee.blockBytes
    if needed != place.pointee.blockBytes {
      let block = UnsafeMutableRawPointer.allocate(byteCount: needed, alignment: 1)
      if place.pointee.keyCount > 0 { block.copyMemory(from: place.pointee.block!, byteCount: place.pointee.keyCount) }
      place.pointee.block?.deallocate()
      place.pointee.block = block
    }
    if let value, value.count > 0 {
      (place.pointee.block! + place.pointee.keyCount).copyMemory(from: value.baseAddress!, byteCount: value.count)
    }
    place.pointee.valueCount = value?.count ?? -1
    place.pointee.mark = mark
    place.pointee.until = until
    place.pointee.reads = 0
    return true
  }

  /// The place holds nothing from now on but its key.
  mutating func empty(_ index: Int) {
    let place = places + index
    place.pointee.until = 0
    guard place.pointee.valueCount > 0 else {
      place.pointee.valueCount = 0
      return
    }
    byteCount -= place.pointee.blockBytes
    let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, place.pointee.keyCount), alignment: 1)
    if place.pointee.keyCount > 0 { block.copyMemory(from: place.pointee.block!, byteCount: place.pointee.keyCount) }
    place.pointee.block?.deallocate()
    place.pointee.block = block
    place.pointee.valueCount = 0
    byteCount += place.pointee.blockBytes
  }

  /// One that is asked for now stays: its answer names the place.
  private func leastWanted(besides index: Int?) -> Int? {
    var least: Int?
    for other in 0..<Self.capacity where places[other].isUsed && !places[other].isAsked && other != index {
      if least == nil || places[other].recentReads < places[least!].recentReads { least = other }
    }
    return least
  }

  /// Once a second: what nobody has read since twice before goes.
  mutating func cool(now: UInt64) {
    for index in 0..<Self.capacity where places[index].isUsed && !places[index].isAsked {
      if places[index].recentReads == 0, places[index].until <= now {
        remove(index)
      } else {
        places[index].recentReads /= 2
      }
    }
  }

  mutating func removeAll() {
    for index in 0..<Self.capacity where places[index].isUsed && !places[index].isAsked { remove(index) }
  }
}
