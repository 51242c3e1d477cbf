import NexusModel
import NexusStore

/// What a request that found no fresh value does next.
public enum FillOutcome: Sendable {
  /// It answers from the store: with what is there, be it stale, or that there is nothing.
  case useStore
  /// It answers with this, which the store does not have.
  case value([UInt8])
  /// The origin has no such key.
  case absent
  case failed(OriginError)
  /// It waits until this number is woken, and asks again. 0: it was not to wait here.
  case wait(UInt64)
}

/// One loop's part in filling: who of its requests waits for which key, and what came.
///
/// Belongs to its loop's thread.
public final class LoopFiller: @unchecked Sendable {
  private struct Result {
    var outcome: FillOutcome
    /// Turns that it is still kept for, so that everybody who was woken finds it.
    var turns = 3
  }

  /// They outlive their loops.
  private unowned(unsafe) let node: Node
  private unowned(unsafe) let filler: Filler
  private unowned(unsafe) let loop: any EventLoop
  private let store: Store
  private let worker: Worker
  private var random: SplitMix64
  private var waiting: [KeyName: UInt64] = [:]
  private var lastNumber: UInt64 = 0
  /// Invariant: set once before the loop runs. Called on the loop's thread with the number of those that waited.
  public var wake: (UInt64) -> Void = { _ in }
  private var results: [KeyName: Result] = [:]

  public init(_ filler: Filler, _ node: Node, _ loop: any EventLoop, seed: UInt64) {
    self.filler = filler
    self.node = node
    self.loop = loop
    store = node.store
    worker = Node.worker(ofLoop: loop.index)
    random = SplitMix64(seed: seed)
  }

  private var monotonicMilliseconds: UInt64 { loop.monotonicNanoseconds / 1_000_000 }

  /// Asked by a read in a namespace that is filled, with what the store has. The key's stripe is locked.
  /// - Parameter waits: the request can be made to wait here. Otherwise nothing is loaded for it: it goes to where it
  ///   can.
  public func fill(_ key: Key, _ entry: Entry?, now: UnixMilliseconds, waits: Bool) -> FillOutcome {
    guard entry == nil || entry!.freshUntil != 0, let source = filler.source(of: key.namespace) else {
      return .useStore
    }
    var verdict = FreshnessVerdict.stale
    if let entry {
      verdict = source.rules.judge(
        freshUntil: entry.freshUntil, now: now, loadMilliseconds: source.loadMilliseconds, chance: random.next())
      if verdict == .fresh { return .useStore }
    }
    let name = KeyName(key)
    if let result = results[name] { return settle(result.outcome, entry, source, now) }
    if verdict == .refreshing {
      source.staleAnswers.add(1, ordering: .relaxed)
      if case .began(let id) = filler.boardRefresh(name, monotonic: monotonicMilliseconds) {
        source.refreshes.add(1, ordering: .relaxed)
        depart(id, key, name, source, entry)
      }
      return .useStore
    }
    guard waits else { return .wait(0) }
    switch filler.board(name, key.hash, source, from: loop.index, monotonic: monotonicMilliseconds, now: now) {
    case .absent: return .absent
    case .full: return .failed(OriginError(origin: source.origin.name, .tooBusy(waiting: filler.flightCount)))
    case .began(let id): depart(id, key, name, source, entry)
    case .joined: source.joins.add(1, ordering: .relaxed)
    }
    if let number = waiting[name] { return .wait(number) }
    lastNumber += 1
    waiting[name] = lastNumber
    return .wait(lastNumber)
  }

  /// What came for this request: a stale value stands in for a failure.
  private func settle(
    _ outcome: FillOutcome, _ entry: Entry?, _ source: FillSource, _ now: UnixMilliseconds
  ) -> FillOutcome {
    guard let entry else {
      if case .useStore = outcome { return .absent }
      return outcome
    }
    guard case .failed = outcome else { return .useStore }
    // A fresh one has come otherwise; a stale one may be given while the origin fails.
    guard now < entry.freshUntil + source.rules.staleIfError else { return outcome }
    source.staleAnswers.add(1, ordering: .relaxed)
    return .useStore
  }

  /// Loads the key anew, whatever is there; nobody waits. The key's stripe is locked.
  /// - Returns: false where a load is under way already.
  public func refresh(_ key: Key, _ entry: Entry?) -> Bool {
    guard let source = filler.source(of: key.namespace) else { return false }
    let name = KeyName(key)
    guard case .began(let id) = filler.boardRefresh(name, monotonic: monotonicMilliseconds) else { return false }
    source.refreshes.add(1, ordering: .relaxed)
    depart(id, key, name, source, entry)
    return true
  }

  // MARK: A flight

  private func depart(_ id: Flights.ID, _ key: Key, _ name: KeyName, _ source: FillSource, _ entry: Entry?) {
    source.loads.add(1, ordering: .relaxed)
    // From here on every change of the key is told: what comes must not replace something newer.
    store.watch(key)
    let request = OriginRequest(
      key: name.key, deadlineMilliseconds: source.timeoutMilliseconds, held: entry.map { ValueDigest($0.value) })
    // The origin is asked when the stripe's lock is gone.
    loop.post { [self] in
      source.origin.load(request) { [self] answer in
        loop.post { [self] in arrive(id, name, source, answer) }
      }
    }
  }

  private func arrive(_ id: Flights.ID, _ name: KeyName, _ source: FillSource, _ answer: OriginAnswer) {
    let now = loop.now
    if case .value(let value) = answer {
      // Room is made where no lock is held; where there is none, the value still goes to those that wait.
      _ = store.admit(name.key.count + value.bytes.count, in: name.namespace, as: worker, now: now)
    }
    let landed: (Flights.Landing, FillOutcome)? = name.key.withUnsafeBytes { bytes in
      let key = store.key(bytes, in: name.namespace)
      return store.withSlot(key.slot, as: worker) {
        store.unwatch(slot: key.slot)
        guard let landing = filler.land(id, monotonic: monotonicMilliseconds) else { return nil }
        source.tookMilliseconds(landing.milliseconds)
        return (landing, take(answer, key, source, mayStore: landing.mayStore && isHere(key), now))
      }
    }
    guard let (landing, outcome) = landed else { return }
    for index in landing.loops {
      if index == loop.index {
        deliver(name, outcome)
      } else {
        let other = node.fillers[index]
        node.loops[index].post { other.deliver(name, outcome) }
      }
    }
  }

  private func isHere(_ key: Key) -> Bool { !node.routes.isClustered || node.routes[slot: key.slot] == .here }

  /// Stores what came. The key's stripe is locked.
  private func take(
    _ answer: OriginAnswer, _ key: Key, _ source: FillSource, mayStore: Bool, _ now: UnixMilliseconds
  ) -> FillOutcome {
    let existing = store.find(key, now: now, touch: false)
    switch answer {
    case .value(let value):
      filler.learn(KeyName(key))
      if mayStore, !value.freshness.neverStore {
        put(value.bytes, value.freshness, key, over: existing, source, now)
      }
      return .value(value.bytes)
    case .unchanged(let freshness):
      guard let existing else { return .absent }
      if mayStore { renew(freshness, key, existing, source, now) }
      return .useStore
    case .absent(let freshness):
      if mayStore {
        if let existing { store.remove(key, existing) }
        let length = freshness.timeToLiveMilliseconds.map(Int64.init) ?? source.rules.absentFor
        if length > 0, !freshness.neverStore {
          filler.remember(absent: key.hash, in: key.namespace, until: now + length, now: now)
        }
      }
      return .absent
    case .failure(let error):
      source.failures.add(1, ordering: .relaxed)
      return .failed(error)
    }
  }

  private func term(
    _ freshness: OriginFreshness, _ source: FillSource, _ now: UnixMilliseconds
  ) -> (freshUntil: UnixMilliseconds, expiresAt: UnixMilliseconds) {
    let windows = [freshness.staleWhileRevalidateMilliseconds, freshness.staleIfErrorMilliseconds].compactMap { $0 }
    return source.rules.term(
      lifetime: freshness.timeToLiveMilliseconds.map(Int64.init), staleWindow: windows.max().map(Int64.init),
      jitter: source.jitter, now: now, chance: random.next())
  }

  private func put(
    _ bytes: [UInt8], _ freshness: OriginFreshness, _ key: Key, over existing: Entry?, _ source: FillSource,
    _ now: UnixMilliseconds
  ) {
    let (freshUntil, expiresAt) = term(freshness, source, now)
    _ = bytes.withUnsafeBytes { value in
      store.put(
        key, over: existing, value, expiresAt == 0 ? .none : .at(expiresAt),
        freshUntil: source.rules.needsFreshUntil ? freshUntil : 0)
    }
  }

  private func renew(
    _ freshness: OriginFreshness, _ key: Key, _ entry: Entry, _ source: FillSource, _ now: UnixMilliseconds
  ) {
    let (freshUntil, expiresAt) = term(freshness, source, now)
    guard let moved = store.setExpiry(key, entry, expiresAt == 0 ? .none : .at(expiresAt)) else { return }
    _ = store.setFields(key, moved, freshUntil: source.rules.needsFreshUntil ? freshUntil : 0)
  }

  // MARK: Waking

  fileprivate func deliver(_ name: KeyName, _ outcome: FillOutcome) {
    guard let number = waiting.removeValue(forKey: name) else { return }
    if results.isEmpty { loop.post { [self] in forget() } }
    results[name] = Result(outcome: outcome)
    wake(number)
  }

  private func forget() {
    for name in results.keys {
      results[name]!.turns -= 1
      if results[name]!.turns == 0 { results[name] = nil }
    }
    if !results.isEmpty { loop.post { [self] in forget() } }
  }
}
