import CXXHash
import Glibc
import NexusModel

/// Which keys are used most lately: a fixed number of counters in fixed memory, however many keys there are.
///
/// Space-saving (Metwally, Agrawal, El Abbadi: "Efficient Computation of Frequent and Top-k Elements in Data Streams",
/// ICDT 2005): a key that is not tracked takes over the smallest counter with its count. So no estimate is too low, and
/// none is too high by more than the smallest counter, which is at most the sum of all divided by their number. Counts
/// fade by half in every half-life: later observations weigh more (forward decay: Cormode, Shkapenyuk, Srivastava, Xu,
/// ICDE 2009), so that nothing has to be touched as time passes.
///
/// Fed with a sample of reads and writes (`SampleGate`); owned by one thread. An observation allocates nothing.
public struct HotKeys: ~Copyable {
  public struct Settings: Equatable, Sendable, BitwiseCopyable {
    /// How many keys are tracked.
    public var capacity = 256
    public var halfLifeMilliseconds: Int64 = 10_000
    /// Each observation stands for so many uses.
    public var sampledOneIn = 1
    /// Of longer keys only so many bytes are kept.
    public var keyBytesMax = 128

    public init() {}
  }

  public let settings: Settings

  struct Counter {
    /// In units of `landmark`'s weight; over all, `error` of it may belong to the counter's former keys.
    var weight = 0.0
    var error = 0.0
    var writes = 0.0
    var hash: UInt64 = 0
    /// Of the whole key, where it is longer than what is kept of it.
    var digest: UInt64 = 0
    var keyCount: UInt32 = 0
    /// The next one of the same chain; -1: none.
    var next: Int32 = -1
    var heapIndex: Int32 = 0
    var namespace: NamespaceNumber = 0

    @inline(__always) mutating func use(_ weight: Double, isWrite: Bool) {
      self.weight += weight
      if isWrite { writes += weight }
    }

    mutating func fade(by factor: Double) {
      weight *= factor
      error *= factor
      writes *= factor
    }
  }

  private let counters: UnsafeMutablePointer<Counter>
  private let keyBytes: UnsafeMutableRawPointer
  /// The counters as a heap: the smallest weight first.
  private let heap: UnsafeMutablePointer<Int32>
  /// The first counter of each chain of hashes; -1: none.
  private let chains: UnsafeMutablePointer<Int32>
  private let chainMask: UInt64
  public private(set) var trackedCount = 0

  private let startedAt: UnixMilliseconds
  private var latest: UnixMilliseconds
  /// An observation at this moment weighs 1.
  private var landmark: UnixMilliseconds
  /// What an observation weighs at `latest`.
  private var weight = 1.0
  private var total = 0.0

  public init(_ settings: Settings, now: UnixMilliseconds) {
    precondition(settings.capacity > 0 && settings.capacity < 1 << 24 && settings.keyBytesMax >= 0)
    precondition(settings.halfLifeMilliseconds > 0 && settings.sampledOneIn > 0)
    self.settings = settings
    let chainCount = Self.chainCount(settings.capacity)
    counters = .allocate(capacity: settings.capacity)
    counters.initialize(repeating: Counter(), count: settings.capacity)
    keyBytes = .allocate(byteCount: max(1, settings.capacity * settings.keyBytesMax), alignment: 16)
    heap = .allocate(capacity: settings.capacity)
    heap.initialize(repeating: 0, count: settings.capacity)
    chains = .allocate(capacity: chainCount)
    chains.initialize(repeating: -1, count: chainCount)
    chainMask = UInt64(chainCount - 1)
    startedAt = now
    latest = now
    landmark = now
  }

  deinit {
    counters.deallocate()
    keyBytes.deallocate()
    heap.deallocate()
    chains.deallocate()
  }

  /// A power of two, at least twice as many.
  private static func chainCount(_ capacity: Int) -> Int {
    1 << (Int.bitWidth - (capacity * 2 - 1).leadingZeroBitCount)
  }

  /// All that it will ever take.
  public var byteCount: Int {
    settings.capacity * (MemoryLayout<Counter>.stride + settings.keyBytesMax + 4) + Int(chainMask + 1) * 4
  }

  // MARK: Observing

  /// A use of the key. `hash`: 64 bits of its bytes and its namespace; keys of one hash are one key here.
  public mutating func observe(
    _ key: UnsafeRawBufferPointer, in namespace: NamespaceNumber, hash: UInt64, isWrite: Bool, now: UnixMilliseconds
  ) {
    if now > latest { passTime(to: now) }
    total += weight
    let found = counter(of: hash)
    let index: Int
    if found >= 0 {
      index = found
    } else if trackedCount < settings.capacity {
      index = trackedCount
      trackedCount += 1
      begin(index, key, namespace, hash, inheriting: 0)
      place(Int32(index), at: index)
    } else {
      index = Int(heap[0])
      unchain(index)
      begin(index, key, namespace, hash, inheriting: counters[index].weight)
    }
    // By way of a constant: the compiler's thread sanitizer cannot do without it.
    let counter = counters + index
    counter.pointee.use(weight, isWrite: isWrite)
    if found < 0 { rise(Int(counters[index].heapIndex)) }
    sink(Int(counters[index].heapIndex))
  }

  private func begin(
    _ index: Int, _ key: UnsafeRawBufferPointer, _ namespace: NamespaceNumber, _ hash: UInt64, inheriting weight: Double
  ) {
    let kept = min(key.count, settings.keyBytesMax)
    if kept > 0 { (keyBytes + index * settings.keyBytesMax).copyMemory(from: key.baseAddress!, byteCount: kept) }
    let chain = Int(truncatingIfNeeded: hash & chainMask)
    let heapIndex = counters[index].heapIndex
    counters[index] = Counter(
      weight: weight, error: weight, hash: hash,
      digest: kept == key.count ? 0 : nexus_xxh3_64(key.baseAddress!, key.count, 0),
      keyCount: UInt32(truncatingIfNeeded: key.count), next: chains[chain], heapIndex: heapIndex, namespace: namespace)
    chains[chain] = Int32(truncatingIfNeeded: index)
  }

  // MARK: Finding

  private func counter(of hash: UInt64) -> Int {
    var index = chains[Int(truncatingIfNeeded: hash & chainMask)]
    while index >= 0, counters[Int(index)].hash != hash { index = counters[Int(index)].next }
    return Int(index)
  }

  private func unchain(_ index: Int) {
    let chain = Int(truncatingIfNeeded: counters[index].hash & chainMask)
    if chains[chain] == index {
      chains[chain] = counters[index].next
      return
    }
    var before = Int(chains[chain])
    while counters[before].next != index { before = Int(counters[before].next) }
    counters[before].next = counters[index].next
  }

  // MARK: The heap

  private func place(_ counter: Int32, at position: Int) {
    heap[position] = counter
    counters[Int(counter)].heapIndex = Int32(truncatingIfNeeded: position)
  }

  private func rise(_ start: Int) {
    let moving = heap[start]
    let weight = counters[Int(moving)].weight
    var position = start
    while position > 0 {
      let parent = (position - 1) / 2
      guard counters[Int(heap[parent])].weight > weight else { break }
      place(heap[parent], at: position)
      position = parent
    }
    place(moving, at: position)
  }

  private func sink(_ start: Int) {
    let moving = heap[start]
    let weight = counters[Int(moving)].weight
    var position = start
    while true {
      var child = position * 2 + 1
      guard child < trackedCount else { break }
      if child + 1 < trackedCount, counters[Int(heap[child + 1])].weight < counters[Int(heap[child])].weight {
        child += 1
      }
      guard counters[Int(heap[child])].weight < weight else { break }
      place(heap[child], at: position)
      position = child
    }
    place(moving, at: position)
  }

  // MARK: Time

  private mutating func passTime(to now: UnixMilliseconds) {
    latest = now
    weight = exp2(Double(now - landmark) / Double(settings.halfLifeMilliseconds))
    // Long before a sum loses small addends. Halving is exact, so that nothing changes its order.
    if weight > 0x1p40 { moveLandmark(to: now) }
  }

  private mutating func moveLandmark(to now: UnixMilliseconds) {
    let halfLives = (now - landmark) / settings.halfLifeMilliseconds
    let factor = exp2(-Double(halfLives))
    for index in 0..<trackedCount {
      let counter = counters + index
      counter.pointee.fade(by: factor)
    }
    total *= factor
    landmark += halfLives * settings.halfLifeMilliseconds
    weight = exp2(Double(now - landmark) / Double(settings.halfLifeMilliseconds))
  }

  // MARK: Answering

  /// How often the key of this hash is used at the least, as far as the sample shows; 0 where it is not tracked.
  public borrowing func leastPerSecond(ofHash hash: UInt64, now: UnixMilliseconds) -> Double {
    let index = counter(of: hash)
    if index < 0 { return 0 }
    return (counters[index].weight - counters[index].error) * perSecond(at: max(now, latest))
  }

  /// Everything that is tracked, the hottest first.
  public borrowing func report(now: UnixMilliseconds) -> HotKeyReport {
    let scale = perSecond(at: max(now, latest))
    let keys = (0..<trackedCount).map { index -> HotKey in
      let counter = counters[index]
      let kept = min(Int(counter.keyCount), settings.keyBytesMax)
      let bytes = UnsafeRawBufferPointer(start: keyBytes + index * settings.keyBytesMax, count: kept)
      return HotKey(
        namespace: counter.namespace, key: Array(bytes), keyCount: Int(counter.keyCount), digest: counter.digest,
        perSecond: counter.weight * scale, errorPerSecond: counter.error * scale,
        writesPerSecond: counter.writes * scale)
    }
    let rest = trackedCount < settings.capacity ? 0 : counters[Int(heap[0])].weight * scale
    return HotKeyReport(keys, restPerSecond: rest, totalPerSecond: total * scale)
  }

  /// What turns weights into rates: a mean over the time since the start in which moments count by half for each
  /// half-life that they lie back. Less than a second tells no rate.
  private func perSecond(at now: UnixMilliseconds) -> Double {
    let halfLife = Double(settings.halfLifeMilliseconds)
    let present = exp2(Double(now - landmark) / halfLife)
    let elapsed = Double(max(now - startedAt, 1000))
    let windowMilliseconds = halfLife / M_LN2 * -expm1(-elapsed / halfLife * M_LN2)
    return Double(settings.sampledOneIn) * 1000 / (present * windowMilliseconds)
  }
}
