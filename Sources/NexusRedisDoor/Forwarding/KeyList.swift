import NexusModel
import NexusStore

/// The keys of one request, hashed, in raw memory that is used again for the next request.
struct KeyList: BitwiseCopyable {
  /// Invariant: room for `capacity` keys, of which the first `count` are initialised.
  private var base: UnsafeMutablePointer<Key>
  private var capacity: Int
  private(set) var count = 0
  /// Whether all of them lie in one slot.
  private(set) var isOneSlot = true

  init() {
    capacity = 64
    base = .allocate(capacity: capacity)
  }

  func deallocate() { base.deallocate() }

  var keys: UnsafeBufferPointer<Key> { UnsafeBufferPointer(start: base, count: count) }
  var slot: UInt16 { base.pointee.slot }

  mutating func removeAll() {
    count = 0
    isOneSlot = true
    guard capacity > 16 * 1024 else { return }
    base.deallocate()
    self = KeyList()
  }

  @inline(__always) mutating func append(_ key: Key) {
    if count == capacity { grow() }
    (base + count).initialize(to: key)
    count &+= 1
    if key.slot != base.pointee.slot { isOneSlot = false }
  }

  @inline(never) private mutating func grow() {
    let larger = UnsafeMutablePointer<Key>.allocate(capacity: capacity * 2)
    larger.initialize(from: base, count: count)
    base.deallocate()
    base = larger
    capacity *= 2
  }
}

extension Engine {
  /// Fills `keyList` with the keys of a request. `prepared` is its first key, where that is hashed already.
  func collectKeys(
    _ slot: UnsafePointer<CommandTable.Slot>, _ arguments: UnsafeMutablePointer<Argument>, _ count: Int,
    _ prepared: Key?, _ namespace: NamespaceNumber
  ) {
    keyList.removeAll()
    guard case .range(let first, let last, let step) = slot.pointee.command.keys else {
      for position in slot.pointee.command.keys.positions(arguments, count) {
        keyList.append(store.key(arguments[position].bytes, in: namespace))
      }
      return
    }
    let end = last < 0 ? count + last : last
    guard first > 0, first <= end, end < count else { return }
    var position = first
    if let prepared, prepared.namespace == namespace {
      keyList.append(prepared)
      position += max(step, 1)
    }
    while position <= end {
      keyList.append(store.key(arguments[position].bytes, in: namespace))
      position += max(step, 1)
    }
  }
}
