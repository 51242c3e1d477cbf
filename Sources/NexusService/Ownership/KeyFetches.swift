import NexusModel

/// Asks one holder for keys of an incoming slot.
public struct KeyFetch<Key: Hashable & Sendable>: Hashable, Sendable {
  public var id: UInt64
  public var slot: Slot
  public var holding: UInt64
  public var keys: [Key]
}

/// The answer: each key is in one of the three.
public struct KeyFetched<Key: Hashable & Sendable>: Hashable, Sendable {
  public var id: UInt64
  /// Their entries come along.
  public var found: [Key] = []
  /// The holder knows that they do not exist.
  public var absent: [Key] = []
  /// The holder had not settled them: whoever is behind it knows. All keys, if it does not keep the slot any more.
  public var unknown: [Key] = []

  public init(id: UInt64) { self.id = id }
}

/// In the order in which they are to be carried out.
public enum KeyFetchEffect<Key: Hashable & Sendable>: Hashable, Sendable {
  case send(KeyFetch<Key>, to: MemberID)
  /// Under the lock of the slot's stripe, for each key that is not settled: put the entry that came along, or nothing
  /// if the key is absent; then it is settled. `overridesLocal`: an absent key is removed, and a found one replaced;
  /// else what this node has stays.
  case settle(Slot, found: [Key], absent: [Key], overridesLocal: Bool)
  /// The operation is to be tried again: its keys are settled, or its slot is not executed here any more.
  case ready(waiter: UInt64)
}

/// Keys that operations need before their slot has arrived whole: each is asked of one holder after the other, until
/// one knows it. Pure: the shell carries out the effects, and tells what `Ownership` told it.
public struct KeyFetches<Key: Hashable & Sendable>: Sendable {
  private struct Open: Sendable {
    let id: UInt64
    let slot: Slot
    let waiter: UInt64
    var keys: [Key]
    /// They do not exist in the history that is being asked; another one may know them.
    var absent: [Key] = []
    var asked: Holding
    var askedAt: UInt64
  }

  public let retryMilliseconds: UInt64
  private var sources = SlotGroups<[KeySource]>()
  /// Ascending ids.
  private var open: [Open] = []
  private var lastID: UInt64

  /// - Parameter startedAt: as for `Ownership`: answers to a former process mean nothing to this one.
  public init(startedAt: UInt64, retryMilliseconds: UInt64 = 500) {
    lastID = startedAt << 20
    self.retryMilliseconds = retryMilliseconds
  }

  public var count: Int { open.count }

  /// - Parameter hasLocal: true if this node's store has an entry of this key.
  public mutating func want(
    _ keys: [Key], of slot: Slot, waiter: UInt64, now: UInt64, hasLocal: (Slot, Key) -> Bool
  ) -> [KeyFetchEffect<Key>] {
    lastID += 1
    let none = Holding(member: MemberID("none")!, number: 0)
    return proceed(
      Open(id: lastID, slot: slot, waiter: waiter, keys: keys, asked: none, askedAt: now), from: 0, now, hasLocal)
  }

  public mutating func answered(
    _ answer: KeyFetched<Key>, by member: MemberID, now: UInt64, hasLocal: (Slot, Key) -> Bool
  ) -> [KeyFetchEffect<Key>] {
    guard let index = open.firstIndex(where: { $0.id == answer.id && $0.asked.member == member }) else { return [] }
    var fetch = open.remove(at: index)
    let slot = fetch.slot
    let list = sources(of: slot)
    guard let place = list.firstIndex(of: .holder(fetch.asked)) else { return proceed(fetch, from: 0, now, hasLocal) }
    let isFirst = !list[..<place].contains(.local)
    fetch.keys.removeAll { answer.found.contains($0) || answer.absent.contains($0) }
    let history = list[place...].prefix { $0 != .otherHistory }
    var absent = answer.absent
    // An older copy in this node's store would come back if the key were not settled now.
    if history.endIndex < list.endIndex, !history.contains(.local) {
      fetch.absent += absent
      absent = []
    }
    return [.settle(slot, found: answer.found, absent: absent, overridesLocal: isFirst)]
      + proceed(fetch, from: place + 1, now, hasLocal)
  }

  /// Every output of the ownership, in order, after it was carried out.
  public mutating func follow(
    _ output: OwnershipOutput, now: UInt64, hasLocal: (Slot, Key) -> Bool
  ) -> [KeyFetchEffect<Key>] {
    switch output {
    case .stop(let slots, _, _), .whole(let slots): return change(slots, [], now, hasLocal)
    case .execute(let slots, let list, _), .sources(let slots, let list): return change(slots, list, now, hasLocal)
    case .forget, .route, .expect, .send, .stream, .synchronize, .refresh, .drained: return []
    }
  }

  /// Asks again where no answer came.
  public mutating func tick(now: UInt64) -> [KeyFetchEffect<Key>] {
    var effects: [KeyFetchEffect<Key>] = []
    for index in open.indices where now >= open[index].askedAt + retryMilliseconds {
      open[index].askedAt = now
      effects.append(send(open[index]))
    }
    return effects
  }

  /// Nobody waits any more.
  public mutating func forget(waiter: UInt64) { open.removeAll { $0.waiter == waiter } }

  private func sources(of slot: Slot) -> [KeySource] { sources.groups.first { $0.slots.contains(slot) }?.key ?? [] }

  private func send(_ fetch: Open) -> KeyFetchEffect<Key> {
    .send(
      KeyFetch(id: fetch.id, slot: fetch.slot, holding: fetch.asked.number, keys: fetch.keys), to: fetch.asked.member)
  }

  private mutating func change(
    _ slots: SlotSet, _ list: [KeySource], _ now: UInt64, _ hasLocal: (Slot, Key) -> Bool
  ) -> [KeyFetchEffect<Key>] {
    sources.remove(slots)
    if !list.isEmpty { sources.add(slots, list) }
    var effects: [KeyFetchEffect<Key>] = []
    let touched = open.filter { slots.contains($0.slot) && !list.contains(.holder($0.asked)) }
    open.removeAll { fetch in touched.contains { $0.id == fetch.id } }
    for var fetch in touched {
      fetch.keys += fetch.absent
      fetch.absent = []
      effects += proceed(fetch, from: 0, now, hasLocal)
    }
    return effects
  }

  /// Asks the first source from this place on that can be asked.
  private mutating func proceed(
    _ fetch: Open, from place: Int, _ now: UInt64, _ hasLocal: (Slot, Key) -> Bool
  ) -> [KeyFetchEffect<Key>] {
    var fetch = fetch
    let list = sources(of: fetch.slot)
    guard !list.isEmpty, !fetch.keys.isEmpty || !fetch.absent.isEmpty else { return [.ready(waiter: fetch.waiter)] }
    var effects: [KeyFetchEffect<Key>] = []
    for source in list.dropFirst(place) {
      switch source {
      case .local:
        let slot = fetch.slot
        let local = fetch.keys.filter { hasLocal(slot, $0) }
        guard !local.isEmpty else { continue }
        effects.append(.settle(slot, found: [], absent: local, overridesLocal: false))
        fetch.keys.removeAll { hasLocal(slot, $0) }
        if fetch.keys.isEmpty && fetch.absent.isEmpty { return effects + [.ready(waiter: fetch.waiter)] }
      case .otherHistory:
        fetch.keys += fetch.absent
        fetch.absent = []
      case .holder(let holding):
        if fetch.keys.isEmpty { continue }
        fetch.asked = holding
        fetch.askedAt = now
        open.append(fetch)
        return effects + [send(fetch)]
      }
    }
    // Nobody has them.
    effects.append(.settle(fetch.slot, found: [], absent: fetch.keys + fetch.absent, overridesLocal: false))
    return effects + [.ready(waiter: fetch.waiter)]
  }
}
