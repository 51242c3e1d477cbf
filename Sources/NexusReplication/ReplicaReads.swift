import NexusModel

/// Single keys that are asked of other members before they are read or changed: reads of a quorum, and keys of slots
/// that were taken over and are not verified yet.
///
/// The shells attach versions: an answer brings the key's version where it is newer than the asking side's, and the
/// asking side merges it before it gives the answer to `step`. So when a read is done, the newest version of all that
/// were compared is in this node's store.
///
/// A quorum read ends only when a quorum has that version: members of the quorum that have an older one get it first.
/// So who reads after has answered sees it too, whichever quorum is asked.
///
/// Reads live in an array that is used again: one allocates nothing.
public struct ReplicaReads: Sendable {
  /// A slot has at most seven copies.
  public static let peersMost = 6

  public struct Read: Sendable {
    /// Chosen by the caller; not used twice at a time.
    public var id: UInt64
    public var slot: Slot
    public var key: KeyHash
    /// This node's version; nil: none.
    public var have: KeyVersion?
    /// Answers that are needed besides this node's own copy.
    public var needed: Int
    /// Members with older versions get the newest before the read is done.
    public var repairs: Bool
    /// Milliseconds of a clock that does not jump.
    public var deadline: UInt64

    public init(
      id: UInt64, slot: Slot, key: KeyHash, have: KeyVersion?, needed: Int, repairs: Bool, deadline: UInt64
    ) {
      self.id = id
      self.slot = slot
      self.key = key
      self.have = have
      self.needed = needed
      self.repairs = repairs
      self.deadline = deadline
    }
  }

  public enum Input: Sendable {
    /// Ask these members, `peersMost` at most.
    case read(Read, of: [MemberNumber])
    /// What the member has, and what this node has after the merge.
    case answer(id: UInt64, KeyVersion?, from: MemberNumber, have: KeyVersion?)
    case lost(MemberNumber)
    /// When the next deadline has come.
    case tick
  }

  public enum Outcome: Sendable, Hashable {
    case complete
    /// So few members are left that it cannot come to enough.
    case impossible
    case timedOut
  }

  public enum Output: Hashable, Sendable {
    case ask(id: UInt64, Slot, KeyHash, have: KeyVersion?, of: MemberNumber)
    /// `ReplicationMessage.keepKey`, with the key's version attached.
    case keep(id: UInt64, Slot, KeyHash, by: MemberNumber)
    /// - Parameter answers: members that have answered.
    case done(id: UInt64, Outcome, answers: Int)
  }

  private enum State: UInt8, BitwiseCopyable { case asked, answered, keeping, kept, lost }

  private struct Pending {
    var read: Read
    var count: Int
    var members: InlineArray<6, MemberNumber>
    var states: InlineArray<6, State>
    var versions: InlineArray<6, KeyVersion?>
    /// What a quorum shall have; nil: nobody has the key. Known when enough have answered.
    var newest: KeyVersion?
    var isRepairing = false
  }

  private var pending: [Pending] = []
  /// No deadline is earlier.
  public private(set) var nextDeadline: UInt64 = .max

  public init() {}

  public var count: Int { pending.count }

  public mutating func step(_ input: Input, now: UInt64, into outputs: inout [Output]) {
    if now >= nextDeadline { expire(now, &outputs) }
    switch input {
    case .read(let read, let members): begin(read, members, &outputs)
    case .answer(let id, let version, let member, let have): onAnswer(id, version, member, have: have, &outputs)
    case .lost(let member): onLost(member, &outputs)
    case .tick: break
    }
  }

  private mutating func begin(_ read: Read, _ members: [MemberNumber], _ outputs: inout [Output]) {
    precondition(members.count <= Self.peersMost, "a slot has at most \(Self.peersMost) other members")
    guard members.count >= read.needed else { return outputs.append(.done(id: read.id, .impossible, answers: 0)) }
    guard read.needed > 0 else { return outputs.append(.done(id: read.id, .complete, answers: 0)) }
    var new = Pending(
      read: read, count: members.count, members: InlineArray(repeating: 0), states: InlineArray(repeating: .lost),
      versions: InlineArray(repeating: nil))
    for (place, member) in members.enumerated() {
      new.members[place] = member
      new.states[place] = .asked
      outputs.append(.ask(id: read.id, read.slot, read.key, have: read.have, of: member))
    }
    pending.append(new)
    nextDeadline = min(nextDeadline, read.deadline)
  }

  private mutating func onAnswer(
    _ id: UInt64, _ version: KeyVersion?, _ member: MemberNumber, have: KeyVersion?, _ outputs: inout [Output]
  ) {
    guard let index = pending.firstIndex(where: { $0.read.id == id }) else { return }
    for place in 0..<pending[index].count where pending[index].members[place] == member {
      pending[index].versions[place] = version
      switch pending[index].states[place] {
      case .asked, .answered: pending[index].states[place] = .answered
      // An answer to the first question may come twice: it does not say that the new version is kept.
      case .keeping: if Self.isAtLeast(version, pending[index].newest) { pending[index].states[place] = .kept }
      case .kept, .lost: break
      }
    }
    pending[index].read.have = have
    decide(index, &outputs)
  }

  private mutating func onLost(_ member: MemberNumber, _ outputs: inout [Output]) {
    for index in pending.indices.reversed() {
      for place in 0..<pending[index].count where pending[index].members[place] == member {
        if pending[index].states[place] == .asked || pending[index].states[place] == .keeping {
          pending[index].states[place] = .lost
        }
      }
      decide(index, &outputs)
    }
  }

  private static func isAtLeast(_ version: KeyVersion?, _ other: KeyVersion?) -> Bool {
    guard let other else { return true }
    guard let version else { return false }
    return !other.isNewer(than: version)
  }

  /// In one of the given states.
  private func count(_ index: Int, _ states: State...) -> Int {
    var total = 0
    for place in 0..<pending[index].count where states.contains(pending[index].states[place]) { total += 1 }
    return total
  }

  private mutating func decide(_ index: Int, _ outputs: inout [Output]) {
    let needed = pending[index].read.needed
    if !pending[index].isRepairing {
      let answered = count(index, .answered)
      if answered >= needed {
        guard pending[index].read.repairs else { return end(index, .complete, &outputs) }
        pending[index].isRepairing = true
        pending[index].newest = pending[index].read.have
      } else if answered + count(index, .asked) < needed {
        return end(index, .impossible, &outputs)
      } else {
        return
      }
    }
    // Repairing: members that have answered late may have it as well.
    let (read, newest) = (pending[index].read, pending[index].newest)
    for place in 0..<pending[index].count where pending[index].states[place] == .answered {
      if Self.isAtLeast(pending[index].versions[place], newest) {
        pending[index].states[place] = .kept
      } else {
        pending[index].states[place] = .keeping
        outputs.append(.keep(id: read.id, read.slot, read.key, by: pending[index].members[place]))
      }
    }
    if count(index, .kept) >= needed {
      end(index, .complete, &outputs)
    } else if count(index, .kept, .keeping, .asked) < needed {
      end(index, .impossible, &outputs)
    }
  }

  private mutating func end(_ index: Int, _ outcome: Outcome, _ outputs: inout [Output]) {
    outputs.append(
      .done(id: pending[index].read.id, outcome, answers: count(index, .answered, .keeping, .kept)))
    pending.swapAt(index, pending.count - 1)
    pending.removeLast()
  }

  private mutating func expire(_ now: UInt64, _ outputs: inout [Output]) {
    nextDeadline = .max
    for index in pending.indices.reversed() {
      if now >= pending[index].read.deadline {
        end(index, .timedOut, &outputs)
      } else {
        nextDeadline = min(nextDeadline, pending[index].read.deadline)
      }
    }
  }
}
