/// A value or a name that a setting does not take. `description` is one sentence that names the setting, the value
/// and what is accepted.
public struct SettingError: Error, Sendable, CustomStringConvertible {
  public enum Reason: Sendable {
    case unknownName(suggestion: String?)
    case invalid
    case outOfRange(ClosedRange<Int>)
    /// Only a restart changes it.
    case immutable
    /// Right in itself, but not together with the other settings; the sentence says why.
    case conflict(String)
  }

  public let reason: Reason
  public let name: String
  public let value: String
  let accepted: String

  init(_ reason: Reason, _ shape: ValueShape, _ value: String) {
    self.reason = reason
    self.name = shape.name
    self.value = shape.isSecret ? "(hidden)" : value
    self.accepted = shape.accepted
  }

  init(_ reason: Reason, _ setting: Setting, _ value: String) { self.init(reason, setting.shape, value) }

  init(unknown name: String, _ value: String = "") {
    self.reason = .unknownName(suggestion: nearestName(to: name.lowercased(), among: Setting.all.map(\.name)))
    self.name = name
    self.value = value
    self.accepted = ""
  }

  public var description: String {
    switch reason {
    case .unknownName(let suggestion):
      if let suggestion { return "there is no setting '\(name)'; did you mean '\(suggestion)'?" }
      return "there is no setting '\(name)'; 'nexuscache serve --help' lists them all"
    case .invalid, .outOfRange: return "\(name) cannot be '\(value)': give \(accepted)"
    case .immutable: return "\(name) cannot change to '\(value)' while the node runs: set it and restart"
    case .conflict(let why): return "\(name) cannot be '\(value)': \(why)"
    }
  }
}
