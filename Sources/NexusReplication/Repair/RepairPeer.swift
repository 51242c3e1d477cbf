import NexusModel

/// What the executing member keeps about its comparisons with one other member. One question is open at a time.
struct RepairPeer: Sendable {
  enum Phase: Sendable {
    case idle
    case comparing(Question, slots: SlotSet)
    case askingDigests(Question, slots: SlotSet, isRoutine: Bool)
    case askingInventories(Question, [InventoryQuestion.Part])
    case transferring(Transfer)
  }

  struct Question: Sendable {
    var id: UInt64
    var message: ReplicationMessage
    var attempts = 1
    var retryAt: UInt64
  }

  /// Versions to bring, in portions; first those that are wanted.
  struct Transfer: Sendable {
    /// Slots of which every range has been exchanged.
    var exchanged: [Slot] = []
    var wanted: ArraySlice<[SlotKeys]> = []
    var given: ArraySlice<[SlotKeys]> = []
    /// For the first portion of `wanted`.
    var question: Question?
    /// A portion was handed out and has not been carried out yet; forgotten at this time.
    var pushedUntil: UInt64?
    var isUrgent = false
  }

  /// A slot that differs, from its first inventory on.
  struct Progress: Sendable {
    /// The slot's last stamp then: what is newer here is the streams' to bring. Nil: with the next inventory.
    var cutoff: Stamp?
    var range = HashRange.all
    /// Since the first range.
    var differed = false
    var wanted = false
    var exchanges = 0
    /// Of the other copy, where that is complete.
    var floor: Stamp?
  }

  /// Executed here, and the other member has a place for them. `unsettled`, `found` and `unpulled` are part of it.
  var shared = SlotSet()
  /// Not compared, tombstones and all, since the view changed or since the other member missed something.
  var unsettled = SlotSet()
  /// Found to differ in a routine comparison.
  var found = SlotSet()
  /// The other member may have something that is not here.
  var unpulled = SlotSet()
  /// Made equal, and the other member has not been told.
  var untold = SlotSet()
  /// The other member's leftovers: not compared yet, and those of which everything is here.
  var leftover = SlotSet()
  var pulledLeftover = SlotSet()
  var offer: UInt64 = 0

  /// Compared by digests: inventories are next.
  var differing = SlotSet()
  var progress: [Slot: Progress] = [:]
  /// Left alone until their time.
  var resting = SlotSet()
  var restUntil: [Slot: UInt64] = [:]
  var nextRestEnd: UInt64 = .max
  /// Missed something while a question about them was open: its answer does not settle them.
  var markedMeanwhile = SlotSet()
  /// Differing while they are written, with the rounds so far and the last stamp then.
  var suspects: [(slot: Slot, rounds: Int, last: Stamp)] = []
  var suspectsAt: UInt64 = 0

  var phase = Phase.idle
  /// The other member's, nil before its first answer.
  var session: UInt64?
  var partial = SlotSet()
  var compareAt: UInt64
  /// It does not answer: it is left alone until then.
  var quietUntil: UInt64 = 0
  /// When a routine comparison last found no difference.
  var agreedAt: UInt64?

  init(compareAt: UInt64) { self.compareAt = compareAt }

  var isIdle: Bool { if case .idle = phase { true } else { false } }

  mutating func rest(_ slot: Slot, until time: UInt64) {
    resting.insert(slot)
    restUntil[slot] = time
    nextRestEnd = min(nextRestEnd, time)
  }

  mutating func wake(_ now: UInt64) {
    nextRestEnd = .max
    for slot in resting.slots {
      guard let time = restUntil[slot], time > now else {
        resting.remove(slot)
        restUntil[slot] = nil
        continue
      }
      nextRestEnd = min(nextRestEnd, time)
    }
  }

  /// They are compared from the beginning, whatever was found before. Slots that rest because exchanges of them came to
  /// nothing go on resting, at most until `restEnd`.
  mutating func unsettle(_ slots: SlotSet, restEnd: UInt64) {
    let slots = slots.intersection(shared)
    guard !slots.isEmpty else { return }
    unsettled.formUnion(slots)
    untold.subtract(slots)
    differing.subtract(slots)
    if !isIdle { markedMeanwhile.formUnion(slots) }
    if !progress.isEmpty {
      slots.forEach {
        progress[$0]?.cutoff = nil
        progress[$0]?.range = .all
      }
    }
    guard resting.intersects(slots) else { return }
    resting.intersection(slots).forEach { rest($0, until: min(restUntil[$0] ?? 0, restEnd)) }
  }

  /// They are not executed here any more.
  mutating func drop(_ slots: SlotSet) {
    if !isIdle { markedMeanwhile.formUnion(slots) }
    untold.subtract(slots)
    leftover.subtract(slots)
    pulledLeftover.subtract(slots)
    differing.subtract(slots)
    shared.subtract(slots)
    unsettled.subtract(slots)
    found.subtract(slots)
    unpulled.subtract(slots)
    suspects.removeAll { slots.contains($0.slot) }
    slots.forEach { progress[$0] = nil }
  }

  /// Both copies are equal now, or differ by what is on its way only.
  mutating func settle(_ slot: Slot) {
    if leftover.contains(slot) {
      leftover.remove(slot)
      pulledLeftover.insert(slot)
    }
    unsettled.remove(slot)
    found.remove(slot)
    unpulled.remove(slot)
    differing.remove(slot)
    if shared.contains(slot) { untold.insert(slot) }
    progress[slot] = nil
    suspects.removeAll { $0.slot == slot }
  }
}
