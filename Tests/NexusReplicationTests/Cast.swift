import NexusModel
import NexusReplication
import NexusTestSupport

/// Entries of one member, as repair sees them.
final class Copies: ReplicaCopies {
  var slots: [Slot: [UInt64: KeyVersion]] = [:]
  var floors: [Slot: Stamp] = [:]
  var lastStamps: [Slot: Stamp] = [:]
  var partial: Set<Slot> = []
  var owed: Set<Slot> = []
  var flushes: [FlushStamp] = []
  var highestAccepted = Stamp(rawValue: .max)
  /// Bytes of each value.
  var valueBytes = 100

  func digest(of slot: Slot) -> UInt64 {
    (slots[slot] ?? [:]).values.reduce(0) { $1.isTombstone ? $0 : $0 &+ $1.digest }
  }
  func lastStamp(of slot: Slot) -> Stamp { lastStamps[slot] ?? .none }
  func floor(of slot: Slot) -> Stamp { floors[slot] ?? .none }
  func isPartial(_ slot: Slot) -> Bool { partial.contains(slot) }
  func tombstoneCount(of slot: Slot) -> Int { (slots[slot] ?? [:]).values.count { $0.isTombstone } }
  func keyCount(of slot: Slot) -> Int { slots[slot]?.count ?? 0 }
  func isOwed(_ slot: Slot) -> Bool { owed.contains(slot) }
  func accepts(_ stamp: Stamp) -> Bool { stamp <= highestAccepted }
  func visit(_ slot: Slot, _ body: (KeyVersion) -> Void) {
    for version in (slots[slot] ?? [:]).values.sorted(by: { $0.hash < $1.hash }) { body(version) }
  }

  subscript(slot: Slot, hash: UInt64) -> KeyVersion? { slots[slot]?[hash] }

  func put(_ slot: Slot, _ hash: UInt64, _ stamp: UInt64, isTombstone: Bool = false) {
    let version = KeyVersion(hash: hash, stamp: Stamp(rawValue: stamp), isTombstone: isTombstone)
    slots[slot, default: [:]][hash] = version
    lastStamps[slot] = max(lastStamp(of: slot), version.stamp)
  }

  func merge(_ slot: Slot, _ version: KeyVersion) -> Bool {
    guard accepts(version.stamp), !flushes.contains(where: { version.stamp <= $0.stamp }) else { return false }
    if let old = slots[slot]?[version.hash], !version.isNewer(than: old) { return false }
    put(slot, version.hash, version.stamp.rawValue, isTombstone: version.isTombstone)
    return true
  }

  func remove(_ slot: Slot, _ version: KeyVersion) {
    guard let old = slots[slot]?[version.hash], old.stamp <= version.stamp, !old.isTombstone else { return }
    slots[slot]?[version.hash] = nil
    floors[slot] = max(floor(of: slot), version.stamp)
  }

  func flush(_ flush: FlushStamp) {
    flushes = [flush]
    for slot in slots.keys { slots[slot] = slots[slot]?.filter { $0.value.stamp > flush.stamp } }
  }
}

/// Some members that talk to one another at once and without loss, unless a test says otherwise.
final class Cast {
  final class Member {
    let number: MemberNumber
    var repair: Repair
    let copies = Copies()
    var sets: ReplicaSets?
    var executed = SlotSet()
    /// What the shell was told, but for messages and what moves entries.
    var notes: [RepairOutput] = []
    var receivedPushes = 0

    init(_ number: MemberNumber, _ settings: RepairSettings) {
      self.number = number
      repair = Repair(startedAt: UInt64(number) * 1000 + 1, settings: settings)
    }
  }

  let settings: RepairSettings
  private(set) var members: [Member]
  var now: UInt64 = 1000
  /// Messages in the order of their sending, as `from>to what`.
  private(set) var transcript: [String] = []
  /// True: the message is lost.
  var loses: (ReplicationMessage, MemberNumber, MemberNumber) -> Bool = { _, _, _ in false }
  var losesPushes = false
  /// Set: messages overtake one another, some come twice.
  var disorder: Dice?
  private var queue: [(message: ReplicationMessage, from: MemberNumber, to: MemberNumber)] = []
  private let places: [MemberNumber]
  private let copyCount: Int

  /// - Parameter places: each slot's members in order.
  init(_ count: Int, places: [[MemberNumber]], settings: RepairSettings = RepairSettings()) {
    self.settings = settings
    members = (0..<count).map { Member(MemberNumber($0), settings) }
    copyCount = places[0].count
    self.places = places.flatMap { $0 }
  }

  subscript(number: Int) -> Member { members[number] }

  /// Member `number` starts anew with nothing.
  func restart(_ number: Int) {
    members[number] = Member(MemberNumber(number), settings)
    members[number].repair = Repair(startedAt: 900_000 + now, settings: settings)
  }

  /// Everybody sees these alive, and executes what is its own. `takenOver`: nobody hands anything over.
  func view(_ live: [MemberNumber], version: UInt64, takenOver: Bool = false) {
    for number in live { view(Int(number), sees: live, version: version, takenOver: takenOver) }
  }

  func view(_ number: Int, sees live: [MemberNumber], version: UInt64, takenOver: Bool = false) {
    let owners = stride(from: 0, to: places.count, by: copyCount).map { first in
      places[first..<(first + copyCount)].first { live.contains($0) } ?? live[0]
    }
    let member = members[number]
    let sets = ReplicaSets(me: MemberNumber(number), copies: copyCount, places: places, owners: owners, live: live)
    member.sets = sets
    feed(number, .view(PlacementVersion(digest: version), sets))
    let mine = sets.slots(executedBy: MemberNumber(number))
    feed(number, .stop(member.executed.subtracting(mine)))
    let new = mine.subtracting(member.executed)
    member.executed = mine
    if !new.isEmpty { feed(number, .execute(new, isTakenOver: takenOver)) }
  }

  func feed(_ number: Int, _ input: RepairInput) {
    let member = members[number]
    for output in member.repair.step(input, member.copies, now: now) {
      switch output {
      case .send(let message, let to):
        transcript.append("\(number)>\(to) \(Self.name(message))")
        if !loses(message, MemberNumber(number), to) { queue.append((message, MemberNumber(number), to)) }
      case .push(let slots, let to, let answering): push(slots, number, Int(to), answering)
      case .remove(let drops):
        for drop in drops { for version in drop.versions { member.copies.remove(drop.slot, version) } }
      case .flush(let flush): member.copies.flush(flush)
      case .release(let slots):
        member.notes.append(output)
        slots.forEach { member.copies.slots[$0] = nil }
      case .expire: break
      default: member.notes.append(output)
      }
    }
  }

  private func push(_ slots: [SlotKeys], _ from: Int, _ to: Int, _ answering: UInt64?) {
    var bytes = 0
    for item in slots {
      for key in item.keys {
        guard let version = members[from].copies[item.slot, key.hash] else { continue }
        bytes += members[from].copies.valueBytes
        if losesPushes { continue }
        let other = members[to]
        other.receivedPushes += 1
        guard other.copies.merge(item.slot, version) else { continue }
        if other.executed.contains(item.slot) || other.sets?.owner(of: item.slot) != MemberNumber(from) {
          feed(to, .merged(SlotSet(CollectionOfOne(item.slot)), from: MemberNumber(from)))
        }
      }
    }
    feed(from, .pushed(bytes: bytes, to: MemberNumber(to), answering: answering))
  }

  /// Messages are delivered, and time goes from one waking to the next.
  func run(for milliseconds: UInt64) {
    let end = now + milliseconds
    while true {
      while !queue.isEmpty {
        var place = 0
        if let number = disorder?.below(queue.count) { place = number }
        let (message, from, to) = queue[place]
        if disorder?.chance(20) != true { queue.remove(at: place) }
        feed(Int(to), .received(message, from: from))
      }
      let next = members.map(\.repair.nextWake).min() ?? .max
      guard next <= end else { break }
      now = max(now + 1, next)
      for number in members.indices where members[number].repair.nextWake <= now { feed(number, .tick) }
    }
    now = end
  }

  func clearTranscript() { transcript = [] }

  static func name(_ message: ReplicationMessage) -> String {
    switch message {
    case .compare(let question): "compare" + (question.leftOut.isEmpty ? "" : " without \(question.leftOut)")
    case .compared(let answer): answer.sums.isEmpty ? "equal" : "differs"
    case .otherVersion: "other version"
    case .askDigests(let question): "digests of \(question.slots)?"
    case .digests(_, _, let digests): "\(digests.count) digests"
    case .askInventories(let question): "inventories of \(question.parts.map { $0.slot.index })?"
    case .inventories(let answer): "\(answer.slots.reduce(0) { $0 + $1.versions.count }) versions"
    case .askVersions(_, let slots): "send \(slots.reduce(0) { $0 + $1.keys.count })"
    case .versionsSent: "sent"
    case .drop(_, let drops): "drop \(drops.reduce(0) { $0 + $1.versions.count })"
    case .agreed(_, _, let slots, let complete): "agreed \(slots)" + (complete == slots ? "" : " not complete")
    case .differ(_, _, let slots): "differ \(slots)"
    case .offerLeftovers(_, _, let slots): "leftovers \(slots)"
    case .release(_, let slots): "release \(slots)"
    case .askSettled, .settledAnswer, .collect, .askKey, .keyAnswer, .keepKey: "other"
    }
  }
}

func slot(_ index: UInt16) -> Slot { Slot(index: index) }
func slots(_ indices: UInt16...) -> SlotSet { SlotSet(indices.map { Slot(index: $0) }) }
