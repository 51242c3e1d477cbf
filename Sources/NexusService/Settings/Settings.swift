import NexusModel
import NexusStore
import Synchronization

/// Where a setting's value came from, from weakest to strongest.
public enum SettingOrigin: Sendable, Equatable, CustomStringConvertible {
  case standard
  case file(path: String, line: Int)
  case environment(variable: String)
  case flag
  case runtime

  public var description: String {
    switch self {
    case .standard: "default"
    case .file(let path, let line): "\(path):\(line)"
    case .environment(let variable): variable
    case .flag: "flag"
    case .runtime: "changed at run time"
    }
  }
}

/// The values of every setting. Numbers are read with one relaxed load, from any thread; changes are checked as a
/// whole before any of them holds.
public final class Settings: @unchecked Sendable {
  /// Makes the present values hold. Runs on the thread that changed them, which the store knows as this worker and
  /// which may hold stripes; may run on several threads at once, and again if values changed meanwhile.
  public typealias Listener = @Sendable (Settings, Worker) -> Void

  /// What percentages of memory are a share of.
  public let machineMemoryBytes: Int

  /// Invariant: one element per `SettingID`, at its raw value, for the life of the object.
  @usableFromInline let numbers: UnsafeMutablePointer<Atomic<Int>>

  private struct State: Sendable {
    var texts: [String]
    var origins: [SettingOrigin]
    var listeners: [(ids: Set<SettingID>, body: Listener)] = []
    /// Values given for Redis settings that mean nothing here, so that they read back as written.
    var ignored: [String: String] = [:]
    /// The most that `change` accepts, and why.
    var ceilings: [SettingID: (most: Int, why: String)] = [:]
    /// Rises with every change.
    var version = 0
  }

  private let state: Guarded<State>

  public init(machineMemoryBytes: Int = 4 << 30) {
    self.machineMemoryBytes = machineMemoryBytes
    numbers = .allocate(capacity: Setting.all.count)
    var texts: [String] = []
    for setting in Setting.all {
      guard let value = try? setting.parse(setting.defaultText, machineMemoryBytes: machineMemoryBytes) else {
        preconditionFailure("the default of \(setting.name) is not a value it accepts")
      }
      (numbers + setting.id.rawValue).initialize(to: Atomic(value.number))
      texts.append(value.text)
    }
    state = Guarded(State(texts: texts, origins: Array(repeating: .standard, count: texts.count)))
  }

  deinit {
    numbers.deinitialize(count: Setting.all.count)
    numbers.deallocate()
  }

  /// Bytes, microseconds, a count, percent, 0 or 1, or the index of the choice.
  @inlinable @inline(__always) public func number(_ id: SettingID) -> Int {
    numbers[id.rawValue].load(ordering: .relaxed)
  }

  /// As an operator would write it.
  public func text(_ id: SettingID) -> String { state.withLock { $0.texts[id.rawValue] } }

  /// The same for whoever looks on: without what is secret.
  public func shownText(_ id: SettingID) -> String {
    if Setting.all[id.rawValue].isSecret { return text(id).isEmpty ? "" : "(hidden)" }
    return id == .namespace ? namespaces.map(\.shownText).joined(separator: " ") : text(id)
  }

  public func origin(_ id: SettingID) -> SettingOrigin { state.withLock { $0.origins[id.rawValue] } }

  /// Sets a value before the node starts.
  public func configure(_ name: String, to text: String, from origin: SettingOrigin) throws(SettingError) {
    guard let setting = Setting.named(name) else { throw SettingError(unknown: name, text) }
    try store([(setting, try setting.parse(text, machineMemoryBytes: machineMemoryBytes))], origin)
  }

  /// Changes values while the node runs: all of them, or none if one is refused. Listeners have run when this returns.
  /// - Parameter worker: the calling thread, as the store knows it. A loop's own number on its thread: a thread that
  ///   locks the store's stripes under two names waits for itself.
  public func change(
    _ changes: [(id: SettingID, text: String)], as worker: Worker = Settings.visitor()
  ) throws(SettingError) {
    var accepted: [(Setting, SettingValue)] = []
    for change in changes {
      let setting = Setting.all[change.id.rawValue]
      guard setting.isMutable else { throw SettingError(.immutable, setting, change.text) }
      let value = try setting.parse(change.text, machineMemoryBytes: machineMemoryBytes)
      if let (most, why) = state.withLock({ $0.ceilings[change.id] }), value.number > most {
        throw SettingError(.conflict(why), setting, change.text)
      }
      if setting.isRepeatable, value.number == 0 {
        throw SettingError(
          .conflict("a namespace stays until the node ends; declare one to add it"), setting, change.text)
      }
      accepted.append((setting, value))
    }
    try store(accepted, .runtime)
    let changed = Set(accepted.map(\.0.id))
    // No lock is held while listeners run, because they take the store's. Whoever finishes last has seen the last
    // values: a listener that was overtaken runs again.
    var seen: Int
    repeat {
      let (version, listeners) = state.withLock { ($0.version, $0.listeners) }
      seen = version
      for listener in listeners where !listener.ids.isDisjoint(with: changed) { listener.body(self, worker) }
    } while state.withLock({ $0.version }) != seen
  }

  /// A name in the store for one call from a thread that is no event loop's: above all loops' numbers, new each time.
  public static func visitor() -> Worker {
    1 << 31 | visitors.wrappingAdd(1, ordering: .relaxed).newValue & (1 << 30 - 1)
  }
  private static let visitors = Atomic<Worker>(0)

  /// From now on `change` refuses more than this: what the node was built with at its start allows no more.
  /// `why`: the end of a sentence that tells what is possible, and how to get more.
  public func limitChanges(of id: SettingID, to most: Int, why: String) {
    state.withLock { $0.ceilings[id] = (most, why) }
  }

  /// Calls `listener` after each change of one of these, on the thread that made it.
  public func onChange(of ids: SettingID..., call listener: @escaping Listener) {
    state.withLock { $0.listeners.append((Set(ids), listener)) }
  }

  /// All or none. What may be given several times is added to what is there.
  private func store(_ given: [(Setting, SettingValue)], _ origin: SettingOrigin) throws(SettingError) {
    let refusal = state.withLock { state -> SettingError? in
      var values = given
      for index in values.indices where values[index].0.isRepeatable {
        do throws(SettingError) {
          let before = try NamespaceDeclaration.parse(state.texts[values[index].0.id.rawValue])
          values[index].1 = NamespaceDeclaration.value(
            try NamespaceDeclaration.merged(before, adding: values[index].1.text))
        } catch { return error }
      }
      state.version += 1
      for (setting, value) in values {
        state.texts[setting.id.rawValue] = value.text
        state.origins[setting.id.rawValue] = origin
        numbers[setting.id.rawValue].store(value.number, ordering: .relaxed)
      }
      return nil
    }
    if let refusal { throw refusal }
  }

  func ignoredValue(_ name: String) -> String? { state.withLock { $0.ignored[name] } }
  func ignore(_ name: String, _ value: String) { state.withLock { $0.ignored[name] = value } }
}
