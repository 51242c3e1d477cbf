/// How many copies of a write there are before its writer is answered.
public enum Acknowledgement: String, Sendable, CaseIterable {
  /// The executing owner's.
  case one
  /// More than half of the configured copies, the owner's among them.
  case quorum
  /// Every configured copy.
  case all

  /// - Parameter copies: the configured ones, not those that are alive.
  public func copiesNeeded(of copies: Int) -> Int {
    switch self {
    case .one: 1
    case .quorum: copies / 2 + 1
    case .all: copies
    }
  }
}

/// Which copies a namespace's reads may come from.
public enum ReadPreference: String, Sendable, CaseIterable {
  /// The executing owner's; a replica's where the owner cannot be reached.
  case owner
  /// This node's own where it has one: perhaps a moment old.
  case any
  /// More than half of the configured copies are compared, and the newest answers.
  case quorum
}
