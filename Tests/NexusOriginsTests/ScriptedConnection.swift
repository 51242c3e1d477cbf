import NexusModel
import NexusService

@testable import NexusOrigins

/// An origin made of closures, and what it was asked.
final class Script: Sendable {
  struct State {
    var now = 0
    var most = 0
    var connections = 0
    var loads: [String] = []
    var stored: [String] = []
  }
  private let state = Guarded(State())
  let onLoad: @Sendable (_ key: String, _ interruption: DescriptorInterruption) -> OriginAnswer
  let onStore: @Sendable (_ key: String, _ value: String?) -> OriginError.Cause?

  init(
    onLoad: @escaping @Sendable (String, DescriptorInterruption) -> OriginAnswer = { key, _ in .value(key) },
    onStore: @escaping @Sendable (String, String?) -> OriginError.Cause? = { _, _ in nil }
  ) {
    self.onLoad = onLoad
    self.onStore = onStore
  }

  /// At this moment asked, asked at most at one time, connections now.
  var now: Int { state.withLock(\.now) }
  var most: Int { state.withLock(\.most) }
  var connections: Int { state.withLock(\.connections) }
  var loads: [String] { state.withLock(\.loads) }
  /// `KEY=VALUE`, in the order in which they were begun.
  var stored: [String] { state.withLock(\.stored) }

  func change(_ body: @Sendable (inout State) -> Void) { state.withLock { body(&$0) } }

  func begin(_ body: @Sendable (inout State) -> Void) {
    state.withLock {
      $0.now += 1
      $0.most = max($0.most, $0.now)
      body(&$0)
    }
  }

  func origin(_ limits: OriginLimits = OriginLimits()) -> PooledOrigin {
    PooledOrigin(name: "scripted", limits: limits, canStore: true) { ScriptedConnection(self, $0) }
  }
}

final class ScriptedConnection: OriginConnection {
  private let script: Script
  private let interruption: DescriptorInterruption

  init(_ script: Script, _ interruption: DescriptorInterruption) {
    self.script = script
    self.interruption = interruption
    script.change { $0.connections += 1 }
  }
  deinit { script.change { $0.connections -= 1 } }

  func load(_ request: OriginRequest, until deadline: Int) -> OriginAnswer {
    let key = String(decoding: request.key, as: UTF8.self)
    script.begin { $0.loads.append(key) }
    defer { script.change { $0.now -= 1 } }
    return script.onLoad(key, interruption)
  }

  func store(_ writes: [OriginWrite], until deadline: Int) -> [Result<Void, OriginError>] {
    writes.map { write in
      let key = String(decoding: write.key, as: UTF8.self)
      let value = write.value.map { String(decoding: $0, as: UTF8.self) }
      script.begin { $0.stored.append("\(key)=\(value ?? "(deleted)")") }
      defer { script.change { $0.now -= 1 } }
      return script.onStore(key, value).map { .failure(OriginError(origin: "scripted", $0)) } ?? .success(())
    }
  }
}

func failing(_ cause: OriginError.Cause) -> OriginAnswer { .failure(OriginError(origin: "scripted", cause)) }
