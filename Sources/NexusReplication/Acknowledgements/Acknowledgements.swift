import NexusModel

/// Which of one loop's writes other members have confirmed, and who waits for that.
///
/// A member confirms by number, and everything before that number with it; an effect that it could not keep it names
/// as refused. What was under way on a connection that is lost counts as unconfirmed for ever: its slots are known, so
/// that repair brings it later, and a wait for it fails at once instead of running into its deadline.
///
/// Numbers and slots live in arrays that are used again: a write allocates nothing.
public struct Acknowledgements {
  /// A member, by a small number that never means another one.
  public typealias Peer = UInt16

  /// The most peers that one wait can be for: a slot has at most seven copies, and may be executed by an eighth member.
  public static let peersMost = 7

  public enum Outcome: Sendable, Equatable {
    case confirmed
    /// So few that it cannot come to enough any more.
    case impossible
    case timedOut
  }

  public struct Resolution: Sendable, Equatable {
    public var wait: UInt64
    public var outcome: Outcome
    /// Peers that have confirmed so far.
    public var confirmations: Int

    public init(wait: UInt64, outcome: Outcome, confirmations: Int) {
      self.wait = wait
      self.outcome = outcome
      self.confirmations = confirmations
    }
  }

  /// What one peer has to confirm for one wait.
  public struct Part: BitwiseCopyable, Sendable {
    public var peer: Peer
    /// Numbers of the effects: none is refused, and the last is confirmed.
    public var first: UInt64
    public var last: UInt64

    public init(peer: Peer, _ numbers: ClosedRange<UInt64>) {
      self.peer = peer
      first = numbers.lowerBound
      last = numbers.upperBound
    }
  }

  private enum State: UInt8, BitwiseCopyable { case pending, confirmed, failed }

  private struct Wait: BitwiseCopyable {
    var id: UInt64
    var deadline: UInt64
    /// Confirmations that are still needed, and parts that may still bring one.
    var needed: Int
    var pending: Int
    var confirmations = 0
    var count: Int
    var isResolved = false
    var parts: InlineArray<7, Part>
    var states: InlineArray<7, State>
  }

  private var streams: [ReplicaStream] = []
  /// In the order of their beginning, from `head` on; for each peer the numbers rise from wait to wait.
  private var waits: [Wait] = []
  private var head = 0

  public init() {}

  // MARK: Sending

  /// Numbers effects on these slots, which leave in this turn. `endFrame` follows.
  public mutating func append(_ slots: UnsafeBufferPointer<UInt16>, to peer: Peer) -> ClosedRange<UInt64> {
    stream(peer)
    return streams[Int(peer)].append(slots)
  }

  /// What was appended for this peer leaves now.
  /// - Parameter turn: rises from turn to turn.
  public mutating func endFrame(to peer: Peer, turn: UInt64, byteCount: Int, now: UInt64) {
    stream(peer)
    streams[Int(peer)].endFrame(turn: turn, byteCount: byteCount, now: now)
  }

  /// Effects of this turn were not sent to the peer: something else has to bring them.
  public mutating func miss(_ peer: Peer, turn: UInt64) {
    stream(peer)
    streams[Int(peer)].miss(turn...turn)
  }

  /// The number that the next effect for this peer will have.
  public mutating func next(to peer: Peer) -> UInt64 {
    stream(peer)
    return streams[Int(peer)].sent + 1
  }

  private mutating func stream(_ peer: Peer) { while streams.count <= Int(peer) { streams.append(ReplicaStream()) } }

  // MARK: Waiting

  /// Waits until so many of the parts are confirmed. Where there are too few, it is resolved at once.
  /// - Parameter id: the caller's; waits begin in the order in which their effects were sent.
  public mutating func wait(
    _ id: UInt64, needed: Int, _ parts: some Collection<Part>, deadline: UInt64, into resolved: inout [Resolution]
  ) {
    precondition(parts.count <= Self.peersMost, "a wait has at most \(Self.peersMost) parts")
    var wait = Wait(
      id: id, deadline: deadline, needed: needed, pending: parts.count, count: parts.count,
      parts: .init(repeating: Part(peer: 0, 0...0)), states: .init(repeating: .pending))
    for (index, part) in parts.enumerated() { wait.parts[index] = part }
    if needed <= 0 || needed > parts.count {
      resolved.append(
        Resolution(wait: id, outcome: needed <= 0 ? .confirmed : .impossible, confirmations: 0))
      return
    }
    if head > 64, head * 2 > waits.count {
      waits.removeFirst(head)
      head = 0
    }
    waits.append(wait)
  }

  public var hasWaits: Bool { head < waits.count }

  /// Peers that have confirmed what this wait is for; 0 for one that has ended.
  public func confirmations(of wait: UInt64) -> Int {
    waits[head...].first { $0.id == wait && !$0.isResolved }?.confirmations ?? 0
  }

  // MARK: Hearing

  /// The peer has everything through this number but what it names as refused. Answers the slots of what was refused.
  public mutating func confirm(
    _ peer: Peer, through number: UInt64, refused: [UInt64] = [], into resolved: inout [Resolution]
  ) -> SlotSet? {
    stream(peer)
    // A number that was never given is no confirmation of anything.
    guard number <= streams[Int(peer)].sent, number > streams[Int(peer)].confirmed else { return nil }
    var slots: SlotSet?
    for refused in refused where refused <= number {
      guard let slot = streams[Int(peer)].slot(of: refused), let turn = streams[Int(peer)].turn(of: refused) else {
        continue
      }
      if slots == nil { slots = SlotSet() }
      slots!.insert(slot)
      streams[Int(peer)].miss(turn...turn)
      each(of: peer, through: number, into: &resolved) {
        $0.first <= refused && refused <= $0.last ? .failed : .pending
      }
    }
    streams[Int(peer)].confirm(through: number)
    each(of: peer, through: number, into: &resolved) { $0.last <= number ? .confirmed : .pending }
    return slots
  }

  /// The connection is lost. Answers the slots of what was not confirmed on it.
  public mutating func lose(_ peer: Peer, into resolved: inout [Resolution]) -> SlotSet {
    stream(peer)
    let slots = streams[Int(peer)].lose()
    each(of: peer, into: &resolved) { _ in .failed }
    return slots
  }

  public mutating func expire(now: UInt64, into resolved: inout [Resolution]) {
    for index in head..<waits.count where !waits[index].isResolved && waits[index].deadline <= now {
      resolve(index, .timedOut, &resolved)
    }
    dropResolved()
  }

  /// Judges the parts of waits that are for this peer and pending, and begin at this number or before it.
  private mutating func each(
    of peer: Peer, through number: UInt64 = .max, into resolved: inout [Resolution], _ judge: (Part) -> State
  ) {
    var index = head
    search: while index < waits.count {
      defer { index += 1 }
      if waits[index].isResolved { continue }
      for part in 0..<waits[index].count where waits[index].parts[part].peer == peer {
        // The numbers rise: whatever comes later begins later.
        if waits[index].parts[part].first > number { break search }
        if waits[index].states[part] == .pending { apply(judge(waits[index].parts[part]), index, part) }
      }
      if waits[index].needed <= 0 {
        resolve(index, .confirmed, &resolved)
      } else if waits[index].pending < waits[index].needed {
        resolve(index, .impossible, &resolved)
      }
    }
    dropResolved()
  }

  private mutating func apply(_ state: State, _ index: Int, _ part: Int) {
    if state == .pending { return }
    waits[index].states[part] = state
    waits[index].pending -= 1
    if state == .confirmed {
      waits[index].confirmations += 1
      waits[index].needed -= 1
    }
  }

  private mutating func resolve(_ index: Int, _ outcome: Outcome, _ resolved: inout [Resolution]) {
    waits[index].isResolved = true
    resolved.append(
      Resolution(wait: waits[index].id, outcome: outcome, confirmations: waits[index].confirmations))
  }

  private mutating func dropResolved() {
    while head < waits.count, waits[head].isResolved { head += 1 }
    if head == waits.count {
      waits.removeAll(keepingCapacity: waits.count <= 1024)
      head = 0
    }
  }

  // MARK: What peers have

  /// How many of these peers have everything of these turns.
  public func count(of peers: some Sequence<Peer>, having turns: ClosedRange<UInt64>) -> Int {
    peers.count { Int($0) >= streams.count || streams[Int($0)].has(turns) }
  }

  /// What the peer may lack, as a number to `settle` it by; nil where it lacks nothing but what is under way.
  public func gapNumber(of peer: Peer) -> UInt64? {
    guard Int(peer) < streams.count, streams[Int(peer)].gap != nil else { return nil }
    return streams[Int(peer)].gapNumber
  }

  /// Everything that was missed up to this number (`gapNumber`) has been brought.
  public mutating func settle(_ peer: Peer, through number: UInt64) {
    if Int(peer) < streams.count { streams[Int(peer)].close(number) }
  }

  public struct Lag: Sendable, Equatable {
    public var effects = 0
    public var bytes = 0
    /// Milliseconds since the oldest effect that is not confirmed was sent; 0 where there is none.
    public var milliseconds: UInt64 = 0

    public init(effects: Int = 0, bytes: Int = 0, milliseconds: UInt64 = 0) {
      self.effects = effects
      self.bytes = bytes
      self.milliseconds = milliseconds
    }
  }

  public func lag(of peer: Peer, now: UInt64) -> Lag {
    guard Int(peer) < streams.count else { return Lag() }
    let stream = streams[Int(peer)]
    return Lag(
      effects: stream.unconfirmedCount, bytes: stream.unconfirmedBytes,
      milliseconds: stream.waitsSince.map { now - min(now, $0) } ?? 0)
  }
}
