import CIntrinsics
import CXXHash
import Glibc
import NexusModel

public struct StoreConfiguration: Sendable {
  /// The ceiling that entries, indexes, eviction's memory and `outside` stay under together.
  public var maxMemoryBytes: Int = 1 << 30
  /// Event loops that will use the store, as workers 1...loops.
  public var loops: Int = 1
  /// Makes the hashes of this process unpredictable. Tests give their own to be repeatable.
  public var seed: UInt64 = 0x9E37_79B9_7F4A_7C15
  /// Counts what others hold against the same ceiling.
  public var outside: MemoryGauge = MemoryGauge()
  /// The lowest four bits of every stamp that this process gives.
  public var stampMark: UInt64 = 0

  public init() {}
}

/// Every key and value of a node: lock-striped, in raw memory. See docs/store.md.
///
/// Invariants of this room:
/// - A stripe is 16 slots behind one lock. A slot's table and the bytes of its entries are read and written under that
///   lock, except for links (the lane's lock) and the policy byte (atomic).
/// - Locks are taken in the order stripe, lane, heap, pool; whoever must go the other way only tries.
/// - A chunk is freed only after its entry left both its table and its lane.
public final class Store: @unchecked Sendable {
  public static let stripeCount = 1024
  public static let slotsPerStripe = Slot.count / stripeCount
  /// Below this, tables and lanes alone would not fit.
  public static let limitBytesMin = 4 << 20
  public static let valueBytesMax = 512 << 20

  @usableFromInline let arena: UnsafeMutableRawPointer
  @usableFromInline let unitShift: Int
  @usableFromInline let slots: UnsafeMutablePointer<SlotTable>
  @usableFromInline let locks: UnsafeMutablePointer<UInt32>
  @usableFromInline let namespaces: UnsafeMutablePointer<NamespaceState>
  @usableFromInline let seed: UInt64
  @usableFromInline let crcTables: UnsafePointer<UInt16>
  @usableFromInline let multipliesWithoutCarry = ci_has_crc16()
  /// How many watch each slot: 0 for nearly all.
  let watchCounts: UnsafeMutablePointer<UInt32>
  /// Per stripe: nothing in it expires before this tick (0: nothing expires).
  let expiryHints: UnsafeMutablePointer<UInt32>
  /// Where every empty slot's table points. Never written.
  let emptyBucket: UnsafeMutableRawPointer

  public let configuration: StoreConfiguration
  let ledger: Ledger
  let pool: PagePool
  let classes: SizeClasses
  let classBytes: UnsafeMutablePointer<UInt32>
  let heaps: [Heap]
  let spans: Spans
  let links: Links
  /// Under `namespacesLock`.
  var namespaceSettings: [NamespaceNumber: NamespaceSettings] = [:]
  /// The numbers of the namespaces that there are, in the order in which they came. Appended under `namespacesLock`,
  /// read without: `namespaceCount` of them are complete.
  let namespaceNumbers: UnsafeMutablePointer<NamespaceNumber>
  let namespaceCount: UnsafeMutablePointer<UInt32>
  let namespacesLock: UnsafeMutablePointer<UInt32>
  /// Tables being replaced in steps. Under `resizeLock`; how many there are may be read without.
  var resizes: [UnsafeMutablePointer<Resize>] = []
  let resizeCount: UnsafeMutablePointer<UInt32>
  let resizeLock: UnsafeMutablePointer<UInt32>
  /// The last moment that a caller told: good enough to choose an expiry's tick.
  let clock: UnsafeMutablePointer<Int64>
  /// Where returning flushed memory stands; all loops share the work.
  let reclaimCursor: UnsafeMutablePointer<Int64>
  /// Which of many namespaces was the largest, in the lower 16 bits, and how many entries may leave it before they are
  /// compared again. Threads may overwrite each other's: a hint.
  let largestHint: UnsafeMutablePointer<UInt64>
  /// Flushed entries and tombstones that are still in memory, of all namespaces.
  let dyingCount: UnsafeMutablePointer<Int64>
  let background: UnsafeMutablePointer<BackgroundState>
  let compaction: UnsafeMutablePointer<CompactionState>
  /// What replication knows of each slot. Untouched, and costs nothing, until a namespace is stamped.
  let records: UnsafeMutablePointer<SlotRecord>
  let stampMark: UInt64
  let replication: UnsafeMutablePointer<ReplicationState>

  /// Called under the stripe's lock when a key of a watched slot changes. Set before the first write.
  public var onWatchedChange: (@Sendable (NamespaceNumber, UnsafeRawBufferPointer) -> Void)?

  /// Lock words lie a cache line apart, each with its stripe's clock behind it.
  @inlinable static var lockStride: Int { 16 }
  static let namespaceCountMax = 1 << 16

  public init(_ configuration: StoreConfiguration) throws(StoreError) {
    guard configuration.maxMemoryBytes >= Self.limitBytesMin else {
      throw .limitTooSmall(bytes: configuration.maxMemoryBytes)
    }
    checkRecordLayouts()
    self.configuration = configuration
    seed = configuration.seed
    ledger = Ledger(limitBytes: configuration.maxMemoryBytes, outside: configuration.outside)
    pool = try PagePool(limitBytes: configuration.maxMemoryBytes, ledger: ledger)
    classes = SizeClasses(pageBytes: pool.pageBytes, unitBytes: 1 << pool.unitShift)
    spans = try Spans(limitBytes: configuration.maxMemoryBytes, ledger: ledger)
    arena = pool.base
    unitShift = pool.unitShift
    crcTables = CRC16.tablesBase
    classBytes = .allocate(capacity: classes.bytes.count)
    for (index, bytes) in classes.bytes.enumerated() { classBytes[index] = UInt32(bytes) }
    links = Links(
      arena: arena, unitShift: unitShift, pool: pool.pages, classBytes: classBytes, pageShift: pool.pageShift)
    emptyBucket = arena  // Page 0 is never handed out.
    let (pool, classes) = (self.pool, self.classes)
    // So are heaps few: each has its own partly filled pages.
    let heapCount = min(max(configuration.loops, 1), 16, max(1, configuration.maxMemoryBytes >> 26))
    heaps = (0..<heapCount).map { Heap(number: UInt8($0), pool: pool, classes: classes) }

    func raw<Element>(_ count: Int, _ element: Element) -> UnsafeMutablePointer<Element> {
      let memory = UnsafeMutableRawPointer.allocate(byteCount: count * MemoryLayout<Element>.stride, alignment: 64)
      let elements = memory.bindMemory(to: Element.self, capacity: count)
      elements.initialize(repeating: element, count: count)
      return elements
    }
    slots = raw(Slot.count, SlotTable(buckets: emptyBucket, bucketCount: 1, countAndFlag: 0))
    locks = raw(Self.stripeCount * Self.lockStride, 0)
    watchCounts = raw(Slot.count, 0)
    expiryHints = raw(Self.stripeCount, 0)
    namespacesLock = raw(16, 0)
    namespaceCount = raw(16, 0)
    resizeLock = raw(16, 0)
    resizeCount = raw(16, 0)
    clock = raw(8, 0)
    reclaimCursor = raw(8, 0)
    largestHint = raw(8, 0)
    dyingCount = raw(8, 0)
    background = raw(max(configuration.loops, 1), BackgroundState())
    compaction = raw(1, CompactionState())
    replication = raw(1, ReplicationState())
    stampMark = configuration.stampMark
    let recordBytes = Slot.count * MemoryLayout<SlotRecord>.stride
    guard let zeros = reserveAddresses(recordBytes) else { throw .cannotReserve(bytes: recordBytes) }
    records = zeros.bindMemory(to: SlotRecord.self, capacity: Slot.count)
    let namespaceBytes = Self.namespaceCountMax * MemoryLayout<NamespaceState>.stride
    let numberBytes = Self.namespaceCountMax * MemoryLayout<NamespaceNumber>.stride
    guard let states = reserveAddresses(namespaceBytes), let numbers = reserveAddresses(numberBytes) else {
      throw .cannotReserve(bytes: namespaceBytes + numberBytes)
    }
    namespaceNumbers = numbers.bindMemory(to: NamespaceNumber.self, capacity: Self.namespaceCountMax)
    // Untouched memory is zero; a state becomes real when its namespace is configured.
    namespaces = states.bindMemory(to: NamespaceState.self, capacity: Self.namespaceCountMax)
    ledger.addFixed(
      Slot.count * (MemoryLayout<SlotTable>.stride + 4) + Self.stripeCount * (Self.lockStride * 4 + 4))
    for number in 0..<NamespaceName.databaseCount {
      configure(number, NamespaceSettings(name: NamespaceName.ofDatabase(number)), as: .max)
    }
  }

  deinit {
    for number in configuredNumbers {
      let state = namespaces + Int(number)
      guard let lanes = published(state) else { continue }
      for index in 0...Int(state.pointee.laneMask) { lanes[index].policy.release() }
      lanes.deallocate()
    }
    munmap(namespaces, Self.namespaceCountMax * MemoryLayout<NamespaceState>.stride)
    munmap(namespaceNumbers, Self.namespaceCountMax * MemoryLayout<NamespaceNumber>.stride)
    munmap(records, Slot.count * MemoryLayout<SlotRecord>.stride)
    changeTap = nil
    for resize in resizes { resize.deallocate() }
    let words: [UnsafeMutableRawPointer] = [
      .init(slots), .init(locks), .init(watchCounts), .init(expiryHints), .init(namespacesLock), .init(namespaceCount),
      .init(resizeLock), .init(resizeCount), .init(clock), .init(reclaimCursor), .init(background), .init(compaction),
      .init(classBytes), .init(replication), .init(dyingCount), .init(largestHint),
    ]
    for word in words { word.deallocate() }
  }

  func heap(of worker: Worker) -> Heap { heaps[Int(worker &- 1) % heaps.count] }

  // MARK: Keys

  /// Hashes a key and finds its slot. The bytes must stay where they are while the key is used.
  @inlinable @inline(__always)
  public func key(_ base: UnsafeRawPointer, _ count: Int, in namespace: NamespaceNumber) -> Key {
    Key(
      base: base, count: count, hash: nexus_xxh3_64(base, count, seed &+ UInt64(namespace)),
      slot: slot(base, count), namespace: namespace)
  }

  /// As `Slot(of:)`; by carry-less multiplication where the processor has it, which takes a third of the tables'
  /// instructions for 16 bytes, and more than they for a few.
  @inlinable @inline(__always) func slot(_ base: UnsafeRawPointer, _ count: Int) -> UInt16 {
    if multipliesWithoutCarry && count >= 8 { return ci_crc16_key(base, Int64(count)) & 0x3FFF }
    return CRC16.ofKey(base, count, crcTables) & 0x3FFF
  }

  @inlinable public func key(_ bytes: UnsafeRawBufferPointer, in namespace: NamespaceNumber) -> Key {
    key(bytes.baseAddress ?? UnsafeRawPointer(arena), bytes.count, in: namespace)
  }

  func hash(of item: Item) -> UInt64 {
    nexus_xxh3_64(item.keyBase, item.keyCount, seed &+ UInt64(item.namespace))
  }

  /// Asks the processor for the key's bucket, ahead of its use. Needs no lock.
  @inlinable @inline(__always) public func prefetchBucket(_ key: Key) {
    ci_prefetch_write(lockWord(Self.stripe(of: key.slot)))
    ci_prefetch_read(homeBucket(key))
  }

  /// Asks for the entry itself, once its bucket has come. Needs no lock.
  @inlinable @inline(__always) public func prefetchEntry(_ key: Key) {
    ci_prefetch_entry(
      homeBucket(key), HashParts.tag(key.hash), UnsafePointer(arena.assumingMemoryBound(to: CChar.self)),
      UInt32(truncatingIfNeeded: unitShift))
  }

  /// The key's home as it looks without the lock: perhaps of a table that is being replaced, always mapped memory.
  @inlinable @inline(__always) func homeBucket(_ key: Key) -> UnsafeMutableRawPointer {
    let table = slots + Int(key.slot)
    let buckets = atomicLoad(table.bucketsWord)
    return buckets + HashParts.bucket(key.hash, of: atomicLoad(table.bucketCountWord)) &* 64
  }

  // MARK: Locks

  @inlinable @inline(__always) static func stripe(of slot: UInt16) -> Int { Int(slot &>> 4) }
  @inlinable @inline(__always) func lockWord(_ stripe: Int) -> UnsafeMutablePointer<UInt32> {
    locks + stripe &* Self.lockStride
  }

  /// Locks the key's stripe; false if this worker holds it already. Hand the answer to `unlock`.
  @inlinable @inline(__always) public func lock(_ key: Key, as worker: Worker) -> Bool {
    lock(stripe: Self.stripe(of: key.slot), as: worker)
  }

  @inlinable @inline(__always) func lock(stripe: Int, as worker: Worker) -> Bool {
    let word = lockWord(stripe)
    if atomicTryLock(word, worker) { return true }
    return lockSlowly(word, as: worker)
  }

  @usableFromInline @inline(never)
  func lockSlowly(_ word: UnsafeMutablePointer<UInt32>, as worker: Worker) -> Bool {
    if atomicLoad(word) == worker { return false }
    SpinLock.lockSlowly(word, as: worker)
    return true
  }

  @inlinable @inline(__always) public func unlock(_ key: Key, _ taken: Bool) {
    if taken { atomicUnlock(lockWord(Self.stripe(of: key.slot))) }
  }

  /// The stripes that a multi-key command or a transaction locked: a bit each.
  public struct StripeSet {
    var words: InlineArray<16, UInt64> = .init(repeating: 0)
  }

  /// Locks the stripes of all these keys, each once, in ascending order.
  public func lock(_ keys: UnsafeBufferPointer<Key>, as worker: Worker) -> StripeSet {
    var wanted = StripeSet()
    for key in keys {
      let stripe = Self.stripe(of: key.slot)
      wanted.words[stripe >> 6] |= 1 << UInt64(stripe & 63)
    }
    return lock(wanted, as: worker)
  }

  /// Every stripe: for what concerns a whole namespace, and for transactions over such commands.
  public func lockEverything(as worker: Worker) -> StripeSet {
    lock(StripeSet(words: .init(repeating: .max)), as: worker)
  }

  private func lock(_ wanted: StripeSet, as worker: Worker) -> StripeSet {
    var taken = StripeSet()
    for word in 0..<16 {
      var bits = wanted.words[word]
      while bits != 0 {
        let bit = bits.trailingZeroBitCount
        if lock(stripe: (word << 6) + bit, as: worker) { taken.words[word] |= 1 << UInt64(bit) }
        bits &= bits - 1
      }
    }
    return taken
  }

  public func unlock(_ set: StripeSet) {
    for word in 0..<16 {
      var bits = set.words[word]
      while bits != 0 {
        atomicUnlock(lockWord((word << 6) + bits.trailingZeroBitCount))
        bits &= bits - 1
      }
    }
  }
}
