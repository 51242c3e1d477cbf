import NexusModel

/// What the executing owner of a slot knows of where its keys come from.
struct Lineage: Hashable, Sendable {
  /// Empty: the slot is whole. Otherwise at least one holder.
  var behind: [KeySource] = []
  /// They have given everything, and have not been heard to have forgotten it. Those of dead members stay: what a
  /// member brings back later must not count as news.
  var settled: [Holding] = []

  var isWhole: Bool { behind.isEmpty }

  var holders: [Holding] {
    behind.compactMap { source in
      if case .holder(let holding) = source { holding } else { nil }
    }
  }

  /// What the store of this node has, beside what the first holder sends.
  var localCopy: LocalCopy {
    guard let local = behind.firstIndex(of: .local) else { return .older }
    if local == 0 { return .newer }
    return behind[..<local].contains(.otherHistory) ? .other : .older
  }

  /// Without what stands before and behind nothing.
  static func normalized(_ behind: [KeySource], _ settled: [Holding]) -> Lineage {
    var left: [KeySource] = []
    for source in behind where source != .otherHistory || left.last != nil && left.last != .otherHistory {
      left.append(source)
    }
    if left.last == .otherHistory { left.removeLast() }
    let hasHolder = left.contains { if case .holder = $0 { true } else { false } }
    return Lineage(behind: hasHolder ? left : [], settled: settled)
  }

  /// Without the sources that are not kept. What they settled before stays known: they might come back with it.
  func keeping(_ isKept: (Holding) -> Bool) -> Lineage {
    let left = behind.filter { source in
      if case .holder(let holding) = source { isKept(holding) } else { true }
    }
    return .normalized(left, settled)
  }

  func without(_ holding: Holding) -> Lineage { keeping { $0 != holding } }

  /// True if the slot must not be given to this member before more of it has arrived: what it (or this node) kept
  /// from an earlier time stands between other sources, where nobody could name its place.
  func mustArrive(before claimant: MemberID) -> Bool {
    if let local = behind.firstIndex(of: .local), local > 0 { return true }
    return holders.dropLast().contains { $0.member == claimant }
  }
}

/// What this node kept of slots that it executes no more.
struct Kept: Hashable, Sendable {
  var number: UInt64
  var lineage: Lineage
  /// Whose claim it was given to: asked again, the answer is the same. Nil: it was stopped by this node itself.
  var claim: UInt64?
  var claimant: MemberNumber?

  func held(_ slots: SlotSet, by me: MemberID) -> HeldSlots {
    HeldSlots(
      slots: slots, holding: Holding(member: me, number: number), behind: lineage.holders, settled: lineage.settled)
  }
}

/// What a new executing owner begins with.
struct Succession {
  var lineage = Lineage()
  /// This node's own set of settled keys goes on.
  var keepsSettled = false
  /// What this node kept is older than what another has settled.
  var forgetsOwn = false

  /// From the member that executed the slot until now: it comes first, and what it says is behind it after it.
  init(handedOver held: HeldSlots, own: Kept?, me: MemberID, isLive: (MemberID) -> Bool) {
    let mine = own.map { Holding(member: me, number: $0.number) }
    var behind: [KeySource] = [.holder(held.holding)]
    for holding in held.behind {
      if holding == mine { behind.append(.local) } else if holding.member != me { behind.append(.holder(holding)) }
    }
    if let mine {
      if held.settled.contains(mine) {
        forgetsOwn = true
      } else if !behind.contains(.local) {
        // A late copy: it gives what nobody else has.
        behind += [.otherHistory, .local]
      }
    }
    lineage = Lineage.normalized(behind, held.settled.filter { $0.member != me }).keeping { isLive($0.member) }
  }

  /// From what the members kept of a slot that nobody executes.
  /// - Parameters:
  ///   - held: the others', of any slots.
  ///   - own: what this node kept itself.
  init(_ held: [HeldSlots], own: Kept?, me: MemberID, isLive: (MemberID) -> Bool) {
    var all = held.filter { isLive($0.holding.member) }
    let mine = own?.held(SlotSet(), by: me)
    if let mine { all.append(mine) }
    var settled: [Holding] = []
    for each in all { for holding in each.settled where !settled.contains(holding) { settled.append(holding) } }
    let order = Self.nearestFirst(all.filter { !settled.contains($0.holding) })
    let isTold = Set(all.flatMap(\.behind))
    lineage.settled = settled.filter { $0.member != me }

    var behind: [KeySource] = []
    if let own, let mine {
      forgetsOwn = !order.contains(mine.holding)
      if order.first == mine.holding, !own.lineage.isWhole {
        keepsSettled = true
        behind = own.lineage.behind.filter { source in
          if case .holder(let holding) = source { order.contains(holding) } else { true }
        }
      }
    }
    for holding in order {
      let source: KeySource = holding.member == me ? .local : .holder(holding)
      if keepsSettled && source == .local || behind.contains(source) { continue }
      // Nobody before it has told of it.
      if !isTold.contains(holding) { behind.append(.otherHistory) }
      behind.append(source)
    }
    lineage = .normalized(behind, lineage.settled)
    if lineage.isWhole { keepsSettled = false }
  }

  /// Each before those that it says are behind it.
  private static func nearestFirst(_ held: [HeldSlots]) -> [Holding] {
    var rest = held
    var order: [Holding] = []
    while !rest.isEmpty {
      let free = rest.firstIndex { each in !rest.contains { $0.behind.contains(each.holding) } } ?? 0
      order.append(rest.remove(at: free).holding)
    }
    return order
  }
}
