import NexusModel

/// Remembers members that went without leaving: they may come back with something older than what was deleted
/// meanwhile. As long as the membership knows of one it is away; once that has forgotten it, until the grace period of
/// tombstones has passed since it was first missed.
public struct AwayMembers: Sendable {
  private let graceMilliseconds: UInt64
  private var known: Set<MemberID> = []
  private var missedAt: [MemberID: UInt64] = [:]

  public init(graceMilliseconds: UInt64) { self.graceMilliseconds = graceMilliseconds }

  /// What the membership says now.
  /// - Parameters:
  ///   - away: dead, or given up without having left by themselves.
  ///   - present: alive, or left by themselves.
  public mutating func note(away: some Sequence<MemberID>, present: some Sequence<MemberID>, now: UInt64) {
    known = Set(away)
    for member in known where missedAt[member] == nil { missedAt[member] = now }
    for member in present where !known.contains(member) { missedAt[member] = nil }
    let (known, grace) = (known, graceMilliseconds)
    missedAt = missedAt.filter { known.contains($0.key) || now < $0.value + grace }
  }

  public func isAnyoneAway(now: UInt64) -> Bool {
    !known.isEmpty || missedAt.values.contains { now < $0 + graceMilliseconds }
  }
}
