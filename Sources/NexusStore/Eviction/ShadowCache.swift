/// An S3-FIFO of sampled hashes without values: what a namespace's misses would be with another small queue. At most
/// a few hundred entries of 12 bytes.
///
/// Invariant: `slots` holds `slotCount` slots, of which number 0 is nobody; each other slot is either in the queues and
/// in the chain of its hash's head, or in the free chain. `heads` holds `headMask` + 1 slot numbers, a power of two.
struct ShadowCache: BitwiseCopyable {
  private struct Slot: BitwiseCopyable {
    var hash: UInt32 = 0
    var next: UInt16 = 0
    var prev: UInt16 = 0
    var chain: UInt16 = 0
    var frequency: UInt8 = 0
    var queue: UInt8 = 0
  }

  private struct Access: ItemAccess {
    let slots: UnsafeMutablePointer<Slot>
    func next(_ handle: UInt32) -> UInt32 { UInt32(slots[Int(handle)].next) }
    func setNext(_ handle: UInt32, _ next: UInt32) { slots[Int(handle)].next = UInt16(truncatingIfNeeded: next) }
    func prev(_ handle: UInt32) -> UInt32 { UInt32(slots[Int(handle)].prev) }
    func setPrev(_ handle: UInt32, _ prev: UInt32) { slots[Int(handle)].prev = UInt16(truncatingIfNeeded: prev) }
    func frequency(_ handle: UInt32) -> UInt8 { slots[Int(handle)].frequency }
    func setFrequency(_ handle: UInt32, _ frequency: UInt8) { slots[Int(handle)].frequency = frequency }
    func queue(_ handle: UInt32) -> UInt8 { slots[Int(handle)].queue }
    func setQueue(_ handle: UInt32, _ queue: UInt8) { slots[Int(handle)].queue = queue }
    func bytes(_ handle: UInt32) -> Int { 1 }
    func expiresAt(_ handle: UInt32) -> Int64 { 0 }
  }

  private var queues: S3FIFOQueues
  private let slots: UnsafeMutablePointer<Slot>
  private let heads: UnsafeMutablePointer<UInt16>
  private let headMask: Int
  private let slotCount: Int
  private var free: UInt16 = 1

  /// `capacity`: at least 1, at most 65,534.
  init(capacity: Int, smallShare: Int) {
    queues = S3FIFOQueues(smallShare: smallShare)
    slotCount = capacity + 1
    slots = .allocate(capacity: slotCount)
    slots.initialize(repeating: Slot(), count: slotCount)
    for index in 1..<capacity { slots[index].chain = UInt16(index + 1) }
    var headCount = 1
    while headCount < capacity { headCount *= 2 }
    headMask = headCount - 1
    heads = .allocate(capacity: headCount)
    heads.initialize(repeating: 0, count: headCount)
  }

  mutating func release() {
    slots.deallocate()
    heads.deallocate()
    queues.release()
  }

  /// With the ghosts that it will remember: about a byte an entry.
  var heapBytesMax: Int {
    slotCount * (MemoryLayout<Slot>.stride + 1) + (headMask + 1) * MemoryLayout<UInt16>.stride
  }

  /// For the ghosts, which want all bits of 64 to differ.
  private static func spread(_ hash: UInt32) -> UInt64 { UInt64(hash) &* 0xD6E8_FEB8_6659_FD93 }

  /// One request of the sample. True for a hit.
  mutating func request(_ hash: UInt32) -> Bool {
    let head = Int(hash) & headMask
    var found = heads[head]
    while found != 0 {
      if slots[Int(found)].hash == hash {
        let frequency = slots[Int(found)].frequency
        if frequency < 3 { slots[Int(found)].frequency = frequency + 1 }
        return true
      }
      found = slots[Int(found)].chain
    }
    let items = Access(slots: slots)
    if free == 0 { evictOne(items) }
    let handle = free
    free = slots[Int(handle)].chain
    slots[Int(handle)] = Slot(hash: hash, chain: heads[head])
    heads[head] = handle
    queues.insert(UInt32(handle), hash: Self.spread(hash), items)
    return false
  }

  private mutating func evictOne(_ items: Access) {
    let victim = queues.nextVictim(items)
    let hash = slots[Int(victim)].hash
    queues.evict(victim, hash: Self.spread(hash), items)
    let number = UInt16(truncatingIfNeeded: victim)
    let head = Int(hash) & headMask
    if heads[head] == number {
      heads[head] = slots[Int(victim)].chain
    } else {
      var before = heads[head]
      while slots[Int(before)].chain != number { before = slots[Int(before)].chain }
      slots[Int(before)].chain = slots[Int(victim)].chain
    }
    slots[Int(victim)].chain = free
    free = number
  }
}
