/// S3-FIFO with a small queue that is tuned online: one lane of a namespace watches shadow caches, and the
/// store hands the share it finds to the other lanes.
///
/// Invariant: `tuner` is nil until the lane is full, and in lanes that do not tune.
struct S3FIFOPolicy: EvictionPolicy {
  private var queues = S3FIFOQueues(smallShare: SmallQueueTuner.initialShare)
  private var tuner: UnsafeMutablePointer<SmallQueueTuner>?
  private let tunes: Bool
  /// `touchMask` or `smallShare` has changed: whoever publishes them clears this.
  var hasNews = false

  init(tunes: Bool) { self.tunes = tunes }

  var count: Int { queues.count }
  var heapBytes: Int {
    queues.heapBytes + (tuner.map { MemoryLayout<SmallQueueTuner>.stride + $0.pointee.heapBytes } ?? 0)
  }

  /// Hits whose hash has none of these bits are to be told as `accessed`.
  var touchMask: UInt64 { tuner?.pointee.mask ?? .max }
  /// In 1/1024 of the lane's entries.
  var smallShare: Int {
    get { queues.smallShare }
    set { queues.smallShare = newValue }
  }

  mutating func release() {
    queues.release()
    dropTuner()
  }

  private mutating func dropTuner() {
    guard let tuner else { return }
    tuner.pointee.release()
    tuner.deallocate()
    self.tuner = nil
  }

  private mutating func makeTuner() {
    let fresh = UnsafeMutablePointer<SmallQueueTuner>.allocate(capacity: 1)
    fresh.initialize(to: SmallQueueTuner(entries: count, share: smallShare))
    tuner = fresh
    hasNews = true
  }

  @inline(__always)
  private mutating func sample(_ hash: UInt64) {
    guard let tuner, hash & tuner.pointee.mask == 0 else { return }
    if tuner.pointee.sample(hash) { endEpoch(tuner) }
  }

  @inline(never)
  private mutating func endEpoch(_ tuner: UnsafeMutablePointer<SmallQueueTuner>) {
    if tuner.pointee.share != smallShare {
      smallShare = tuner.pointee.share
      hasNews = true
    }
    if tuner.pointee.isOutgrown(by: count) {
      dropTuner()
      makeTuner()
    }
  }

  mutating func inserted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    queues.insert(handle, hash: hash, items)
    sample(hash)
  }

  mutating func accessed<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) { sample(hash) }

  mutating func moved<Items: ItemAccess>(
    _ old: UInt32, to new: UInt32, from oldBytes: Int, to newBytes: Int, _ items: Items
  ) {
    queues.replace(old, by: new, items)
  }

  mutating func removed<Items: ItemAccess>(_ handle: UInt32, bytes: Int, _ items: Items) {
    queues.remove(handle, items)
  }

  mutating func nextVictim<Items: ItemAccess>(_ items: Items) -> UInt32 {
    if tunes && tuner == nil && count > 0 { makeTuner() }
    return queues.nextVictim(items)
  }

  mutating func evicted<Items: ItemAccess>(_ handle: UInt32, hash: UInt64, bytes: Int, _ items: Items) {
    queues.evict(handle, hash: hash, items)
  }

  mutating func spared<Items: ItemAccess>(_ handle: UInt32, _ items: Items) {
    queues.spare(handle, items)
  }

  mutating func handOver<Items: ItemAccess>(_ items: Items) -> LaneList { queues.handOver(items) }

  mutating func takeOver<Items: ItemAccess>(_ list: LaneList, _ items: Items) { queues.takeOver(list, items) }
}
