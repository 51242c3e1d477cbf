import NexusModel
import NexusSketch
import NexusStore

/// One loop's part in hot keys: sees which keys its clients use most, and keeps copies of those that other members own.
///
/// A copy is good until the first of these: its time is over, its entry's is, its owner has told of a change, a write
/// of its slot went through this node, the connection to its owner was lost, or a slot has moved (`HotMarks`).
///
/// Belongs to its loop's thread.
public final class HotKeeper: @unchecked Sendable {
  /// A copy that was asked for: for which place, and what its mark was before.
  private struct Asked {
    var place: Int
    var mark: HotMarks.Mark
    /// Milliseconds of the loop's clock: whatever is answered was so after this.
    var at: UInt64
  }

  /// They outlive their loops.
  private unowned(unsafe) let node: Node
  private unowned(unsafe) let loop: any EventLoop
  let store: Store
  let routes: SlotRoutes
  let interests: Interests
  let worker: Worker
  private let marks: HotMarks
  private let settings: Settings
  private let statistics: UnsafeMutablePointer<LoopStatistics>
  @exclusivity(unchecked) private var gate: SampleGate
  private var sketch: HotKeys
  @exclusivity(unchecked) private var copies = HotCopies()
  private var asked: [UInt64: Asked] = [:]
  private var lastTicket: UInt64 = 0
  private var isCooling = false
  /// What the memory gauge knows of.
  private var gaugedBytes = 0

  /// For other threads. Nil until something was used.
  let published = Guarded<HotReport?>(nil)
  private var publishedAt: UnixMilliseconds = 0

  static let halfLifeMilliseconds: Int64 = 4000
  private static let publishingMilliseconds: Int64 = 500
  /// One use in so many is looked at.
  static let sampledOneIn = 100
  private static let askedMost = 64
  /// Copies that were read less often than this before they were spoilt are asked for ever more seldom.
  private static let worthwhileReads: UInt32 = 8
  private static let restMost: UInt64 = 1000

  init(_ node: Node, _ loop: any EventLoop, seed: UInt64) {
    self.node = node
    self.loop = loop
    (store, routes, interests, marks, settings) = (
      node.store, node.routes, node.interests, node.hotMarks, node.settings
    )
    worker = Node.worker(ofLoop: loop.index)
    statistics = node.statistics + loop.index
    gate = SampleGate(oneIn: Self.sampledOneIn, seed: seed)
    var sample = HotKeys.Settings()
    sample.capacity = 128
    sample.halfLifeMilliseconds = Self.halfLifeMilliseconds
    sample.sampledOneIn = Self.sampledOneIn
    sketch = HotKeys(sample, now: node.startedAt)
    store.configuration.outside.add(sketch.byteCount)
  }

  deinit {
    store.configuration.outside.subtract(gaugedBytes + sketch.byteCount)
    copies.deallocate()
  }

  // MARK: Uses

  /// Of so many uses of keys in a row, the one that is to be shown to `observe`; nil: none.
  @inline(__always) public func sample(of count: Int) -> Int? { gate.admitted(of: count) }

  @inline(never) public func observe(_ key: Key, isWrite: Bool) {
    let now = loop.now
    sketch.observe(key.bytes, in: key.namespace, hash: key.hash, isWrite: isWrite, now: now)
    defer { if now - publishedAt >= Self.publishingMilliseconds { publish(now) } }
    guard !isWrite, routes.isClustered, let owner = routes[slot: key.slot].member, copies.find(key) == nil,
      sketch.leastPerSecond(ofHash: key.hash, now: now) >= Double(settings.hotKeyRate), mayCopy(key.namespace)
    else { return }
    guard let place = copies.add(key) else { return }
    ask(place, of: owner)
    gauge()
    cool()
  }

  var now: UnixMilliseconds { loop.now }
  func fills(_ namespace: NamespaceNumber) -> Bool { node.filler.fills(namespace) }
  private var limitBytes: Int { settings.hotCacheBytes / node.loopCount }

  private func mayCopy(_ namespace: NamespaceNumber) -> Bool {
    settings.hotCacheBytes > 0 && asked.count < Self.askedMost && store.keepsHotCopies(of: namespace)
      && store.readPreference(in: namespace) != .quorum
  }

  // MARK: Reads

  /// Worth a look before a read is given away.
  @inline(__always) public var hasCopies: Bool { copies.count > 0 }

  /// What the key's copy here says; nil where there is no good one. What it lends is valid until the next call.
  /// - Parameter nanoseconds: of the loop's clock, read not long ago.
  @inline(__always) public func read(_ key: Key, nanoseconds: UInt64) -> HotValue? {
    guard let index = copies.find(key) else { return nil }
    let place = copies.places + index
    place.pointee.recentReads &+= 1
    let now = nanoseconds / 1_000_000
    guard place.pointee.until > now, place.pointee.mark == marks.mark(of: key.slot) else {
      renew(index, key, now)
      return nil
    }
    place.pointee.reads &+= 1
    statistics.pointee.hotHits.add()
    return place.pointee.value
  }

  public func read(_ key: Key) -> HotValue? { read(key, nanoseconds: loop.monotonicNanoseconds) }

  /// The copy is not good any more.
  @inline(never) private func renew(_ index: Int, _ key: Key, _ now: UInt64) {
    let place = copies.places + index
    guard !place.pointee.isAsked, now >= place.pointee.restsUntil, mayCopy(key.namespace) else { return }
    // Where writes follow one another so closely that copies are hardly read, asking for them is work for nothing.
    if place.pointee.until > now, place.pointee.reads < Self.worthwhileReads {
      place.pointee.rest = min(Self.restMost, max(10, place.pointee.rest * 2))
      place.pointee.restsUntil = now + place.pointee.rest
      place.pointee.until = 0
      return
    }
    if place.pointee.reads >= Self.worthwhileReads { place.pointee.rest = 0 }
    guard let owner = routes[slot: key.slot].member,
      sketch.leastPerSecond(ofHash: key.hash, now: loop.now) * 2 >= Double(settings.hotKeyRate)
    else { return }
    ask(index, of: owner)
  }

  // MARK: Copies

  private func ask(_ index: Int, of owner: MemberNumber) {
    let place = copies.places + index
    lastTicket += 1
    asked[lastTicket] = Asked(
      place: index, mark: marks.mark(of: place.pointee.slot), at: loop.monotonicNanoseconds / 1_000_000)
    place.pointee.isAsked = true
    statistics.pointee.hotFetches.add()
    var number = String(place.pointee.namespace)
    number.withUTF8 { number in
      withUnsafeTemporaryAllocation(of: Argument.self, capacity: 2) { arguments in
        arguments.initializeElement(at: 0, to: Argument(base: number.baseAddress!, count: number.count))
        arguments.initializeElement(
          at: 1, to: Argument(base: place.pointee.key.baseAddress!, count: place.pointee.keyCount))
        let operation = Operation(
          kind: .hotCopy, flags: .readOnly, database: 0, protocolVersion: 2, slot: Slot(index: place.pointee.slot),
          timeoutMilliseconds: 500, arguments: UnsafeBufferPointer(arguments))
        node.routers[loop.index].ask(owner, operation, for: self, ticket: lastTicket)
      }
    }
  }

  private func gauge() {
    store.configuration.outside.add(copies.byteCount - gaugedBytes)
    gaugedBytes = copies.byteCount
    statistics.pointee.hotCopies.set(UInt64(copies.count))
    statistics.pointee.hotBytes.set(UInt64(copies.byteCount))
  }

  /// Once a second, while there are copies: those go that have cooled down.
  private func cool() {
    guard !isCooling, copies.count > 0 else { return }
    isCooling = true
    loop.after(milliseconds: 1000) { [self] in
      isCooling = false
      if settings.hotCacheBytes == 0 { copies.removeAll() }
      copies.cool(now: loop.monotonicNanoseconds / 1_000_000)
      gauge()
      cool()
    }
  }

  private func publish(_ now: UnixMilliseconds) {
    publishedAt = now
    let report = HotReport(at: now, report: sketch.report(now: now), copied: Set(copies.names))
    published.withLock { $0 = report }
  }
}

extension HotKeeper: OperationRequester {
  public func replied(_ ticket: UInt64, _ reply: OperationReply) {
    guard let asked = asked.removeValue(forKey: ticket) else { return }
    let place = copies.places + asked.place
    place.pointee.isAsked = false
    var answer = HotAnswer.none
    if case .payload(let bytes) = reply { answer = HotAnswer(bytes) }
    guard asked.mark == marks.mark(of: place.pointee.slot) else { return }
    var until = asked.at + UInt64(settings.hotTTLMilliseconds)
    var isKept = false
    switch answer {
    case .none: break
    case .absent: isKept = copies.store(nil, at: asked.place, mark: asked.mark, until: until, limitBytes: limitBytes)
    case .value(let bytes, let milliseconds):
      if milliseconds > 0 { until = min(until, asked.at + milliseconds) }
      isKept = copies.store(bytes, at: asked.place, mark: asked.mark, until: until, limitBytes: limitBytes)
    }
    // It is not to be had, or has no room: not asked for again at once.
    if !isKept {
      copies.empty(asked.place)
      place.pointee.restsUntil = asked.at + Self.restMost
    }
    gauge()
  }

  public func repliesEnded() {}
}
