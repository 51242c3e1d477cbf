import NexusModel

/// What happens to the cluster as this node sees it, to its slots and to its namespaces, for whoever listens: the
/// Redis door's reserved channels, the HTTP door's event streams.
///
/// Events are few, and each is put into words once. They have numbers without gaps, and the latest are remembered, so
/// that a reader who comes late or reads slowly knows what it missed. From any thread.
public final class EventBus: Sendable {
  public enum Topic: Int, CaseIterable, Sendable {
    case membership, topology, invalidation

    public var name: StaticString {
      switch self {
      case .membership: "membership"
      case .topology: "topology"
      case .invalidation: "invalidation"
      }
    }
  }

  public struct Event: Sendable {
    /// From 1 on, of all topics together.
    public let sequence: UInt64
    public let topic: Topic
    /// A JSON object.
    public let text: [UInt8]
  }

  public enum Reading: Sendable {
    case event(Event)
    /// All after the asked one up to this one are no longer remembered.
    case missed(through: UInt64)
    case nothing
  }

  /// Past either, the oldest are forgotten.
  static let (rememberedMost, rememberedBytesMost) = (1024, 1 << 20)

  private struct State {
    /// The latest, in order.
    var events: [Event] = []
    var bytes = 0
    var countedBytes = 0
    var last: UInt64 = 0
    var counts = [UInt64](repeating: 0, count: Topic.allCases.count)
    var listeners: [Int: @Sendable (Event) -> Void] = [:]
    var lastListener = 0
  }

  private let state = Guarded(State())
  private let gauge: MemoryGauge
  /// Names this process: the next one of the same node numbers its events anew.
  public let run: String

  init(runID: String, gauge: MemoryGauge) {
    run = String(runID.prefix(8))
    self.gauge = gauge
  }

  /// Of the event that was announced last; 0 before the first.
  public var last: UInt64 { state.withLock { $0.last } }
  public func count(of topic: Topic) -> UInt64 { state.withLock { $0.counts[topic.rawValue] } }

  /// Calls back for every event from now on, in their order, on the thread that announces it. What is called does
  /// little, and announces nothing.
  /// - Returns: what to `forget` it by.
  public func listen(_ hear: @escaping @Sendable (Event) -> Void) -> Int {
    state.withLock { state in
      state.lastListener += 1
      state.listeners[state.lastListener] = hear
      return state.lastListener
    }
  }

  public func forget(_ listener: Int) {
    // What a listener holds may end with it: not under the lock.
    let forgotten = state.withLock { $0.listeners.removeValue(forKey: listener) }
    _ = forgotten
  }

  /// The first event behind the one of this number.
  public func read(after sequence: UInt64) -> Reading {
    state.withLock { state in
      guard sequence < state.last, let first = state.events.first?.sequence else { return .nothing }
      if sequence + 1 < first { return .missed(through: first - 1) }
      return .event(state.events[Int(sequence + 1 - first)])
    }
  }

  /// - Parameter facts: appends members of the JSON object, each with a comma in front.
  func announce(
    _ topic: Topic, _ event: String, by node: String, at now: UnixMilliseconds, _ facts: (inout OutputBuffer) -> Void
  ) {
    state.withLock { state in
      state.last += 1
      var out = OutputBuffer(capacity: 256)
      defer { out.deallocate() }
      out.append("{\"type\":\"")
      out.append(topic.name)
      out.append("\",\"event\":\"\(event)\",\"node\":")
      out.appendJSONString(node)
      out.append(",\"run\":\"\(run)\",\"sequence\":\(state.last),\"time\":\(now)")
      facts(&out)
      out.append("}")
      let made = Event(sequence: state.last, topic: topic, text: Array(out.bytes))
      state.counts[topic.rawValue] += 1
      remember(made, &state)
      for hear in state.listeners.values { hear(made) }
    }
  }

  private func remember(_ event: Event, _ state: inout State) {
    state.events.append(event)
    state.bytes += event.text.count
    while state.events.count > Self.rememberedMost || state.bytes > Self.rememberedBytesMost, state.events.count > 1 {
      state.bytes -= state.events.removeFirst().text.count
    }
    // In steps, because the gauge is everybody's.
    if state.bytes - state.countedBytes >= 64 << 10 {
      gauge.add(state.bytes - state.countedBytes)
      state.countedBytes = state.bytes
    }
  }
}
