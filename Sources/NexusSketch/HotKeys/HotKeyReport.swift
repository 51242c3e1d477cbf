import NexusModel

/// A key and how much it is used. Rates are those of the sample, scaled up: what the sample itself may have missed is
/// not part of the error.
public struct HotKey: Equatable, Sendable {
  public var namespace: NamespaceNumber
  /// The key, or where it is longer than what is kept, its beginning.
  public var key: [UInt8]
  /// The length of the whole key.
  public var keyCount: Int
  /// Of the whole key where it is longer than what is kept (XXH3), otherwise 0: tells keys with one beginning apart.
  var digest: UInt64
  /// Never too low.
  public var perSecond: Double
  /// Too high by this much at most.
  public var errorPerSecond: Double
  /// The writes among them: never too high, too low by the error at most.
  public var writesPerSecond: Double

  public var isWhole: Bool { key.count == keyCount }
}

/// What one sketch, or several together, know of a moment.
public struct HotKeyReport: Equatable, Sendable {
  /// The hottest first.
  public var keys: [HotKey]
  /// What any key that is not listed has at most.
  public var restPerSecond: Double
  /// Of all keys together.
  public var totalPerSecond: Double

  init(_ keys: [HotKey], restPerSecond: Double, totalPerSecond: Double) {
    self.keys = keys.sorted { Self.isHotter($0, $1) }
    self.restPerSecond = restPerSecond
    self.totalPerSecond = totalPerSecond
  }

  /// Together, of several loops or members. What one of them does not list may have had there what its `restPerSecond`
  /// says: that joins the estimate and its error (Agarwal et al.: "Mergeable Summaries", PODS 2012).
  public init(merging reports: [HotKeyReport]) {
    struct Name: Hashable {
      var namespace: NamespaceNumber
      var key: [UInt8]
      var keyCount: Int
      var digest: UInt64
    }
    let rest = reports.reduce(0) { $0 + $1.restPerSecond }
    var merged: [Name: HotKey] = [:]
    for report in reports {
      for hot in report.keys {
        let name = Name(namespace: hot.namespace, key: hot.key, keyCount: hot.keyCount, digest: hot.digest)
        var sum = merged[name] ?? HotKey(absent: hot, rest: rest)
        sum.perSecond += hot.perSecond - report.restPerSecond
        sum.errorPerSecond += hot.errorPerSecond - report.restPerSecond
        sum.writesPerSecond += hot.writesPerSecond
        merged[name] = sum
      }
    }
    self.init(
      Array(merged.values), restPerSecond: rest, totalPerSecond: reports.reduce(0) { $0 + $1.totalPerSecond })
  }

  /// The hottest ones only.
  public func top(_ count: Int) -> HotKeyReport {
    guard count < keys.count else { return self }
    var shorter = self
    shorter.keys = Array(keys.prefix(count))
    shorter.restPerSecond = max(restPerSecond, keys[count].perSecond)
    return shorter
  }

  /// Where the estimates are equal, the more certain one; then any order that is always the same.
  private static func isHotter(_ one: HotKey, _ other: HotKey) -> Bool {
    if one.perSecond != other.perSecond { return one.perSecond > other.perSecond }
    if one.errorPerSecond != other.errorPerSecond { return one.errorPerSecond < other.errorPerSecond }
    if one.namespace != other.namespace { return one.namespace < other.namespace }
    return one.key.lexicographicallyPrecedes(other.key)
  }
}

extension HotKey {
  /// The key as those together know it who do not list it.
  fileprivate init(absent key: HotKey, rest: Double) {
    self = key
    perSecond = rest
    errorPerSecond = rest
    writesPerSecond = 0
  }
}
