import NexusModel

/// A lane's eviction: one of the policies, chosen by name, changed at run time. Called under the lane's lock.
///
/// All of them lie side by side, so that a call is a switch and changes the one in use in place. Allocated memory
/// belongs to the policy in use; `release` frees it.
struct LanePolicy: BitwiseCopyable {
  private(set) var name: EvictionPolicyName
  private var lru = LRUPolicy()
  private var s3fifo: S3FIFOPolicy
  private var sizeAware: SizeAwarePolicy?
  private var random: RandomPolicy
  private var ttl = TTLPolicy()
  private var none = NonePolicy()
  private let tunes: Bool

  /// `tunes`: this lane watches the shadow caches for its namespace (one of its lanes should). `seed`: for `random`.
  init(_ name: EvictionPolicyName, tunes: Bool, seed: UInt64) {
    self.name = name
    self.tunes = tunes
    s3fifo = S3FIFOPolicy(tunes: tunes)
    random = RandomPolicy(seed: seed)
    if name == .sizeAware { sizeAware = SizeAwarePolicy() }
  }

  /// Hits whose hash has none of these bits are to be told as `accessed`; the others only raise the frequency.
  var touchMask: UInt64 {
    switch name {
    case .lru: 0
    case .s3fifo: s3fifo.touchMask
    case .sizeAware, .random, .ttl, .none: .max
    }
  }

  /// The lane that tunes has a new `touchMask` or `smallShare` to be given to the namespace's other lanes. Clear it.
  var hasNews: Bool {
    get { name == .s3fifo && s3fifo.hasNews }
    set { s3fifo.hasNews = newValue }
  }

  /// The part of the entries that S3-FIFO keeps in its small queue, in 1/1024.
  var smallShare: Int {
    get { s3fifo.smallShare }
    set { s3fifo.smallShare = newValue }
  }
}

// MARK: The policy in use, in place

extension LanePolicy {
  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    switch name {
    case .lru: lru.inserted(handle, hash: hash, bytes: bytes, items)
    case .s3fifo: s3fifo.inserted(handle, hash: hash, bytes: bytes, items)
    case .sizeAware: sizeAware!.inserted(handle, hash: hash, bytes: bytes, items)
    case .random: random.inserted(handle, hash: hash, bytes: bytes, items)
    case .ttl: ttl.inserted(handle, hash: hash, bytes: bytes, items)
    case .none: none.inserted(handle, hash: hash, bytes: bytes, items)
    }
  }

  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    switch name {
    case .lru: lru.accessed(handle, hash: hash, bytes: bytes, items)
    case .s3fifo: s3fifo.accessed(handle, hash: hash, bytes: bytes, items)
    case .sizeAware, .random, .ttl, .none: break
    }
  }

  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    switch name {
    case .lru: lru.moved(old, to: new, from: oldBytes, to: newBytes, items)
    case .s3fifo: s3fifo.moved(old, to: new, from: oldBytes, to: newBytes, items)
    case .sizeAware: sizeAware!.moved(old, to: new, from: oldBytes, to: newBytes, items)
    case .random: random.moved(old, to: new, from: oldBytes, to: newBytes, items)
    case .ttl: ttl.moved(old, to: new, from: oldBytes, to: newBytes, items)
    case .none: none.moved(old, to: new, from: oldBytes, to: newBytes, items)
    }
  }

  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) {
    switch name {
    case .lru: lru.removed(handle, bytes: bytes, items)
    case .s3fifo: s3fifo.removed(handle, bytes: bytes, items)
    case .sizeAware: sizeAware!.removed(handle, bytes: bytes, items)
    case .random: random.removed(handle, bytes: bytes, items)
    case .ttl: ttl.removed(handle, bytes: bytes, items)
    case .none: none.removed(handle, bytes: bytes, items)
    }
  }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    switch name {
    case .lru: lru.nextVictim(items)
    case .s3fifo: s3fifo.nextVictim(items)
    case .sizeAware: sizeAware!.nextVictim(items)
    case .random: random.nextVictim(items)
    case .ttl: ttl.nextVictim(items)
    case .none: none.nextVictim(items)
    }
  }

  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    switch name {
    case .lru: lru.evicted(handle, hash: hash, bytes: bytes, items)
    case .s3fifo: s3fifo.evicted(handle, hash: hash, bytes: bytes, items)
    case .sizeAware: sizeAware!.evicted(handle, hash: hash, bytes: bytes, items)
    case .random: random.evicted(handle, hash: hash, bytes: bytes, items)
    case .ttl: ttl.evicted(handle, hash: hash, bytes: bytes, items)
    case .none: none.evicted(handle, hash: hash, bytes: bytes, items)
    }
  }

  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    switch name {
    case .lru: lru.spared(handle, items)
    case .s3fifo: s3fifo.spared(handle, items)
    case .sizeAware: sizeAware!.spared(handle, items)
    case .random: random.spared(handle, items)
    case .ttl: ttl.spared(handle, items)
    case .none: none.spared(handle, items)
    }
  }

  var count: Int {
    switch name {
    case .lru: lru.count
    case .s3fifo: s3fifo.count
    case .sizeAware: sizeAware!.count
    case .random: random.count
    case .ttl: ttl.count
    case .none: none.count
    }
  }

  /// Bytes allocated beside the entries. A few loads: compare it after an eviction with what was last accounted for.
  var heapBytes: Int { s3fifo.heapBytes + (sizeAware?.heapBytes ?? 0) }
}

// MARK: Changing the policy

extension LanePolicy {
  /// From now on another policy. It takes the lane's entries over in one chain, the most worth keeping first; `s3fifo`
  /// (which puts them all in its main queue), `size-aware` and `ttl` then walk them once to mark them: about 10 ms
  /// for 100,000 entries. What the former policy learnt is forgotten.
  mutating func become<Items: ItemAccess>(_ name: EvictionPolicyName, _ items: Items) {
    if name == self.name { return }
    let entries = handOver(items)
    release()
    self.name = name
    if name == .sizeAware { sizeAware = SizeAwarePolicy() }
    switch name {
    case .lru: lru.takeOver(entries, items)
    case .s3fifo: s3fifo.takeOver(entries, items)
    case .sizeAware: sizeAware!.takeOver(entries, items)
    case .random: random.takeOver(entries, items)
    case .ttl: ttl.takeOver(entries, items)
    case .none: none.takeOver(entries, items)
    }
  }

  private mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList {
    switch name {
    case .lru: lru.handOver(items)
    case .s3fifo: s3fifo.handOver(items)
    case .sizeAware: sizeAware!.handOver(items)
    case .random: random.handOver(items)
    case .ttl: ttl.handOver(items)
    case .none: none.handOver(items)
    }
  }

  /// Forgets all entries and all that was learnt, without looking at an entry: they were flushed.
  mutating func forgetAll() {
    release()
    self = LanePolicy(name, tunes: tunes, seed: 0x9E37_79B9_7F4A_7C15)
  }

  /// Frees what was allocated. Only `become`, `forgetAll` or nothing may follow.
  mutating func release() {
    s3fifo.release()
    s3fifo = S3FIFOPolicy(tunes: tunes)
    sizeAware?.release()
    sizeAware = nil
  }
}
