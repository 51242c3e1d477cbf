import NexusModel

/// Which keys an origin does not have, for a while. Past the limit the marks made first go, which costs a call of the
/// origin each and nothing else.
///
/// Keys are known by 64-bit hashes: that any two of a million marks share one has a chance of 1 in 37 million.
public struct AbsentKeys: Sendable {
  private var ends: [UInt64: UnixMilliseconds] = [:]
  /// In the order of marking; `first` is where those that are still to be looked at begin.
  private var order: [(hash: UInt64, until: UnixMilliseconds)] = []
  private var first = 0
  public let limit: Int

  /// - Parameter limit: marks at most; above 0.
  public init(limit: Int = 1 << 20) { self.limit = limit }

  public var count: Int { ends.count }
  /// What the marks take, nearly.
  public var byteCount: Int { ends.capacity * 24 + order.capacity * 16 }

  public func contains(_ hash: UInt64, now: UnixMilliseconds) -> Bool { ends[hash].map { $0 > now } ?? false }

  public mutating func insert(_ hash: UInt64, until: UnixMilliseconds, now: UnixMilliseconds) {
    ends[hash] = until
    order.append((hash, until))
    while first < order.count, ends.count > limit || order[first].until <= now || isSuperseded(order[first]) {
      let (hash, until) = order[first]
      first += 1
      // One that was marked anew since has its end in a later place.
      if ends[hash] == until { ends[hash] = nil }
    }
    if first > 1024, first * 2 > order.count {
      order.removeFirst(first)
      first = 0
    }
  }

  private func isSuperseded(_ mark: (hash: UInt64, until: UnixMilliseconds)) -> Bool { ends[mark.hash] != mark.until }

  public mutating func remove(_ hash: UInt64) { ends[hash] = nil }

  public mutating func removeAll() {
    ends = [:]
    order = []
    first = 0
  }
}
