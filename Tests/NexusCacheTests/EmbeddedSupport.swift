import NexusCache
import NexusModel
import NexusService
import Synchronization

/// A small node that says nothing.
let small: NexusCache.Configuration = {
  var configuration = NexusCache.Configuration()
  configuration.maxMemoryBytes = 32 << 20
  configuration.log = SilentLog()
  return configuration
}()

func withCache(_ body: (NexusCache) async throws -> Void) async throws {
  let cache = try await NexusCache.start(small)
  do {
    try await body(cache)
  } catch {
    await cache.stop()
    throw error
  }
  await cache.stop()
}

/// The cache's error that the body throws; nil where it throws none of its.
func failure<Result>(_ body: () async throws -> Result) async -> CacheError? {
  do {
    _ = try await body()
    return nil
  } catch { return error as? CacheError }
}

final class Counter: Sendable {
  private let count = Atomic<Int>(0)
  @discardableResult func add() -> Int { count.wrappingAdd(1, ordering: .relaxed).newValue }
  var value: Int { count.load(ordering: .relaxed) }
}

/// Holds tasks up until it is opened, whether or not they are cancelled.
final class Gate: Sendable {
  private let state = Guarded<(isOpen: Bool, waiting: [CheckedContinuation<Void, Never>])>((false, []))

  func wait() async {
    await withCheckedContinuation { continuation in
      let isOpen = state.withLock { state in
        if !state.isOpen { state.waiting.append(continuation) }
        return state.isOpen
      }
      if isOpen { continuation.resume() }
    }
  }

  func open() {
    let waiting = state.withLock { state in
      defer { state = (true, []) }
      return state.waiting
    }
    for continuation in waiting { continuation.resume() }
  }
}
