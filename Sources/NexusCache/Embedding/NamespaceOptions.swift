import NexusService

/// The rules of one namespace. What is not set follows the node's settings, as they are and as they change.
///
/// ```swift
/// var options = NamespaceOptions()
/// options.timeToLive = .seconds(60)
/// options.staleWhileRevalidate = .seconds(30)
/// let scores = try cache.namespace("scores", options) { key, context in try await database.lookup(key) }
/// ```
public struct NamespaceOptions: Sendable {
  /// How long a value is fresh that is stored without a time of its own. `.zero`: for ever.
  public var timeToLive: Duration?
  /// By how much of `timeToLive` (0...1) it is shortened by chance, so that what was loaded together is not loaded anew
  /// together.
  public var jitter: Double?
  /// For so long after its time the old value is given at once, while one load brings the new one.
  public var staleWhileRevalidate: Duration?
  /// For so long after its time the old value is given where the loader fails.
  public var staleIfError: Duration?
  /// For so long it is remembered that the loader has no value for a key.
  public var absentTimeToLive: Duration?
  /// How early values are loaded anew by chance, before their time is over: 0 never, 1 usual (XFetch).
  public var earlyRefresh: Double?
  /// Evict past this much memory of the namespace's entries.
  public var maxBytes: Int?
  /// Evict past this many entries.
  public var maxEntries: Int?
  /// What is evicted first.
  public var eviction: Eviction?
  /// A caller waits for a load no longer than this; the load's task is cancelled then.
  public var loadTimeout: Duration = .seconds(5)
  /// Loads of different keys that run at the same time on this node. A loader that asks the cache for other keys of its
  /// own namespace holds its place meanwhile.
  public var concurrentLoads = 256
  /// Loads that may wait for a place; more fail at once.
  public var waitingLoads = 100_000

  public enum Eviction: String, Sendable, CaseIterable {
    case lru, s3fifo, random, ttl, none
    case sizeAware = "size-aware"
  }

  public init() {}

  /// As the node's table of options reads them.
  var texts: [(name: String, value: String)] {
    var texts: [(String, String)] = []
    func add(_ name: String, _ duration: Duration?) {
      if let duration { texts.append((name, SettingText.durationText(duration.microseconds))) }
    }
    func add(_ name: String, share: Double?) {
      if let share { texts.append((name, "\(Int((share * 100).rounded()))%")) }
    }
    add("default-ttl", timeToLive)
    add("ttl-jitter", share: jitter)
    add("stale-while-revalidate", staleWhileRevalidate)
    add("stale-if-error", staleIfError)
    add("absent-ttl", absentTimeToLive)
    add("early-refresh", share: earlyRefresh)
    if let maxBytes { texts.append(("max-memory", "\(maxBytes)")) }
    if let maxEntries { texts.append(("max-entries", "\(maxEntries)")) }
    if let eviction { texts.append(("eviction", eviction.rawValue)) }
    return texts
  }
}

extension Duration {
  /// Rounded up: what is more than nothing stays more than nothing.
  var microseconds: Int {
    let (seconds, attoseconds) = components
    let most = Int64.max / 2_000_000
    return Int(min(max(seconds, -most), most)) * 1_000_000 + Int((attoseconds + 999_999_999_999) / 1_000_000_000_000)
  }

  var milliseconds: Int { (microseconds + 999) / 1000 }
}
