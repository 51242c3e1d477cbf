import NexusModel

/// The three kinds of subscription.
enum ChannelKind: Int, CaseIterable, Sendable {
  case channel, pattern, shard

  /// As the first element of a message says it.
  var subscribed: StaticString {
    switch self {
    case .channel: "subscribe"
    case .pattern: "psubscribe"
    case .shard: "ssubscribe"
    }
  }
  var unsubscribed: StaticString {
    switch self {
    case .channel: "unsubscribe"
    case .pattern: "punsubscribe"
    case .shard: "sunsubscribe"
    }
  }
}

/// How many subscribers each channel and pattern has on each loop: PUBLISH answers its count from here and posts to
/// those loops only. Who they are is each loop's own affair (`Subscribers`).
final class ChannelRegistry: Sendable {
  private struct State {
    /// By kind; the counts have one element per loop, and a name without subscribers is not there.
    var counts: [[[UInt8]: [Int]]] = Array(repeating: [:], count: ChannelKind.allCases.count)
  }

  private let state = Guarded(State())
  private let loopCount: Int

  init(loopCount: Int) { self.loopCount = loopCount }

  func join(_ kind: ChannelKind, _ name: [UInt8], loop: Int) {
    state.withLock { state in
      state.counts[kind.rawValue][name, default: Array(repeating: 0, count: loopCount)][loop] += 1
    }
  }

  func leave(_ kind: ChannelKind, _ name: [UInt8], loop: Int) {
    state.withLock { state in
      guard var counts = state.counts[kind.rawValue][name] else { return }
      counts[loop] -= 1
      state.counts[kind.rawValue][name] = counts.allSatisfy { $0 == 0 } ? nil : counts
    }
  }

  /// How many deliveries a message to this channel makes, by loop: direct subscribers and, for plain channels,
  /// those of matching patterns.
  func receivers(_ kind: ChannelKind, _ channel: [UInt8]) -> [Int] {
    state.withLock { state in
      var receivers = state.counts[kind.rawValue][channel] ?? Array(repeating: 0, count: loopCount)
      guard kind == .channel else { return receivers }
      for (pattern, counts) in state.counts[ChannelKind.pattern.rawValue] where GlobPattern.matches(pattern, channel) {
        for loop in counts.indices { receivers[loop] += counts[loop] }
      }
      return receivers
    }
  }

  /// Names with at least one subscriber, those that match where a pattern is given.
  func names(_ kind: ChannelKind, matching pattern: [UInt8]? = nil) -> [[UInt8]] {
    state.withLock { state in
      state.counts[kind.rawValue].keys.filter { name in pattern.map { GlobPattern.matches($0, name) } ?? true }
    }
  }

  func subscribers(_ kind: ChannelKind, _ name: [UInt8]) -> Int {
    state.withLock { $0.counts[kind.rawValue][name]?.reduce(0, +) ?? 0 }
  }

  /// Different channels and different patterns that somebody listens to, for INFO.
  func count(_ kind: ChannelKind) -> Int { state.withLock { $0.counts[kind.rawValue].count } }
}

/// Who on one loop listens to what.
struct Subscribers {
  private var sessions: [[[UInt8]: [Session]]] = Array(repeating: [:], count: ChannelKind.allCases.count)

  mutating func add(_ session: Session, _ kind: ChannelKind, _ name: [UInt8]) {
    sessions[kind.rawValue][name, default: []].append(session)
  }

  mutating func remove(_ session: Session, _ kind: ChannelKind, _ name: [UInt8]) {
    sessions[kind.rawValue][name]?.removeAll { $0 === session }
    if sessions[kind.rawValue][name]?.isEmpty == true { sessions[kind.rawValue][name] = nil }
  }

  func listeners(_ kind: ChannelKind, _ name: [UInt8]) -> [Session] { sessions[kind.rawValue][name] ?? [] }

  func matchingPatterns(_ channel: [UInt8]) -> [(pattern: [UInt8], listeners: [Session])] {
    sessions[ChannelKind.pattern.rawValue].compactMap { pattern, listeners in
      GlobPattern.matches(pattern, channel) ? (pattern, listeners) : nil
    }
  }
}
