import Glibc
import NexusModel
import NexusSketch

/// A key that is used much through this node, and what is known of that.
public struct HotKeyLine: Sendable {
  /// Uses a second, with how much of them may be too many, and the writes among them.
  public var hot: HotKey
  /// Loops that have a place for a copy of it; 0 for a key of this node's own.
  public var copies: Int
}

/// What a loop says of its hot keys, for other threads.
struct HotReport: Sendable {
  var at: UnixMilliseconds
  var report: HotKeyReport
  /// Of which it has copies.
  var copied: Set<KeyName>

  /// As it is when nothing more has come since.
  func faded(to now: UnixMilliseconds) -> HotKeyReport {
    let factor = exp2(-Double(max(0, now - at)) / Double(HotKeeper.halfLifeMilliseconds))
    var faded = report
    for index in faded.keys.indices {
      faded.keys[index].perSecond *= factor
      faded.keys[index].errorPerSecond *= factor
      faded.keys[index].writesPerSecond *= factor
    }
    faded.restPerSecond *= factor
    faded.totalPerSecond *= factor
    return faded
  }
}

extension Node {
  /// The keys that are used most through this node, whoever owns them, the hottest first: of its own loops together.
  /// From any thread; up to half a second old.
  public func hotKeys(most count: Int, now: UnixMilliseconds) -> [HotKeyLine] {
    let reports = hotKeepers.compactMap { keeper in keeper.published.withLock { $0 } }
    let merged = HotKeyReport(merging: reports.map { $0.faded(to: now) })
    // What may as well be nothing is not called hot.
    let certain = merged.keys.filter { $0.perSecond - $0.errorPerSecond >= 1 }
    return certain.prefix(count).map { hot in
      let name = KeyName(namespace: hot.namespace, key: hot.key)
      return HotKeyLine(hot: hot, copies: hot.isWhole ? reports.count { $0.copied.contains(name) } : 0)
    }
  }
}
