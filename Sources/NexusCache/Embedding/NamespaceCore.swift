import Glibc
import NexusModel
import NexusOrigins
import NexusService
import NexusStore
import Synchronization

/// What a namespace of an embedding program does, whatever its values' type: hits on the caller's own thread, anything
/// else through an event loop.
@usableFromInline final class NamespaceCore: Sendable {
  let name: String
  let number: NamespaceNumber
  let node: Node
  let hits = HitCounters()
  let misses = Atomic<UInt64>(0)
  /// Nil: nothing is loaded.
  let loader: ClosureOrigin?
  private let doors: [ValueDoor]
  private let timeoutMilliseconds: Int
  /// Shared by the namespaces of a node.
  private let turnstile: Turnstile
  /// The last keys whose loads were asked for while their old values answered: of a hot key, not every reader asks.
  private let refreshes = RecentHashes()

  // Within one step's reach.
  private let store: Store
  private let routes: SlotRoutes
  private let filler: Filler

  init(
    _ name: String, _ number: NamespaceNumber, _ node: Node, doors: [ValueDoor], loader: ClosureOrigin?,
    timeoutMilliseconds: Int, turnstile: Turnstile
  ) {
    self.name = name
    self.number = number
    self.node = node
    self.doors = doors
    self.loader = loader
    self.timeoutMilliseconds = timeoutMilliseconds
    self.turnstile = turnstile
    store = node.store
    routes = node.routes
    filler = node.filler
  }

  // MARK: Hits

  /// The largest value that is copied to where the caller has room.
  @usableFromInline static let roomBytes = 1024

  /// Copies the value under the key, where this node executes the key's slot and it may be given without loading it.
  /// The value is copied, so that nothing of the caller's runs while the stripe is locked.
  /// - Parameters:
  ///   - room: of `roomBytes`, for short values; a longer one comes in `large`.
  /// - Returns: its length; -1: there is none that may be given.
  @usableFromInline func copy(
    _ bytes: UnsafeRawBufferPointer, into room: UnsafeMutableRawPointer, _ large: inout [UInt8]?
  ) -> Int {
    let key = store.key(bytes, in: number)
    let worker = ThreadWorker.current
    let now = coarseNow()
    let taken = store.lock(key, as: worker)
    if routes.isClustered, routes[slot: key.slot] != .here {
      store.unlock(key, taken)
      return -1
    }
    guard !turnstile.isClosed, let entry = store.find(key, now: now), entry.isString,
      !entry.hasFreshUntil || mayGive(key, entry, now)
    else {
      store.unlock(key, taken)
      return -1
    }
    let value = entry.value
    let count = value.count
    if count <= Self.roomBytes {
      room.copyMemory(from: value.baseAddress!, byteCount: count)
      store.unlock(key, taken)
    } else {
      large = Array(value)
      store.unlock(key, taken)
    }
    hits.add(worker)
    return count
  }

  /// Of a value that ceases to be fresh. The key's stripe is locked.
  @inline(never) private func mayGive(_ key: Key, _ entry: Entry, _ now: UnixMilliseconds) -> Bool {
    guard let source = filler.source(of: number) else { return true }
    var chance = SplitMix64(seed: key.hash ^ hits.total)
    let verdict = source.rules.judge(
      freshUntil: entry.freshUntil, now: now, loadMilliseconds: source.loadMilliseconds, chance: chance.next())
    guard verdict == .refreshing else { return verdict == .fresh }
    source.staleAnswers.add(1, ordering: .relaxed)
    if refreshes.isNew(key.hash, now) { send(.refresh, Array(key.bytes)) }
    return true
  }

  // MARK: Everything else

  nonisolated(nonsending) func read(_ key: [UInt8]) async -> ValueReply {
    misses.add(1, ordering: .relaxed)
    guard let loader, let own = LoadUnderway.chain.last else { return await ask(.read, key) }
    let target = loader.underway(key)
    if let deadlock = LoadWaits.begin(own, for: target) { return .failed(deadlock) }
    defer { LoadWaits.end(own, for: target) }
    return await ask(.read, key)
  }

  /// Waits for the reply, or for the task's cancellation.
  nonisolated(nonsending) func ask(
    _ action: ValueRequest.Action, _ key: [UInt8], _ value: [UInt8] = [], _ life: TimeToLive = .namespaceDefault
  ) async -> ValueReply {
    let waiter = Waiter()
    send(action, key, value, life, waiter)
    return await withTaskCancellationHandler {
      await withCheckedContinuation { waiter.wait($0) }
    } onCancel: {
      waiter.end(.failed(.cancelled))
    }
  }

  private func send(
    _ action: ValueRequest.Action, _ key: [UInt8], _ value: [UInt8] = [], _ life: TimeToLive = .namespaceDefault,
    _ waiter: Waiter? = nil
  ) {
    guard !turnstile.isClosed else { return waiter?.end(.failed(.stopped)) ?? () }
    let limit = node.settings.maxValueBytes
    guard value.count <= limit else {
      waiter?.end(
        .failed(
          CacheError(.tooLarge, "the value has \(value.count) bytes; the setting max-value-size allows \(limit)")))
      return
    }
    // A slot's keys come by one loop: who asks for the same key waits in the same place.
    let slot = key.withUnsafeBytes { Slot(of: $0).index }
    doors[Int(slot) % doors.count].take(
      Errand(
        ValueRequest(
          action: action, namespace: number, key: key, value: value, life: life, mayLoad: loader != nil,
          timeoutMilliseconds: action == .read && loader != nil ? timeoutMilliseconds + 1000 : 0), waiter, turnstile))
  }
}

/// The wall clock as of the system's last tick, a few milliseconds ago at most: a fifth of the price of reading it.
@inline(__always) private func coarseNow() -> UnixMilliseconds {
  var time = timespec()
  clock_gettime(CLOCK_REALTIME_COARSE, &time)
  return Int64(time.tv_sec) &* 1000 &+ Int64(time.tv_nsec) / 1_000_000
}

/// Hashes of keys that were met a moment ago: a hint, threads may overwrite each other's.
final class RecentHashes: Sendable {
  private static let count = 64
  private static let momentMilliseconds: Int64 = 20
  private let words: [Word] = (0..<count).map { _ in Word() }

  private final class Word: Sendable {
    let mark = Atomic<UInt64>(0)
  }

  /// False where the same key was met within the same moment.
  func isNew(_ hash: UInt64, _ now: UnixMilliseconds) -> Bool {
    let mark = hash ^ UInt64(truncatingIfNeeded: now / Self.momentMilliseconds) &* 0x9E37_79B9_7F4A_7C15
    return words[Int(hash % UInt64(Self.count))].mark.exchange(mark, ordering: .relaxed) != mark
  }
}
