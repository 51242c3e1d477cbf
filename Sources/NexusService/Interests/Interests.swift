import NexusModel
import NexusStore
import Synchronization

/// Who must hear of the next change of which key (CLIENT TRACKING).
///
/// The store reports changes of keys in slots where somebody is interested, under the lock of the key's stripe; the
/// tables are touched under that lock only. So whoever registers before it reads misses nothing: a change comes before
/// the reading, or is told. What is to be told goes to the clients' loops, whose engines take it at the end of their
/// turns, behind the replies of that turn.
public final class Interests: @unchecked Sendable {
  let store: Store
  private let settings: Settings
  let loopCount: Int
  /// Invariant: set while no loop runs.
  private(set) var loops: [any EventLoop] = []

  /// Invariant: one per slot, nil where nobody is interested in any of its keys; touched under the stripe's lock only.
  let tables: UnsafeMutablePointer<InterestTable?>
  private let keyCounter = Atomic<Int>(0)
  private let partyCounter = Atomic<Int>(0)
  /// The slot that is next to lose keys where there are too many.
  private let trimCursor = Atomic<Int>(0)

  /// Clients that track. One that is not among them any more may still be in tables.
  let followers = Guarded<Set<InterestedParty>>([])
  private let clientCounter = Atomic<Int>(0)
  /// Streams of other members that have asked to be told, and how many there ever were.
  let streamCounter = Atomic<Int>(0)
  let lastStream = Atomic<UInt64>(0)

  private let prefixCounter = Atomic<Int>(0)
  private let prefixLock = Guarded(())

  /// Invariant: one for each worker that is a loop, at its number, and the first for all others.
  private let lanes: UnsafeMutablePointer<InterestLane>

  public init(_ store: Store, _ settings: Settings, loopCount: Int) {
    self.store = store
    self.settings = settings
    self.loopCount = loopCount
    tables = .allocate(capacity: Slot.count)
    tables.initialize(repeating: nil, count: Slot.count)
    lanes = .allocate(capacity: loopCount + 1)
    for index in 0...loopCount { (lanes + index).initialize(to: InterestLane()) }
    let earlier = store.onWatchedChange
    store.onWatchedChange = { [unowned self] namespace, key in
      earlier?(namespace, key)
      changed(namespace, key)
    }
  }

  deinit {
    tables.deinitialize(count: Slot.count)
    tables.deallocate()
    lanes.deinitialize(count: loopCount + 1)
    lanes.deallocate()
  }

  func attach(_ loops: [any EventLoop]) { self.loops = loops }

  func lane(of worker: Worker) -> UnsafeMutablePointer<InterestLane> {
    lanes + (Int(worker) <= loopCount ? Int(worker) : 0)
  }

  func lane(ofLoop index: Int) -> UnsafeMutablePointer<InterestLane> {
    lanes + Int(Node.worker(ofLoop: index))
  }

  // MARK: Clients

  /// Clients that track, in whatever way.
  public var clientCount: Int { clientCounter.load(ordering: .relaxed) }
  /// Keys that somebody is interested in, and how often somebody is in one.
  public var keyCount: Int { keyCounter.load(ordering: .relaxed) }
  public var partyCount: Int { partyCounter.load(ordering: .relaxed) }
  public var prefixCount: Int { prefixCounter.load(ordering: .relaxed) }

  /// A client begins to track.
  public func begin(_ client: InterestedParty) {
    clientCounter.wrappingAdd(1, ordering: .relaxed)
    _ = followers.withLock { $0.insert(client) }
  }

  public func end(_ client: InterestedParty) {
    clientCounter.wrappingSubtract(1, ordering: .relaxed)
    _ = followers.withLock { $0.remove(client) }
  }

  /// A client of this loop wants to hear of all keys with these prefixes. Nests.
  public func listen(to prefixes: [[UInt8]], loop: Int) {
    change(prefixes) { table, prefix in table.add(prefix, for: loop) }
  }

  /// Ends one `listen`.
  public func unlisten(to prefixes: [[UInt8]], loop: Int) {
    change(prefixes) { table, prefix in table.remove(prefix, for: loop) }
  }

  private func change(_ wanted: [[UInt8]], _ body: (inout PrefixTable, [UInt8]) -> Void) {
    prefixLock.withLock { _ in
      let before = prefixCount
      var after = 0
      for index in 0...loopCount {
        after = (lanes + index).pointee.prefixes.withLock { table in
          for prefix in wanted { body(&table, prefix) }
          return table.count
        }
      }
      prefixCounter.store(after, ordering: .relaxed)
      if before == 0, after > 0 { store.watchEverything() }
      if before > 0, after == 0 { store.unwatchEverything() }
    }
  }

  // MARK: Interests

  /// The party is about to read the key, whose stripe is locked.
  public func add(_ party: InterestedParty, to key: Key) {
    let table = tables + Int(key.slot)
    if table.pointee == nil { table.pointee = InterestTable() }
    switch table.pointee!.add(party, to: key) {
    case .known: break
    case .joined:
      count(keys: 0, parties: 1, bytes: MemoryLayout<InterestedParty>.stride)
      prune(key, table)
    case .made(let former):
      let made = table.pointee!.interest(in: key)!
      count(keys: 1, parties: 1, bytes: made.byteCount)
      store.watch(key)
      if let former {
        forget(former, key.slot)
        tell(former, from: store.holder(of: key.slot), writer: 0)
      }
    }
  }

  /// Clients come and go while a key does not change: their leftovers go when there are many.
  private func prune(_ key: Key, _ table: UnsafeMutablePointer<InterestTable?>) {
    let count = table.pointee!.interest(in: key)!.count
    guard count >= 16, count & (count - 1) == 0 else { return }
    let gone = followers.withLock { followers in
      table.pointee!.prune(key) { !$0.isMember && !followers.contains($0) }
    }
    self.count(keys: 0, parties: -gone, bytes: -gone * MemoryLayout<InterestedParty>.stride)
  }

  func count(keys: Int, parties: Int, bytes: Int) {
    keyCounter.wrappingAdd(keys, ordering: .relaxed)
    partyCounter.wrappingAdd(parties, ordering: .relaxed)
    store.configuration.outside.add(bytes)
  }

  /// It has left its table.
  func forget(_ interest: InterestTable.Interest, _ slot: UInt16) {
    count(keys: -1, parties: -interest.count, bytes: -interest.byteCount)
    store.unwatch(slot: slot)
  }

  func releaseIfEmpty(_ slot: Int) {
    if tables[slot]?.isEmpty == true { tables[slot] = nil }
  }

  // MARK: Changes

  /// While a command of this client runs on this loop. 0: of nobody in particular.
  public func setWriter(_ client: UInt64, as worker: Worker) {
    lanes[Int(worker)].writer = client
  }

  /// On a loop's thread: whose command runs there. Any other worker's changes are nobody's in particular.
  public func writer(as worker: Worker) -> UInt64 {
    lane(of: worker).pointee.writer
  }

  /// Under the stripe's lock.
  private func changed(_ namespace: NamespaceNumber, _ bytes: UnsafeRawBufferPointer) {
    let hasPrefixes = prefixCounter.load(ordering: .relaxed) > 0
    guard hasPrefixes || keyCounter.load(ordering: .relaxed) > 0 else { return }
    let key = store.key(bytes, in: namespace)
    let worker = store.holder(of: key.slot)
    let writer = writer(as: worker)
    if hasPrefixes { broadcast(key, worker, writer) }
    guard let interest = tables[Int(key.slot)]?.take(key) else { return }
    releaseIfEmpty(Int(key.slot))
    forget(interest, key.slot)
    tell(interest, from: worker, writer: writer)
  }

  private func broadcast(_ key: Key, _ worker: Worker, _ writer: UInt64) {
    var matches: [(prefix: [UInt8], loop: Int)] = []
    lane(of: worker).pointee.prefixes.withLock { table in
      table.forEachMatch(key.bytes) { matches.append(($0, $1)) }
    }
    guard !matches.isEmpty else { return }
    let name = KeyName(key)
    for match in matches {
      send(.broadcast(prefix: match.prefix, key: name, writer: writer), to: match.loop, from: worker)
    }
  }

  func tell(_ interest: InterestTable.Interest, from worker: Worker, writer: UInt64) {
    let name = KeyName(namespace: interest.namespace, key: interest.key)
    interest.forEachParty { party in
      if party.isMember { return }
      if party.isStream { return send(.changed(stream: party.stream, key: name), toStreamsOf: party.loop) }
      send(.changed(client: party.client, key: name, writer: writer), to: party.loop, from: worker)
    }
  }

  /// Everything in these namespaces is gone, or another one's.
  public func flushed(_ namespaces: [NamespaceNumber], as worker: Worker) {
    if keyCount > 0 {
      for slot in 0..<UInt16(Slot.count) {
        store.withSlot(slot, as: worker) {
          guard tables[Int(slot)] != nil else { return }
          for interest in tables[Int(slot)]!.takeAll(where: { namespaces.contains($0.namespace) }) {
            forget(interest, slot)
          }
          releaseIfEmpty(Int(slot))
        }
      }
    }
    tellStreams(flushed: namespaces)
    guard clientCount > 0 else { return }
    for loop in 0..<loopCount { send(.flushed(namespaces), to: loop, from: worker) }
  }

  // MARK: The limit

  @inline(__always) public var isOverfull: Bool {
    let limit = settings.trackingTableMaxKeys
    return keyCount > limit && limit > 0
  }

  /// Where there are too many keys, some are told as if they had changed. No stripe is locked by the caller.
  public func trim(as worker: Worker) {
    for _ in 0..<Slot.count where isOverfull {
      let slot = trimCursor.wrappingAdd(1, ordering: .relaxed).oldValue & (Slot.count - 1)
      store.withSlot(UInt16(slot), as: worker) {
        guard let interest = tables[slot]?.takeAny() else { return }
        releaseIfEmpty(slot)
        forget(interest, UInt16(slot))
        tell(interest, from: worker, writer: 0)
      }
    }
  }

  // MARK: What is to be told

  func send(_ news: InterestNews, to loop: Int, from worker: Worker) {
    let lane = lane(ofLoop: loop)
    let isFirst = lane.pointee.outbox.withLock { outbox in
      let (isFirst, before) = (outbox.items.isEmpty, outbox.byteCount)
      outbox.append(news)
      store.configuration.outside.add(outbox.byteCount - before)
      lane.pointee.hasNews.store(true, ordering: .relaxed)
      return isFirst
    }
    // The loop itself looks at the end of its turn. Another is woken.
    if isFirst, worker != Node.worker(ofLoop: loop), loop < loops.count { loops[loop].post {} }
  }

  @inline(__always) public func hasNews(loop: Int) -> Bool {
    lane(ofLoop: loop).pointee.hasNews.load(ordering: .relaxed)
  }

  /// On the loop's thread.
  public func takeNews(loop: Int) -> [InterestNews] {
    let lane = lane(ofLoop: loop)
    return lane.pointee.outbox.withLock { outbox in
      lane.pointee.hasNews.store(false, ordering: .relaxed)
      store.configuration.outside.subtract(outbox.byteCount)
      return outbox.take()
    }
  }
}
