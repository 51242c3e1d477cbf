import NexusModel

/// Decides which slots this node executes, and sees to it that their keys follow: docs/rebalancing.md.
///
/// Pure: time is an argument, effects leave as one ordered batch, members and slots are looked at in a fixed order.
///
/// Executing a slot is like holding its token. While members see one another alive, a token is passed on by
/// `handedOver` only, and made by a claim that every live member has denied only. Invariants that make this hold:
/// - A slot's token is given away (`stop`) before the answer that says so leaves.
/// - `handedOver` counts only for the claim that it answers, while that claim is open for the slot.
/// - Nobody denies a slot that it executes or has an open claim for.
/// - Nobody denies anything to a claimant that does not see the same members alive: whoever has the token is asked.
/// - A denial does not count if its sender has given the token away since another one was asked (`stopped`).
public struct Ownership: Sendable {
  enum Presence: Sendable {
    /// Not of any cluster yet.
    case outside
    case member(OwnershipView)
    /// It executes nothing until it knows what the others did meanwhile.
    case away(OwnershipView)
  }

  enum Leaving: Sendable {
    case no
    case until(UInt64)
    case done
  }

  public let me: MemberID
  let myNumber: MemberNumber
  let settings: OwnershipSettings

  var presence = Presence.outside
  var leaving = Leaving.no
  var lastID: UInt64
  var now: UInt64 = 0
  var lastStep: UInt64?
  var outputs: [OwnershipOutput] = []

  var executing = SlotGroups<Lineage>()
  /// Invariant: disjoint from `executing`.
  var kept = SlotGroups<Kept>()
  /// The number under which a slot was last stopped, of all that ever were.
  var stopped = SlotGroups<UInt64>()
  /// Ascending ids. Invariant: their slots are disjoint, this node's by placement, and not executed.
  var claims: [OpenClaim] = []
  /// Claims on what another member has of slots that this node executes already.
  var merges: [OpenMerge] = []
  var pulls: [OpenPull] = []
  /// What was last said of slots that are not executed here.
  var routes = SlotGroups<SlotRoute>()
  /// Claims of these members were put off: they are reminded when this node's view changes.
  var putOff: [MemberNumber] = []
  var offerAt: UInt64 = 0

  private var numbers: [MemberID: MemberNumber] = [:]
  private var ids: [MemberNumber: MemberID] = [:]
  private(set) var liveIDs: Set<MemberID> = []
  /// Slots of each live member by placement, this node's too.
  private(set) var placed: [MemberNumber: SlotSet] = [:]

  /// - Parameters:
  ///   - number: this node's own.
  ///   - startedAt: milliseconds since 1970 when the process started. A member must not start twice in one millisecond.
  public init(
    me: MemberID, number: MemberNumber, startedAt: UInt64, settings: OwnershipSettings = OwnershipSettings()
  ) {
    self.me = me
    myNumber = number
    self.settings = settings
    lastID = startedAt << 20
    routes.add(.all, .nowhere)
  }

  public var progress: OwnershipProgress {
    OwnershipProgress(
      executed: executing.all.count, awaited: awaited.count,
      incoming: executing.groups.reduce(0) { $0 + ($1.key.isWhole ? 0 : $1.slots.count) },
      misplaced: misplaced.count, held: kept.all.count)
  }

  public var executed: SlotSet { executing.all }

  public mutating func step(_ input: OwnershipInput, now: UInt64) -> [OwnershipOutput] {
    self.now = now
    outputs = []
    noticeAbsence()
    lastStep = now
    switch input {
    case .view(let view): onView(view)
    case .received(let message, let member): onMessage(message, from: member)
    case .arrived(let slots, let pull, _): onArrived(slots, pull: pull)
    case .progressed(let pull): onProgress(of: pull)
    case .away: becomeAway()
    case .refreshed: onRefreshed()
    case .leave(let limit): leaving = .until(now + limit)
    case .tick: onTick()
    }
    pull()
    finishLeaving()
    return outputs
  }

  private mutating func onMessage(_ message: OwnershipMessage, from member: MemberNumber) {
    switch message {
    case .claim(let claim): onClaim(claim, from: member)
    case .claimAnswer(let answer): onClaimAnswer(answer, from: member)
    case .offer(let offer): onOffer(offer, from: member)
    case .pull(let id, let slots): onPull(id, slots, from: member)
    case .gone(let slots): onGone(slots, from: member)
    case .confirm(let slots): onConfirm(slots, from: member)
    case .forgotten(let slots): onForgotten(slots, from: member)
    }
  }

  // MARK: Words

  var view: OwnershipView? {
    switch presence {
    case .outside: nil
    case .member(let view), .away(let view): view
    }
  }

  /// Only a member claims and offers.
  var isMember: Bool { if case .member = presence { true } else { false } }

  var others: [MemberNumber] { (view?.live ?? []).lazy.map(\.number).filter { $0 != myNumber } }

  func isLive(_ id: MemberID) -> Bool { liveIDs.contains(id) }
  func id(of number: MemberNumber) -> MemberID? { ids[number] }
  func number(of id: MemberID) -> MemberNumber? { numbers[id] }
  func holding(_ number: UInt64, of member: MemberNumber) -> Holding? {
    ids[member].map { Holding(member: $0, number: number) }
  }

  /// This node's by placement.
  var mine: SlotSet { placed[myNumber] ?? SlotSet() }
  /// Executed here, and of another live member by placement.
  var misplaced: SlotSet {
    var result = SlotSet()
    for seat in view?.live ?? [] where seat.number != myNumber {
      if let theirs = placed[seat.number] { result.formUnion(theirs) }
    }
    return result.intersection(executing.all)
  }
  var awaited: SlotSet { mine.subtracting(executing.all) }

  mutating func newID() -> UInt64 {
    lastID += 1
    return lastID
  }

  mutating func send(_ message: OwnershipMessage, to member: MemberNumber) {
    outputs.append(.send(message, to: member))
  }

  // MARK: Views

  mutating func learn(_ view: OwnershipView) {
    if case .away = presence { presence = .away(view) } else { presence = .member(view) }
    liveIDs = []
    for seat in view.live {
      numbers[seat.id] = seat.number
      ids[seat.number] = seat.id
      liveIDs.insert(seat.id)
    }
    placed = Self.placed(view.owners)
  }

  private static func placed(_ owners: [MemberNumber]) -> [MemberNumber: SlotSet] {
    var words: [MemberNumber: [UInt64]] = [:]
    owners.withUnsafeBufferPointer { owners in
      // Neighbouring slots often have one owner: the dictionary is asked once a run within a word.
      for word in 0..<((owners.count + 63) / 64) {
        let bits = min(64, owners.count - word * 64)
        var bit = 0
        while bit < bits {
          let owner = owners[word * 64 + bit]
          var run: UInt64 = 0
          while bit < bits, owners[word * 64 + bit] == owner {
            run |= 1 << UInt64(bit)
            bit += 1
          }
          words[owner, default: [UInt64](repeating: 0, count: SlotSet.wordCount)][word] |= run
        }
      }
    }
    return words.mapValues { SlotSet(words: $0) }
  }

  private mutating func onView(_ view: OwnershipView) {
    learn(view)
    forgetTheDead()
    let owned = mine
    for index in claims.indices { claims[index].slots.formIntersection(owned) }
    claims.removeAll { $0.slots.isEmpty }
    for index in merges.indices { merges[index].slots.formIntersection(owned) }
    let live = others
    merges.removeAll { $0.slots.isEmpty || !live.contains($0.member) }
    claimWhatIsMine()
    settleClaims()
    publishRoutes()
    askClaims()
    remindOwners()
  }

  /// Says what changed of the routes of slots that are not executed here.
  mutating func publishRoutes() {
    var left = SlotSet.all.subtracting(executing.all)
    var wanted: [(route: SlotRoute, slots: SlotSet)] = []
    for seat in view?.live ?? [] {
      guard let slots = placed[seat.number]?.intersection(left), !slots.isEmpty else { continue }
      wanted.append((seat.number == myNumber ? .awaited : .member(seat.number), slots))
      left.subtract(slots)
    }
    wanted.append((.nowhere, left))
    for (route, slots) in wanted {
      announce(route, slots)
    }
  }

  mutating func announce(_ route: SlotRoute, _ slots: SlotSet) {
    var changed = slots
    for group in routes.groups where group.key == route { changed.subtract(group.slots) }
    guard !changed.isEmpty else { return }
    routes.remove(changed)
    routes.add(changed, route)
    outputs.append(.route(changed, route))
  }

  // MARK: Absence

  private mutating func noticeAbsence() {
    guard let lastStep, now >= lastStep + settings.awayMilliseconds else { return }
    becomeAway()
  }

  /// Whatever it executes may be executed by others since.
  private mutating func becomeAway() {
    guard case .member(let view) = presence, !others.isEmpty else { return }
    presence = .away(view)
    claims = []
    merges = []
    stop(executing.all, claim: nil, claimant: nil)
    outputs.append(.refresh)
  }

  private mutating func onRefreshed() {
    guard case .away(let view) = presence else { return }
    presence = .member(view)
    claimWhatIsMine()
    settleClaims()
    askClaims()
    remindOwners()
  }

  private mutating func onTick() {
    guard isMember else { return }
    askClaims()
    retryPulls()
    guard now >= offerAt else { return }
    offerAt = now + settings.offerMilliseconds
    remindOwners()
    confirmAgain()
  }

  // MARK: Leaving

  private mutating func finishLeaving() {
    guard case .until(let deadline) = leaving else { return }
    let unmoved = executing.all.union(kept.all)
    guard unmoved.isEmpty || now >= deadline || view == nil || others.isEmpty else { return }
    leaving = .done
    outputs.append(.drained(unmoved: unmoved))
  }
}
