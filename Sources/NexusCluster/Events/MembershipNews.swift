import NexusModel

/// What became of members, each change once, whatever the order in which records of them arrive.
struct MembershipNews {
  enum Event: String {
    case joined, suspected, cleared, leaving, left, dead, back, restarted
  }

  private struct Told {
    var status: MemberStatus
    var isLeaving: Bool
    var startedAt: UInt64
  }

  private var told: [MemberID: Told] = [:]

  /// What is new in this record.
  mutating func note(_ record: MemberRecord) -> [Event] {
    let (member, status) = (record.member, record.status)
    let old = told[member.id]
    // It belongs to no cluster yet; that it is gone again concerns nobody who has not heard of it.
    if member.isJoining, status.isLive || old == nil { return [] }
    // Old news that came with a list.
    if status == .left, old == nil || old?.status == .left { return [] }
    told[member.id] = Told(status: status, isLeaving: member.isLeaving, startedAt: member.startedAt)
    var events: [Event] = []
    if status.isLive, let old, old.status.isLive, old.startedAt != member.startedAt {
      events.append(.restarted)
    } else if status != old?.status {
      events += [Self.event(status, after: old?.status)]
    }
    if status.isLive, member.isLeaving, old?.isLeaving != true { events.append(.leaving) }
    return events
  }

  private static func event(_ status: MemberStatus, after old: MemberStatus?) -> Event {
    switch (status, old) {
    case (.alive, .suspect?): .cleared
    case (.alive, .dead?): .back
    case (.alive, _): .joined
    case (.suspect, _): .suspected
    case (.dead, _): .dead
    case (.left, _): .left
    }
  }
}
