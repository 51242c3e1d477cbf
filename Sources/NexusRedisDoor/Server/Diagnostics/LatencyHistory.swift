import NexusModel

/// Events that took longer than `latency-threshold`: for each kind the last 160, and the longest ever.
public final class LatencyHistory: Sendable {
  public struct Sample: Sendable, Equatable {
    public var unixSeconds: Int
    public var milliseconds: Int
  }

  struct Event: Sendable {
    /// Oldest first.
    var samples: [Sample] = []
    var longestMilliseconds = 0
    var total = 0
    var sumMilliseconds = 0
  }

  static let capacity = 160
  private let events = Guarded<[String: Event]>([:])

  /// Two samples of one second are one, the longer.
  func add(_ name: String, milliseconds: Int, unixSeconds: Int) {
    events.withLock { events in
      var event = events[name] ?? Event()
      event.longestMilliseconds = max(event.longestMilliseconds, milliseconds)
      event.total += 1
      event.sumMilliseconds += milliseconds
      if let last = event.samples.indices.last, event.samples[last].unixSeconds == unixSeconds {
        event.samples[last].milliseconds = max(event.samples[last].milliseconds, milliseconds)
      } else {
        event.samples.append(Sample(unixSeconds: unixSeconds, milliseconds: milliseconds))
        if event.samples.count > Self.capacity { event.samples.removeFirst() }
      }
      events[name] = event
    }
  }

  func event(_ name: String) -> Event? { events.withLock { $0[name] } }
  /// By name, sorted.
  func all() -> [(name: String, event: Event)] {
    events.withLock { $0.map { (name: $0.key, event: $0.value) } }.sorted { $0.name < $1.name }
  }

  /// Forgets these events (all where none is named); how many there were.
  func reset(_ names: [String]) -> Int {
    events.withLock { events in
      let doomed = names.isEmpty ? Array(events.keys) : Array(Set(names)).filter { events[$0] != nil }
      for name in doomed { events[name] = nil }
      return doomed.count
    }
  }
}
