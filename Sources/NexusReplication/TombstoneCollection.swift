import NexusModel

/// Says when tombstones may go.
///
/// A tombstone is needed as long as anybody may have an older value of its key. So who executes a slot lets its
/// tombstones go when every member is there, every one of them says, asked after the tombstone has become old enough,
/// that all its copies have been compared and that it keeps none that it has no place for; and when the members of the
/// slot have everything that this node has. Who was declared dead and forgotten is not gone: it may have been cut off,
/// and comes back with what it had. After the grace period tombstones go in any case, and the slot's floor rises: what
/// is older than the floor and comes back from a member that was away so long is dropped.
///
/// Pure. Two clocks: `now` for intervals (milliseconds, does not jump), `time` for the age of stamps.
public struct TombstoneCollection: Sendable {
  public struct Settings: Sendable {
    public var intervalMilliseconds: UInt64 = 10_000
    /// More than the clocks of two members may differ by: then whatever is written after a member has answered has a
    /// higher stamp than every tombstone that goes.
    public var leastAgeMilliseconds: Int64 = 130_000
    public var graceMilliseconds: Int64 = 3_600_000
    public var graceIntervalMilliseconds: UInt64 = 60_000

    public init() {}
  }

  public enum Input: Sendable {
    /// - Parameters:
    ///   - others: every other member that is alive.
    ///   - isAnyoneAway: a member is dead, or was forgotten less than the grace period ago without having left by
    /// itself.
    case view(PlacementVersion, others: [MemberNumber], isAnyoneAway: Bool)
    case received(ReplicationMessage, from: MemberNumber)
    /// When `nextWake` has come, or every few seconds.
    case tick
  }

  public enum Output: Hashable, Sendable {
    case send(ReplicationMessage, to: MemberNumber)
    /// Remove tombstones with stamps up to this one.
    case collect(SlotSet, upTo: Stamp, raisingFloor: Bool)
  }

  /// What this node knows at the time of a step.
  public struct Facts: Sendable {
    /// `Repair.isSettled`, and nothing noted or marked for anybody.
    public var isSettled: Bool
    /// `Repair.agreedEverywhere` without the slots of hints.
    public var agreed: SlotSet
    /// Everything that was sent before this time has been confirmed by every member that is alive.
    public var confirmedThrough: UnixMilliseconds
    public var tombstones: Int

    public init(isSettled: Bool, agreed: SlotSet, confirmedThrough: UnixMilliseconds, tombstones: Int) {
      self.isSettled = isSettled
      self.agreed = agreed
      self.confirmedThrough = confirmedThrough
      self.tombstones = tombstones
    }
  }

  private struct Round {
    var id: UInt64
    var startedAt: UnixMilliseconds
    var missing: [MemberNumber]
  }

  private let settings: Settings
  private var version = PlacementVersion(digest: 0)
  private var others: [MemberNumber] = []
  private var isAnyoneAway = true
  private var round: Round?
  private var lastID: UInt64
  private var nextRoundAt: UInt64 = 0
  private var nextGraceAt: UInt64 = 0
  /// Somebody has tombstones, perhaps of slots of this node's.
  private var othersHaveSome = true

  /// - Parameter startedAt: as `Repair`'s.
  public init(startedAt: UInt64, settings: Settings = Settings()) {
    self.settings = settings
    lastID = startedAt << 20
  }

  public var nextWake: UInt64 { min(nextRoundAt, nextGraceAt) }

  /// - Parameter owned: slots that the given member executes by placement and of which this node has a copy.
  public mutating func step(
    _ input: Input, _ facts: Facts, owned: (MemberNumber) -> SlotSet, now: UInt64, time: UnixMilliseconds
  ) -> [Output] {
    switch input {
    case .view(let version, let others, let isAnyoneAway):
      self.version = version
      self.others = others
      self.isAnyoneAway = isAnyoneAway
      round = nil
      othersHaveSome = true
      return []
    case .received(let message, let member): return receive(message, from: member, facts, owned)
    case .tick: return tick(facts, now, time)
    }
  }

  private mutating func tick(_ facts: Facts, _ now: UInt64, _ time: UnixMilliseconds) -> [Output] {
    var outputs: [Output] = []
    if now >= nextGraceAt {
      nextGraceAt = now + settings.graceIntervalMilliseconds
      let upTo = Stamp(milliseconds: max(0, time - settings.graceMilliseconds))
      if facts.tombstones > 0 { outputs.append(.collect(.all, upTo: upTo, raisingFloor: true)) }
    }
    guard now >= nextRoundAt else { return outputs }
    nextRoundAt = now + settings.intervalMilliseconds
    round = nil
    guard facts.tombstones > 0 || othersHaveSome, !isAnyoneAway, facts.isSettled, !facts.agreed.isEmpty else {
      return outputs
    }
    lastID += 1
    othersHaveSome = false
    round = Round(id: lastID, startedAt: time, missing: others)
    for member in others { outputs.append(.send(.askSettled(id: lastID, version: version), to: member)) }
    return outputs + finish(facts)
  }

  private mutating func receive(
    _ message: ReplicationMessage, from member: MemberNumber, _ facts: Facts, _ owned: (MemberNumber) -> SlotSet
  ) -> [Output] {
    switch message {
    case .askSettled(let id, let other):
      let isSettled = other == version && facts.isSettled
      let answer = ReplicationMessage.settledAnswer(
        id: id, version: version, isSettled: isSettled, tombstones: facts.tombstones)
      return [.send(answer, to: member)]
    case .settledAnswer(let id, let other, let isSettled, let tombstones):
      if tombstones > 0 { othersHaveSome = true }
      guard id == round?.id, other == version else { return [] }
      guard isSettled else {
        round = nil
        return []
      }
      round?.missing.removeAll { $0 == member }
      return finish(facts)
    case .collect(let other, let slots, let upTo):
      guard other == version else { return [] }
      let theirs = slots.intersection(owned(member))
      return theirs.isEmpty ? [] : [.collect(theirs, upTo: upTo, raisingFloor: false)]
    default: return []
    }
  }

  private mutating func finish(_ facts: Facts) -> [Output] {
    guard let round, round.missing.isEmpty else { return [] }
    self.round = nil
    guard facts.isSettled, !facts.agreed.isEmpty else { return [] }
    let age = min(round.startedAt - settings.leastAgeMilliseconds, facts.confirmedThrough)
    guard age > 0 else { return [] }
    let upTo = Stamp(milliseconds: age)
    var outputs = [Output.collect(facts.agreed, upTo: upTo, raisingFloor: false)]
    for member in others {
      outputs.append(.send(.collect(version: version, facts.agreed, upTo: upTo), to: member))
    }
    return outputs
  }
}
