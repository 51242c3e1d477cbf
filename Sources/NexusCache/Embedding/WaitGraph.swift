import NexusModel
import NexusOrigins

/// Which loads wait for which keys, because their closures have asked the cache for them. A load that would wait for
/// itself, by however many others, is found before it begins to wait.
///
/// Pure. Small: only loads that ask for further keys are here, and only while they wait.
struct WaitGraph<Load: Hashable> {
  /// How often each waits for each: a closure may ask for one key from several tasks.
  private var waits: [Load: [Load: Int]] = [:]

  var isEmpty: Bool { waits.isEmpty }

  /// From now on `load` waits for `target`, unless that is the last link of a ring.
  /// - Returns: the ring, from `load` to `target` and back; nil where there is none.
  mutating func begin(_ load: Load, for target: Load) -> [Load]? {
    if let way = way(from: target, to: load) { return [load] + way }
    waits[load, default: [:]][target, default: 0] += 1
    return nil
  }

  mutating func end(_ load: Load, for target: Load) {
    guard let count = waits[load]?[target] else { return }
    waits[load]![target] = count > 1 ? count - 1 : nil
    if waits[load]!.isEmpty { waits[load] = nil }
  }

  /// From the one to the other along what waits for what, both included.
  private func way(from start: Load, to end: Load) -> [Load]? {
    var cameFrom: [Load: Load] = [:]
    var open = [start]
    while let next = open.popLast() {
      if next == end {
        var way = [next]
        while let before = cameFrom[way[0]], way[0] != start { way.insert(before, at: 0) }
        return way
      }
      for target in (waits[next] ?? [:]).keys where target != start && cameFrom[target] == nil {
        cameFrom[target] = next
        open.append(target)
      }
    }
    return nil
  }
}

/// The waits of this process: a ring may go through several caches.
enum LoadWaits {
  private static let graph = Guarded(WaitGraph<LoadUnderway>())

  /// Nil where the present task runs for no load, or may wait for this one; `end` then.
  static func begin(_ own: LoadUnderway, for target: LoadUnderway) -> CacheError? {
    guard let ring = graph.withLock({ $0.begin(own, for: target) }) else { return nil }
    func text(_ load: LoadUnderway) -> String {
      "'\(String(decoding: load.key.prefix(100), as: UTF8.self))' in \(load.origin)"
    }
    let way = ring.map(text).joined(separator: ", which waits for ")
    let sentence =
      ring.count == 2 && ring[0] == ring[1]
      ? "the loader of \(text(own)) asked the cache for that same key and would wait for itself for ever"
      : "a loader asked for what waits for its own load, and would wait for ever: \(way)"
    return CacheError(.deadlock, sentence + "; a loader may ask only for keys whose loaders do not ask back")
  }

  static func end(_ own: LoadUnderway, for target: LoadUnderway) { graph.withLock { $0.end(own, for: target) } }
}
